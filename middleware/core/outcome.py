"""The vocabulary of outcomes, reasons, sources and modes.

Headers, metrics, logs, the documentation and the tests use these words.
"""

from __future__ import annotations

from enum import StrEnum

from ..errors import ConfigurationError


class _Word(StrEnum):
    """A word of the vocabulary; hashes as fast as a text."""

    __hash__ = str.__hash__  # Enum's own is a Python call, at every look-up in the memo


class Outcome(_Word):
    """What happened to a query."""

    REWRITTEN = "rewritten"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    FALLBACK = "fallback"


class Source(_Word):
    """Where a rewrite came from: an engine run, the memo, or another caller's engine run."""

    ENGINE = "engine"
    MEMO = "memo"
    SHARED = "shared"


class Mode(_Word):
    """What is done with a rewrite.

    ``replace`` sends the rewrite, ``expand`` adds its new terms to the original,
    ``shadow`` computes and records it but sends the original, ``off`` does nothing.
    """

    REPLACE = "replace"
    EXPAND = "expand"
    SHADOW = "shadow"
    OFF = "off"

    @classmethod
    def parse(cls, word: str) -> Mode:
        """Return the mode of a name. Errors: ``ConfigurationError``, which lists the names."""
        try:
            return cls(word)
        except ValueError:
            raise ConfigurationError(f"mode {word!r} is none of {', '.join(cls)}") from None


_SKIPPED, _FALLBACK = Outcome.SKIPPED, Outcome.FALLBACK


class Reason(_Word):
    """Why a query was not rewritten; every reason belongs to exactly one outcome."""

    explanation: str
    outcome: Outcome

    def __new__(cls, word: str, outcome: Outcome, explanation: str) -> Reason:
        """Return a member whose value is its word."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.outcome = outcome
        member.explanation = explanation
        return member

    DISABLED = "disabled", _SKIPPED, "rewriting is switched off for this request"
    EMPTY = "empty", _SKIPPED, "the text has no words to rewrite"
    NO_TEXT = (
        "no_text",
        _SKIPPED,
        "the request holds no user's text in the places that were looked at; what is searched in "
        "fields of exact values alone, filters and exclusions are none",
    )
    TOO_SHORT = "too_short", _SKIPPED, "the text is too short to say anything about"
    TOO_LONG = (
        "too_long",
        _SKIPPED,
        "the text is longer than the policy admits, by default 512 characters and 80 words",
    )
    SYNTAX = "syntax", _SKIPPED, "the text uses query-language syntax or is code"
    QUOTED = "quoted", _SKIPPED, "the text asks for an exact phrase in quotation marks"
    IDENTIFIER = "identifier", _SKIPPED, "the text is a code, name or address to match as is"
    LANGUAGE = "language", _SKIPPED, "the text is in a language the model does not know"
    UNENCODABLE = "unencodable", _SKIPPED, "the text has characters the model cannot represent"
    FIXED = "fixed", _SKIPPED, "the request holds the text in another place, where it must stay"
    PAGED = "paged", _SKIPPED, "the request asks for a later page of an earlier search"
    RELATED = "related", _SKIPPED, "the request counts or groups the hits of another search"
    TYPING = "typing", _SKIPPED, "the text is still being typed"
    SIGNED = "signed", _SKIPPED, "the request is signed, so changing it would break it"
    SHADOW = "shadow", _SKIPPED, "the rewrite is computed and recorded but not used"
    NOT_READY = "not_ready", _SKIPPED, "the model is not loaded, or not yet"
    DIALECT_UNKNOWN = (
        "dialect_unknown",
        _SKIPPED,
        "the upstream has not told yet which search API it is",
    )

    TIMEOUT = "timeout", _FALLBACK, "the rewrite was not ready within the budget"
    OVERLOADED = "overloaded", _FALLBACK, "too many rewrites were waiting already"
    RATE_LIMITED = (
        "rate_limited",
        _FALLBACK,
        "the client asked for more new rewrites than one may have",
    )
    PREDICTED_LATE = (
        "predicted_late",
        _FALLBACK,
        "the rewrite would not have been ready within the budget",
    )
    BREAKER_OPEN = "breaker_open", _FALLBACK, "the engine failed too often and is rested"
    ENGINE_ERROR = "engine_error", _FALLBACK, "the engine failed on this text"
    REJECTED_EMPTY = "rejected_empty", _FALLBACK, "the model answered with nothing"
    REJECTED_LOOP = "rejected_loop", _FALLBACK, "the rewrite repeats itself"
    REJECTED_TRUNCATED = "rejected_truncated", _FALLBACK, "the rewrite has no end"
    REJECTED_UNKNOWN_TOKEN = (
        "rejected_unknown_token",
        _FALLBACK,
        "the rewrite holds pieces that are no text",
    )
    REJECTED_LOST_TERM = (
        "rejected_lost_term",
        _FALLBACK,
        "the rewrite lost a number, negation, unit, identifier or protected term",
    )
    REJECTED_DRIFT = "rejected_drift", _FALLBACK, "the rewrite is about something else"
    REJECTED_LANGUAGE = (
        "rejected_language",
        _FALLBACK,
        "the rewrite is in another language than the text",
    )
    REJECTED_LENGTH = "rejected_length", _FALLBACK, "the rewrite is far longer than the text"
