"""Which requests are searches: a path, methods, and the dialect that knows where the text is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from ..dialects.base import Dialect
from ..dialects.paths import PathGlobs
from ..dialects.plain import PlainDialect
from ..errors import ConfigurationError

__all__ = ["SearchRule", "canonical_path", "first_match"]

_ABSOLUTE_FORM = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # token, RFC 9110, 5.6.2


class SearchRule:
    """Says which requests are searches.

    ``path`` is a glob on the canonical path: ``*`` stands for anything within a segment,
    ``**`` for any number of segments, none included; a slash at the end does not count. The
    canonical path is decoded, has its dot segments resolved, and lacks the prefix of a mount.
    ``methods`` are HTTP methods; ``dialect`` finds the texts (default: the parameter or form
    field ``q``).

    Errors: ``ConfigurationError`` for a malformed path (see
    ``PathGlobs``), no or malformed methods, and what is no
    dialect. Concurrency: immutable.
    """

    __slots__ = ("_match", "dialect", "methods", "pages", "path")

    def __init__(
        self,
        path: str = "/**",
        methods: Iterable[str] = ("GET", "POST"),
        dialect: Dialect | None = None,
    ) -> None:
        globs = PathGlobs([path])
        if isinstance(methods, str):
            methods = (methods,)
        self.methods = frozenset(method.upper() for method in methods)
        wrong = [method for method in self.methods if not _METHOD.fullmatch(method)]
        if wrong or not self.methods:
            raise ConfigurationError(
                f"rule for {path!r} has {'no methods' if not wrong else f'the method {wrong[0]!r}'}"
                "; name some such as GET and POST"
            )
        dialect = PlainDialect() if dialect is None else dialect
        if not isinstance(dialect, Dialect):
            raise ConfigurationError(
                f"rule for {path!r} has the dialect {dialect!r}; give an instance of a subclass of "
                "Dialect, such as PlainDialect()"
            )
        self.path = path
        self.dialect = dialect
        self.pages = dialect.pages
        # Everything is not matched at all: it is the default, and on every request's way.
        self._match = None if path == "/**" else globs.match

    def __repr__(self) -> str:
        return f"SearchRule({self.path!r}, {sorted(self.methods)}, {self.dialect.name!r})"

    @property
    def chosen(self) -> bool:
        """Whether the path says which requests are searches, and does not take in every one."""
        return self._match is not None

    def matches(self, method: str, path: str) -> bool:
        """Tell whether a request with this method and canonical path is a search."""
        return method in self.methods and (self._match is None or self._match(path))


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
