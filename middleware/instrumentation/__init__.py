"""What is told of a reformulation: headers, logs and metrics, all from one record."""
