"""A search backend, a sample collection and a web page: what ``querylift demo`` runs.

The page and its search API reach the product through its public surface only, so the
demo shows what any client of the reverse proxy sees.
"""
