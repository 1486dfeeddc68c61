"""The policy: which texts are rewritten, and which rewrites are sent."""

from __future__ import annotations

from dataclasses import dataclass, field

from .acceptance import Acceptance
from .admission import Admission


@dataclass(frozen=True)
class Policy:
    """Admission of texts and acceptance of rewrites, as one value.

    Concurrency: immutable; safe to share between threads.
    """

    admission: Admission = field(default_factory=Admission)
    acceptance: Acceptance = field(default_factory=Acceptance)

    @property
    def revision(self) -> str:
        """Text that differs for policies that may decide differently; part of the memo's keys."""
        return f"{self.admission.revision}/{self.acceptance.revision}"
