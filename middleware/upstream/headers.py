"""Selects the header lines that pass through the proxy, and frames the request's body.

Lines are passed on as bytes, in order, including duplicates. Lines about one connection are dropped
in both directions (RFC 9110, 7.6.1): ``Connection`` and every name that it lists, ``Keep-Alive``,
``TE``, ``Trailer``, ``Transfer-Encoding``, ``Upgrade`` and the ``Proxy-`` fields of RFC 9110 and
RFC 7615. ``Proxy-Status`` (RFC 9209) is for the client and stays.

``Accept-Encoding`` and ``User-Agent`` stay as they are; none is added, so the client can read the
coding of every body. The server in front answers ``Expect: 100-continue`` as soon as the body is
read, so it is not sent on.

``Via`` is sent only with a configured pseudonym. RFC 9110 requires it, but common upstreams answer
differently because of it (nginx stops compressing). A request that comes back is recognized by
``CDN-Loop`` (RFC 8586), which changes no answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..core.arguments import check_fields
from ..errors import RequestRefusedError, UpstreamProtocolError

HeaderLines = list[tuple[bytes, bytes]]
Framing = Literal["none", "length", "chunked"]

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)

# Connection must not list these: dropping the lines that frame and address the message, or that say
# who sent it, would be an attack. Proxies in front identify clients by headers of many names.
_NEVER_LISTED = re.compile(
    rb"\A(?:(?:host|via|cdn-loop|origin|referer)\Z|content-)"
    rb"|auth|cookie|forwarded|client|user|tenant|-ip\Z|-token\Z|key|session|signature|dpop"
)
_LOOP = b"cdn-loop"
_REQUEST_DROPPED = HOP_BY_HOP | {b"host", b"content-length", b"expect"}
_BODYLESS = frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class Forwarding:
    """The headers about itself that a proxy adds to requests.

    ``preserve_host`` sends the client's ``Host`` instead of the upstream's. ``forwarded`` appends
    this hop to ``Forwarded`` (RFC 7239) and the ``X-Forwarded-`` lists; the client's own claims
    stay to the left of it, so only the last element can be trusted. ``via`` is a pseudonym for a
    ``Via`` line, and ``loop_id`` a name that no other proxy has for a ``CDN-Loop`` line (RFC 8586);
    ``None`` means no such line. A request that already has the ``loop_id`` is answered with 508.
    """

    preserve_host: bool = False
    forwarded: bool = False
    via: str | None = None
    loop_id: str | None = None

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, slots=True)
class RequestHeaders:
    """Builds the header lines of requests to one upstream, whose ``Host`` is ``authority``.

    ``Connection`` cannot take off lines whose lower-case names are in ``kept``, because decisions
    were made with them.
    """

    authority: bytes
    forwarding: Forwarding = Forwarding()
    kept: frozenset[bytes] = frozenset()

    def build(self, scope: Mapping[str, Any]) -> tuple[HeaderLines, Framing, int]:
        """Return the header lines without framing, the framing, and the declared length.

        ``none`` means that the client declared no body. The caller adds the framing line last
        (see ``add_framing``), because a server in front may deliver a body that was not declared
        (HTTP/2). Errors: ``RequestRefusedError`` for ambiguous framing, and for a request that has
        passed this proxy before.
        """
        lines: HeaderLines = [(b"host", self.authority)]
        dropped = _REQUEST_DROPPED
        length: bytes | None = None
        coding: bytes | None = None
        cookies: list[bytes] = []
        listed: set[bytes] | None = None
        host_seen = False
        join_cookies = scope.get("http_version", "1.1")[:1] not in ("0", "1")

        for name, value in scope["headers"]:
            if name not in dropped:
                name = name.lower()  # ASGI requires lower case; an outer app may differ
            if name not in dropped:
                if join_cookies and name == b"cookie":
                    cookies.append(value)  # HTTP/2 splits cookies (RFC 9113, 8.2.3)
                    continue
                # Not all servers drop the blanks around a value (RFC 9110, 5.5).
                lines.append((name, value.strip(b" \t")))
            elif name == b"content-length":
                if length is not None:
                    raise RequestRefusedError("more than one Content-Length")
                length = value
            elif name == b"transfer-encoding":
                coding = value if coding is None else coding + b", " + value
            elif name == b"connection":
                listed = (listed or set()) | _tokens(value)
            elif name == b"host" and self.forwarding.preserve_host:
                if host_seen:
                    raise RequestRefusedError("more than one Host")
                host_seen = True
                lines[0] = (b"host", value)

        if cookies:
            lines.append((b"cookie", b"; ".join(cookies)))
        if listed:
            listed = _removable(listed) - self.kept
            lines[1:] = [line for line in lines[1:] if line[0] not in listed]
        if self.forwarding.forwarded:
            lines = self._with_forwarded(lines, scope)
        if (via := self.forwarding.via) is not None:
            hop = f"{scope.get('http_version', '1.1')} {via}".encode("latin-1")
            lines = _append_to_lists(lines, {b"via": hop})

        if self.forwarding.loop_id is not None:
            lines = _with_loop_id(lines, self.forwarding.loop_id.encode("latin-1"))

        if coding is not None:
            if coding.strip().lower() != b"chunked":
                raise RequestRefusedError(
                    "only the transfer coding 'chunked' is supported", status=501
                )
            return lines, "chunked", 0  # a Content-Length beside it is void (RFC 9112, 6.3)
        if length is not None:
            length = length.strip(b" \t")
            if not length.isdigit() or len(length.lstrip(b"0")) > 19:
                raise RequestRefusedError("Content-Length is not a number")
            return lines, "length", int(length.lstrip(b"0") or b"0")
        return lines, "none", 0

    def _with_forwarded(self, lines: HeaderLines, scope: Mapping[str, Any]) -> HeaderLines:
        client = scope.get("client")
        address = str(client[0]).encode("latin-1", "replace") if client else b""
        proto = str(scope.get("scheme", "http")).encode("latin-1", "replace")
        host = next((value for name, value in scope["headers"] if name == b"host"), b"")
        added: dict[bytes, bytes] = {b"x-forwarded-proto": proto}
        node = b"unknown"
        if address:
            added[b"x-forwarded-for"] = address
            node = b'"[%b]"' % address if b":" in address else address
        element = b"for=%b;proto=%b" % (node, proto)
        if host:
            added[b"x-forwarded-host"] = host
            if b'"' not in host and b"\\" not in host:
                element += b';host="%b"' % host
        added[b"forwarded"] = element
        return _append_to_lists(lines, added)


def add_framing(lines: HeaderLines, framing: Framing, length: int) -> None:
    """Add the header line that frames the request's body; none if there is no body."""
    if framing == "length":
        lines.append((b"content-length", b"%d" % length))
    elif framing == "chunked":
        lines.append((b"transfer-encoding", b"chunked"))


