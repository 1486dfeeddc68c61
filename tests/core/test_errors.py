"""The exceptions' messages."""

from __future__ import annotations

from middleware import MissingExtraError


def test_a_missing_extra_is_told_with_both_ways_to_install_it() -> None:
    """From the index, and from a clone, where the index may have nothing of that name."""
    error = MissingExtraError("querylift eval", "eval")
    assert "pip install 'querylift[eval]'" in str(error)
    assert "from a clone pip install '.[eval]'" in str(error)
    assert error.extra == "eval"
