"""The forwarding half of the reverse proxy: one fixed origin, bytes relayed as they come."""
