"""The demo: collection, index, backend, page, and all of it together."""
