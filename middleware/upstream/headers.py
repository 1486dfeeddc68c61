"""Which header lines cross the proxy, and how the request's body is framed.

Lines are relayed as bytes, in order, duplicates included. Taken off in both directions is what
speaks about one connection only (RFC 9110, 7.6.1): ``Connection`` and every name that it lists,
``Keep-Alive``, ``TE``, ``Trailer``, ``Transfer-Encoding``, ``Upgrade`` and the ``Proxy-`` fields
of RFC 9110 and RFC 7615. ``Proxy-Status`` (RFC 9209) is meant for the client and stays.

Left as they are: ``Accept-Encoding`` (none is added where the client sent none, so bodies come
in a coding that the client can read) and ``User-Agent``. ``Expect: 100-continue`` is answered by
the server in front as soon as the body is asked for, so it isn't repeated upstream.

``Via`` is only sent when a pseudonym is configured: RFC 9110 asks for it, but common upstreams
change their answers for it (nginx stops compressing), and a transparent proxy should not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..errors import RequestRefusedError, UpstreamProtocolError

__all__ = ["HOP_BY_HOP", "Framing", "RequestHeaders", "add_framing", "response_headers"]

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

# A client that lists these in Connection would make the proxy drop what frames and addresses the
# message, which is an attack and never a wish.
_NEVER_LISTED = frozenset({b"content-length", b"host", b"content-type", b"content-encoding"})

_REQUEST_DROPPED = HOP_BY_HOP | {b"host", b"content-length", b"expect"}
_BODYLESS = frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class RequestHeaders:
    """How request headers are made for one upstream; pure, built once.

    ``authority`` is the upstream's ``Host``. ``preserve_host`` sends the client's instead.
    ``forwarded`` appends this hop to ``Forwarded`` (RFC 7239) and to the ``X-Forwarded-`` lists;
    what a client claims there is kept to the left of it, so only the last element can be
    trusted. ``via`` is a pseudonym for the ``Via`` list, or None.
    """

    authority: bytes
    preserve_host: bool = False
    forwarded: bool = False
    via: str | None = None

    def build(self, scope: Mapping[str, Any]) -> tuple[HeaderLines, Framing, int]:
        """The upstream's header lines without framing, the framing, and the declared length.

        ``none`` means that the client declared no body. The caller adds the framing line last
        (see ``add_framing``), as a server in front may deliver a body without declaring it
        (HTTP/2). Raises ``RequestRefusedError`` for ambiguous framing.
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
                name = name.lower()  # the contract says lower case; an embedding app may not
            if name not in dropped:
                if join_cookies and name == b"cookie":
                    cookies.append(value)  # HTTP/2 splits cookies (RFC 9113, 8.2.3)
                    continue
                # Blanks around a value are none of it (RFC 9110, 5.5); not all servers drop them.
                lines.append((name, value.strip(b" \t")))
            elif name == b"content-length":
                if length is not None:
                    raise RequestRefusedError("more than one Content-Length")
                length = value
            elif name == b"transfer-encoding":
                coding = value if coding is None else coding + b", " + value
            elif name == b"connection":
                listed = (listed or set()) | _tokens(value)
            elif name == b"host" and self.preserve_host:
                if host_seen:
                    raise RequestRefusedError("more than one Host")
                host_seen = True
                lines[0] = (b"host", value)

        if cookies:
            lines.append((b"cookie", b"; ".join(cookies)))
        if listed:
            listed -= _NEVER_LISTED
            lines[1:] = [line for line in lines[1:] if line[0] not in listed]
        if self.forwarded:
            lines = self._with_forwarded(lines, scope)
        if self.via is not None:
            hop = f"{scope.get('http_version', '1.1')} {self.via}".encode("latin-1")
            lines = _append_to_lists(lines, {b"via": hop})

        if coding is not None:
            if coding.strip().lower() != b"chunked":
                raise RequestRefusedError(
                    "only the transfer coding 'chunked' is supported", status=501
                )
            return lines, "chunked", 0  # a Content-Length beside it is void (RFC 9112, 6.3)
        if length is not None:
            length = length.strip(b" \t")
            if not length.isdigit() or len(length) > 19:
                raise RequestRefusedError("Content-Length is not a number")
            return lines, "length", int(length)
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
    """Add the one header line that frames the request's body; none for no body."""
    if framing == "length":
        lines.append((b"content-length", b"%d" % length))
    elif framing == "chunked":
        lines.append((b"transfer-encoding", b"chunked"))


def response_headers(
    raw: Iterable[tuple[bytes, bytes]], status: int
) -> tuple[HeaderLines, int | None]:
    """The header lines for the client (names in lower case) and the body's declared length.

    The length is None for a body that ends with its last chunk or with the connection.
    ``Content-Length`` is dropped beside a transfer coding, which overrides it, and from 204 and
    304 answers, whose (absent) body servers would count against it. Raises
    ``UpstreamProtocolError`` for a length that is no number or comes twice and differs.
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
        listed -= _NEVER_LISTED
        lines = [line for line in lines if line[0] not in listed]
    if coded or status in _BODYLESS:
        length = None
        lines = [line for line in lines if line[0] != b"content-length"]
    return lines, length


def _tokens(value: bytes) -> set[bytes]:
    return {token.strip().lower() for token in value.split(b",")}


def _append_to_lists(lines: HeaderLines, added: Mapping[bytes, bytes]) -> HeaderLines:
    """Append each value to its comma list, folding the list's lines into one at the end.

    Readers disagree about which of several lines counts, so one line is left.
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
