"""What drives the pure core: the clock, single flight, the worker thread and the reformulator."""
