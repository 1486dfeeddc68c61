"""The official clients of each search API, driven through the proxy and past it."""
