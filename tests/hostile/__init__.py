"""What clients, models and files must not be able to do."""
