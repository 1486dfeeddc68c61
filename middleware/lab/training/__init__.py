"""Data builders, trainer and export: everything that made the bundled model.

Run ``python -m middleware.lab.training --data DIR --out DIR``. Nothing else in the
package imports this one, and torch, transformers, sentencepiece, wordfreq and tqdm
are imported only by the functions that need them.
"""
