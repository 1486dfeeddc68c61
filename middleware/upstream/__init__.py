"""The forwarding half of the reverse proxy: sends requests to one upstream, byte for byte."""
