"""Headers, logs and metrics about reformulations, all made from one record."""
