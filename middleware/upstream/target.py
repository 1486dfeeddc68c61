"""The origin that requests are sent to, and the bytes of their request target.

The origin comes from configuration only: whatever a client writes into the request target
(``//10.0.0.9/x``, ``http://elsewhere/x``) is a path on the configured upstream. Bytes are never
decoded and encoded again, so duplicate keys, keys without a value, ``%zz``, a raw ``0xE9`` and
encoded slashes arrive as the client sent them.

ASGI loses two things: a trailing ``?`` with an empty query string, unless the server marks it as
``serve`` does, and a fragment, which a client must not send.

A base path (``https://host/base``) is a prefix, not a boundary: a client's ``/../`` is sent on, and
an upstream that resolves it may leave the base.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from ..errors import ConfigurationError, RequestRefusedError
from ..http.extensions import BARE_QUERY

_DEFAULT_PORTS = {"http": 80, "https": 443}

# Path characters that need no escape (RFC 3986). "%" does: the fallback path is already decoded,
# so a percent sign in it is data.
_PATH_SAFE = "/!$&'()*+,;=:@~-._"

# Bytes that would end or split the request line, or that parsers read differently (RFC 9112, 3).
_UNSAFE_TARGET = re.compile(rb"[\x00-\x20\x7f]")
_UNSAFE_BASE = re.compile(r"[\x00-\x20\x7f-\U0010ffff]")
_ABSOLUTE_FORM = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
_HOST_NAME = re.compile(
    r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
    r"(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?"
)


@dataclass(frozen=True, slots=True)
class Upstream:
    """The origin that requests are forwarded to, and an optional base path.

    ``host`` is ASCII without brackets. ``base`` is empty, or starts with ``/`` and does not end
    with one.
    """

    scheme: str
    host: str
    port: int
    base: bytes = b""

    @classmethod
    def parse(cls, url: str) -> Upstream:
        """Return the upstream of a URL, ``http(s)://host[:port][/base]``.

        Errors: ``ConfigurationError``, with how to correct the URL.
        """
        shown = repr(_without_password(url))
        if not isinstance(url, str) or "://" not in url:
            raise ConfigurationError(
                f"upstream {shown} has no scheme; write it like 'http://127.0.0.1:9200'"
            )
        if any(character <= " " or character == "\x7f" for character in url):
            raise ConfigurationError(
                f"upstream {shown} has blanks or control characters; remove them"
            )
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise ConfigurationError(
                f"upstream {shown} can't be read ({error}); write it like 'http://127.0.0.1:9200'"
            ) from None
        if parts.scheme not in _DEFAULT_PORTS:
            raise ConfigurationError(
                f"upstream {shown} has scheme {parts.scheme!r}; only http and https are supported"
            )
        if "@" in parts.netloc:
            raise ConfigurationError(
                f"upstream {shown} carries a user name or password; "
                "let clients send Authorization themselves and remove the part before '@'"
            )
        if "?" in url or "#" in url:
            raise ConfigurationError(
                f"upstream {shown} has a query or fragment; end it after the path"
            )
        if port == 0:
            raise ConfigurationError(f"upstream {shown} has port 0; name the port it listens on")
        base = parts.path.rstrip("/")
        if _UNSAFE_BASE.search(base):
            raise ConfigurationError(
                f"upstream {shown} has characters in its path that need percent-encoding"
            )
        return cls(
            scheme=parts.scheme,
            host=_ascii_host(parts.hostname, shown),
            port=port if port is not None else _DEFAULT_PORTS[parts.scheme],
            base=base.encode("ascii"),
        )

    @property
    def authority(self) -> bytes:
        """The value of the ``Host`` header, without the scheme's default port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        if self.port != _DEFAULT_PORTS[self.scheme]:
            host = f"{host}:{self.port}"
        return host.encode("ascii")

    @property
    def origin(self) -> str:
        """``scheme://host[:port]``, for logs."""
        return f"{self.scheme}://{self.authority.decode('ascii')}"

    def __str__(self) -> str:
        return self.origin + self.base.decode("ascii")


def request_target(scope: Mapping[str, Any], base: bytes = b"") -> bytes:
    """Return ``base`` and the request target of an ASGI scope, byte for byte.

    A mount's prefix (``root_path``) is removed, because it names a place in this server. A target
    in absolute form is reduced to its path (RFC 9112, 3.2.2). ``*`` is kept for ``OPTIONS``.
    Errors: ``RequestRefusedError`` for blanks, control bytes, and any other target without a
    leading slash.
    """
    raw: bytes | None = scope.get("raw_path")
    if not raw:
        path: str = scope.get("path", "") or "/"
        raw = quote(path.encode("utf-8", "surrogatepass"), safe=_PATH_SAFE).encode("ascii")
    root_path: str = scope.get("root_path", "")
    if root_path:
        raw = raw[_prefix_length(raw, root_path) :]
    query: bytes = scope.get("query_string", b"")

    if raw[:1] != b"/":
        absolute = _ABSOLUTE_FORM.match(raw)
        if absolute is not None:
            raw = raw[absolute.end() :]
        elif raw == b"*" and not query and scope.get("method") == "OPTIONS":
            return raw
        if raw and raw[:1] != b"/":
            raise RequestRefusedError("the request target must start with a slash")

    target = base + raw if raw else base or b"/"
    if query or BARE_QUERY in scope:
        target = b"%b?%b" % (target, query)
    if _UNSAFE_TARGET.search(target):
        raise RequestRefusedError("the request target has blanks or control bytes")
    return target


def _prefix_length(raw: bytes, root_path: str) -> int:
    """Return how many bytes of the percent-encoded ``raw`` are ``root_path``; 0 if none."""
    wanted = root_path.rstrip("/").encode("utf-8", "surrogatepass")
    if raw.startswith(wanted) and b"%" not in raw[: len(wanted)]:
        position = len(wanted)
    else:
        position = 0
        for byte in wanted:
            if raw[position : position + 1] == b"%":
                try:
                    decoded = int(raw[position + 1 : position + 3], 16)
                except ValueError:
                    return 0
                step = 3
            else:
                decoded = raw[position] if position < len(raw) else -1
                step = 1
            if decoded != byte:
                return 0
            position += step
    # "/app" is no prefix of "/apple": a mount ends with a segment.
    return position if raw[position : position + 1] in (b"/", b"") else 0


def _ascii_host(host: str | None, shown: str) -> str:
    if not host:
        raise ConfigurationError(f"upstream {shown} names no host")
    if ":" in host:  # urlsplit has checked the IP address in brackets
        return host
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            raise ConfigurationError(
                f"upstream {shown} has a host name that can't be encoded; use its xn-- form"
            ) from None
    if len(host) > 253 or not _HOST_NAME.fullmatch(host):
        raise ConfigurationError(
            f"upstream {shown} has a malformed host name; "
            "labels are 1 to 63 letters, digits, '-' or '_'"
        )
    return host


def _without_password(url: object) -> object:
    """Return a URL for an error message, with everything between ``://`` and ``@`` masked."""
    return re.sub(r"://[^/@]*@", "://***@", url) if isinstance(url, str) else url
