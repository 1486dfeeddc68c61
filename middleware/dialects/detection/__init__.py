"""Finds out which dialect an upstream speaks when settings name none; see ``detector``."""
