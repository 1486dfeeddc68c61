"""Which requests are searches: a path, methods, and the dialect that knows where the text is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from middleware.dialects.base import Dialect
from middleware.dialects.plain import PlainDialect
from middleware.errors import ConfigurationError

__all__ = ["SearchRule", "canonical_path", "first_match"]

_ABSOLUTE_FORM = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # token, RFC 9110, 5.6.2


class SearchRule:
    """Says which requests are searches.

    ``path`` is a glob on the canonical path: ``*`` stands for anything within a segment,
    ``**`` for anything across segments, ``/**/`` for a slash as well. The canonical path is
    decoded, has its dot segments resolved, and lacks the prefix of a mount. ``methods``
    are HTTP methods; ``dialect`` finds the texts (default: the parameter or form field ``q``).

    Errors: :class:`ConfigurationError` for a path without a leading slash, no or malformed
    methods, and what is no dialect. Concurrency: immutable.
    """

    __slots__ = ("_match", "dialect", "methods", "pages", "path")

    def __init__(
        self,
        path: str = "/**",
        methods: Iterable[str] = ("GET", "POST"),
        dialect: Dialect | None = None,
    ) -> None:
        if not path.startswith("/"):
            raise ConfigurationError(f"rule path {path!r} must start with '/'")
        if isinstance(methods, str):
            methods = (methods,)
        self.methods = frozenset(method.upper() for method in methods)
        wrong = [method for method in self.methods if not _METHOD.fullmatch(method)]
        if wrong or not self.methods:
            raise ConfigurationError(
                f"rule for {path!r} has {'no methods' if not wrong else f'the method {wrong[0]!r}'}"
                "; name some such as GET and POST"
            )
        if isinstance(dialect, str | type):
            raise ConfigurationError(
                f"rule for {path!r} has the dialect {dialect!r}; give an object, "
                "such as PlainDialect()"
            )
        self.path = path
        self.dialect = PlainDialect() if dialect is None else dialect
        self.pages: bool = getattr(self.dialect, "pages", True)
        pattern = None if path == "/**" or "*" not in path else _compile(path)
        self._match = None if pattern is None else pattern.fullmatch

    def __repr__(self) -> str:
        return f"SearchRule({self.path!r}, {sorted(self.methods)}, {self.dialect.name!r})"

    def matches(self, method: str, path: str) -> bool:
        """Tell whether a request with this method and canonical path is a search."""
        if method not in self.methods:
            return False
        if self._match is None:  # nothing to compile in it
            return self.path in ("/**", path)
        return self._match(path) is not None


def first_match(rules: Sequence[SearchRule], method: str, path: str) -> SearchRule | None:
    """Return the first rule that matches."""
    for rule in rules:
        if rule.matches(method, path):
            return rule
    return None


def canonical_path(scope: Mapping[str, Any]) -> str:
    """Return the path that rules judge: what an origin server would take the request for.

    Percent-encoding is undone (by the server, and once more where something is left, so
    that ``%252e`` hides nothing), dot segments are resolved (RFC 3986, 5.2.4), slashes in a
    row are one, a mount's prefix and the authority of an absolute form are taken off.
    """
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    if root:
        root = root.rstrip("/")
        if path.startswith(root) and path[len(root) : len(root) + 1] in ("/", ""):
            path = path[len(root) :]
    if path[:1] != "/":
        path = _ABSOLUTE_FORM.sub("", path, count=1)
    if "%" in path:
        path = unquote(path)
    if "/." in path or "//" in path:
        path = _resolved(path)
    return path or "/"


def _resolved(path: str) -> str:
    kept: list[str] = []
    segment = ""
    for segment in path.split("/"):
        if segment == "..":
            kept = kept[:-1]
        elif segment not in ("", "."):
            kept.append(segment)
    if kept and segment in ("", ".", ".."):  # what is in a folder is asked for
        kept.append("")
    return "/" + "/".join(kept)


def _compile(glob: str) -> re.Pattern[str]:
    parts = re.split(r"(/\*\*/|\*\*|\*)", glob)
    spelled = {"/**/": "/(?:.*/)?", "**": ".*", "*": "[^/]*"}
    return re.compile("".join(spelled.get(part) or re.escape(part) for part in parts), re.DOTALL)
