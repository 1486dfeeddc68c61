"""Which requests are searches: their path, their methods, and the dialect that finds the text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from ..core.arguments import check_arguments
from ..dialects.base import Dialect
from ..dialects.paths import PathGlobs
from ..dialects.plain import PlainDialect
from ..errors import ConfigurationError

MAX_PATH = 8192
"""The most characters of a search's path."""

_ABSOLUTE_FORM = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # token, RFC 9110, 5.6.2


class SearchRule:
    """Says which requests are searches.

    ``path`` is a glob for the canonical path: ``*`` matches within a segment, ``**`` any number
    of segments, also none; a slash at the end is ignored. The canonical path is decoded, has its
    dot segments resolved, and lacks the prefix of a mount. ``methods`` are HTTP methods.
    ``dialect`` finds the texts (default: the parameter or form field ``q``).

    Errors: ``ConfigurationError`` for a malformed path, missing or malformed methods, and a
    dialect of another type. Concurrency: immutable.
    """

    __slots__ = ("dialect", "methods", "pages", "path", "path_matches")

    def __init__(
        self,
        path: str = "/**",
        methods: str | Iterable[str] = ("GET", "POST"),
        dialect: Dialect | None = None,
    ) -> None:
        check_arguments(SearchRule.__init__, (self, path, methods), {})
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
        # The default needs no matching, which every request would pay for.
        self.path_matches = None if path == "/**" else globs.match

    def __repr__(self) -> str:
        return f"SearchRule({self.path!r}, {sorted(self.methods)}, {self.dialect.name!r})"

    @property
    def chosen(self) -> bool:
        """Whether the path selects requests, instead of matching every one."""
        return self.path_matches is not None


def first_match(rules: Sequence[SearchRule], method: str, path: str) -> SearchRule | None:
    """Return the first rule that matches a request, or ``None``, as for too long a path."""
    if len(path) > MAX_PATH:
        return None
    for rule in rules:
        if method in rule.methods and (rule.path_matches is None or rule.path_matches(path)):
            return rule
    return None


def canonical_path(scope: Mapping[str, Any]) -> str:
    """Return the path that rules match: the one that an origin server would serve.

    It is decoded (by the server, and once more if something is left, so that ``%252e`` hides
    nothing), its dot segments are resolved (RFC 3986, 5.2.4), repeated slashes are one, and a
    mount's prefix and the authority of an absolute form are removed. A path longer than
    ``MAX_PATH`` is returned as it is, and matches no rule.
    """
    path: str = scope["path"]
    if len(path) > MAX_PATH:
        return path
    root: str = scope.get("root_path", "")
    if root:
        root = root.rstrip("/")
        if path.startswith(root) and path[len(root) : len(root) + 1] in ("/", ""):
            path = path[len(root) :]
    if path[:1] != "/":
        absolute = _ABSOLUTE_FORM.match(path)
        path = path[absolute.end() :] if absolute else path
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
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    if kept and segment in ("", ".", ".."):  # a folder, whose path ends with a slash
        kept.append("")
    return "/" + "/".join(kept)
