"""The policy: which texts are rewritten, and which rewrites are sent."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..errors import ConfigurationError
from .acceptance import Acceptance
from .admission import Admission


@dataclass(frozen=True)
class Policy:
    """Admission of texts and acceptance of rewrites, as one value.

    Errors: ``ConfigurationError`` for objects of other types. Concurrency: immutable; safe to share
    between threads.
    """

    admission: Admission = field(default_factory=Admission)
    acceptance: Acceptance = field(default_factory=Acceptance)

    def __post_init__(self) -> None:
        for name, method in (("admission", "check"), ("acceptance", "judge")):
            if not callable(getattr(getattr(self, name), method, None)):
                raise ConfigurationError(
                    f"policy: {name} must be an {name.capitalize()}, not {getattr(self, name)!r}"
                )

    @property
    def revision(self) -> str:
        """Text that differs for policies that may decide differently; part of the memo's keys."""
        return f"{self.admission.revision}/{self.acceptance.revision}"
