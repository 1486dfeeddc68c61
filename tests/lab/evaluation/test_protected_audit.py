"""The audit of terms that no rewrite may alter."""

from __future__ import annotations

import pytest

from middleware.lab.evaluation.protected_audit import lost_terms


@pytest.mark.parametrize(
    ("clean", "sent", "missing"),
    [
        ("bike lamp 12v usb", "bike lamp usb", ["12v"]),
        ("phone case without logo", "phone case logo", ["without"]),
        ("rope 20 m long", "rope 20 long", ["m"]),
        ("i'm at the m of it", "the it", []),  # no number, no unit
        ("part 54-QR323014 gasket", "part 54-QR323015 gasket", ["54-qr323014"]),
        ("c++ vs c# speed", "c vs c# speed", ["c++"]),
        ("the role of Prieve in it", "the role of Grieve in it", ["prieve"]),
        ("The Role Of Prieve In It", "role grieve", []),  # a headline's capitals say nothing
        ("red shoes", "shoes", []),
        ("doesn't start in cold.", "start in cold", ["doesn't"]),
        ("size 12.", "SIZE 12", []),
        ("lung disease (COPD).", "lung disease (COPD)", []),
        ("i knew it. How do I, and why I'm late", "knew late", []),  # no names
        ("version 3...", "version 3", []),
        ("made in the u.s. by hand", "made in the u.s by hand", []),
    ],
)
def test_lost_terms_are_found(clean: str, sent: str, missing: list[str]) -> None:
    """Whole tokens are looked for, whatever their case."""
    assert lost_terms(clean, clean, sent) == missing


def test_what_was_misspelled_is_no_loss() -> None:
    """A name that was typed wrong may be mended."""
    assert lost_terms("the work of Prieve", "the work of Preive", "the work of Prieve") == []
    assert lost_terms("the work of Prieve", "the work of Preive", "the work") == []
