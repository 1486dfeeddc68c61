"""The parts of ``querylift demo``: a corpus, a search backend, and a web page.

The page uses only the public behaviour of the reverse proxy, as any client does.
"""