def response_headers(
    raw: Iterable[tuple[bytes, bytes]], status: int
) -> tuple[HeaderLines, int | None]:
    """Return the header lines for the client (names in lower case), and the declared length.

    The length is ``None`` for a body that ends with its last chunk or with the connection.
    ``Content-Length`` is dropped beside a transfer coding, which overrides it, and from 204 and
    304 responses, because servers would compare it with their missing body. Errors:
    ``UpstreamProtocolError`` for a length that is no number, or two that differ.
    """
    lines: HeaderLines = []
    listed: set[bytes] | None = None
    coded = False
    length: int | None = None
    for name, value in raw:
        name = name.lower()
        if name in HOP_BY_HOP:
            if name == b"transfer-encoding":
                coded = True
            elif name == b"connection":
                listed = (listed or set()) | _tokens(value)
            continue
        if name == b"content-length":
            if not value.isdigit() or (length is not None and length != int(value)):
                raise UpstreamProtocolError("the upstream sent a malformed Content-Length")
            length = int(value)
        lines.append((name, value))
    if listed:
        listed = _removable(listed)
        lines = [line for line in lines if line[0] not in listed]
    if coded or status in _BODYLESS:
        length = None
        lines = [line for line in lines if line[0] != b"content-length"]
    return lines, length


def _tokens(value: bytes) -> set[bytes]:
    return {token.strip().lower() for token in value.split(b",")}


def _with_loop_id(lines: HeaderLines, own: bytes) -> HeaderLines:
    """Append this proxy to ``CDN-Loop``. Errors: ``RequestRefusedError`` if it is there already."""
    passed = [value for name, value in lines if name == _LOOP]
    if not passed:
        lines.append((_LOOP, own))
        return lines
    if own in {token.partition(b";")[0].strip() for token in b",".join(passed).split(b",")}:
        raise RequestRefusedError(
            "the upstream leads back to this proxy; check the setting upstream", status=508
        )
    return _append_to_lists(lines, {_LOOP: own})


def _removable(listed: set[bytes]) -> set[bytes]:
    return {name for name in listed if not _NEVER_LISTED.search(name)}


def _append_to_lists(lines: HeaderLines, added: Mapping[bytes, bytes]) -> HeaderLines:
    """Append each value to its comma list, and join the list's lines into one at the end.

    Servers differ in which of several lines they read.
    """
    values: dict[bytes, list[bytes]] = {name: [] for name in added}
    kept: HeaderLines = []
    for name, value in lines:
        if name in values:
            values[name].append(value)
        else:
            kept.append((name, value))
    kept += [(name, b", ".join([*values[name], value])) for name, value in added.items()]
    return kept
