"""Data builders, trainer and export of the bundled model.

``__main__`` is the command that runs them. torch, transformers, sentencepiece, wordfreq and
tqdm are imported only by the functions that need them.
"""
