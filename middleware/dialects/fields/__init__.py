"""Which fields hold prose: by settings, by what the upstream tells, and by their names."""
