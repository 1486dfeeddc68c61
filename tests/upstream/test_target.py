"""The request target: whose bytes it has, and that the origin is never the client's choice."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware import ConfigurationError, RequestRefusedError, Upstream
from middleware.upstream.target import request_target


def scope(raw: bytes | None, query: bytes = b"", **more: Any) -> dict[str, Any]:
    """An ASGI scope as far as the target is concerned."""
    return {"type": "http", "method": "GET", "raw_path": raw, "query_string": query, **more}


@pytest.mark.parametrize(
    ("raw", "query"),
    [
        (b"/", b""),
        (b"/s", b"q=c%2B%2B+primer&u=%26z|w&t=a/b"),
        (b"/s", b"fq=a&q=x&fq=b&fq=a"),
        (b"/s", b"flag&empty=&=x&&"),
        (b"/s", b"q=caf\xe9&r=%E9&s=%zz&t=%"),
        (b"/idx%2Fv2/_search", b""),
        (b"/public/..%2fadmin/_search", b""),
        (b"/a/../b/./c", b""),
        (b"//10.0.0.9/x", b""),
        (b"/http://e/x", b""),
        (b"/s", b"a=1?b=2"),
        (b"/s;p=1", b'{}[]"<>^`\\'),
    ],
)
def test_bytes_are_kept(raw: bytes, query: bytes) -> None:
    """The target is the client's, byte for byte, after the base path."""
    tail = raw + (b"?" + query if query else b"")
    assert request_target(scope(raw, query)) == tail
    assert request_target(scope(raw, query), b"/base") == b"/base" + tail


@given(
    st.binary(max_size=40).map(lambda b: b"/" + bytes(c for c in b if c > 0x20 and c != 0x7F)),
    st.binary(max_size=40).map(lambda b: bytes(c for c in b if c > 0x20 and c != 0x7F)),
)
def test_any_visible_bytes_are_kept(raw: bytes, query: bytes) -> None:
    """No visible byte, ASCII or not, is changed."""
    raw = raw.replace(b"?", b"")
    assert request_target(scope(raw, query)) == raw + (b"?" + query if query else b"")


@given(
    st.integers(0, 0x20) | st.just(0x7F),
    st.sampled_from(["path", "query"]),
)
def test_bytes_that_split_a_request_line_are_refused(byte: int, place: str) -> None:
    """NUL, CR, LF, blanks and control bytes never reach the upstream."""
    bad = b"a" + bytes([byte]) + b"b"
    with pytest.raises(RequestRefusedError) as caught:
        request_target(scope(b"/" + bad) if place == "path" else scope(b"/", bad))
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("raw", "target"),
    [
        (b"http://e/x", b"/x"),
        (b"http://169.254.1.1/x", b"/x"),
        (b"HTTPS://user@e:1/x", b"/x"),
        (b"http://e", b"/"),
    ],
)
def test_absolute_form_loses_its_authority(raw: bytes, target: bytes) -> None:
    """A request target that names another host becomes a path on the fixed origin."""
    assert request_target(scope(raw)) == target
    assert request_target(scope(raw), b"/b") == (b"/b" + target if target != b"/" else b"/b")


@pytest.mark.parametrize("raw", [b"e:80", b"x/y", b"*", b"http:x", b"\xe9"])
def test_other_forms_are_refused(raw: bytes) -> None:
    """A target without a leading slash has no meaning for an origin server."""
    with pytest.raises(RequestRefusedError):
        request_target(scope(raw))


def test_asterisk_is_kept_for_options() -> None:
    """``OPTIONS *`` asks about the server as a whole, whatever the base path."""
    assert request_target(scope(b"*", method="OPTIONS"), b"/base") == b"*"
    with pytest.raises(RequestRefusedError):  # it has no query that could be sent on
        request_target(scope(b"*", b"a=b", method="OPTIONS"))


@pytest.mark.parametrize("raw", [None, b""])
def test_servers_without_raw_path(raw: bytes | None) -> None:
    """Where only the decoded path is known it is encoded again; a percent sign in it is data."""
    made = request_target(scope(raw, b"q=1", path="/a b/é/50%/x;y?"))
    assert made == b"/a%20b/%C3%A9/50%25/x;y%3F?q=1"


@pytest.mark.parametrize(
    ("root", "raw", "target"),
    [
        ("/search", b"/search/x", b"/x"),
        ("/search", b"/search", b"/"),
        ("/search/", b"/search/x", b"/x"),
        ("/search", b"/searches/x", b"/searches/x"),
        ("/search", b"/other", b"/other"),
        ("/a/b", b"/a/b/a/b/c", b"/a/b/c"),
        ("/sé", b"/s%C3%A9/x", b"/x"),
        ("/sé", b"/s%c3%a9/x%2Fy", b"/x%2Fy"),
        ("/s", b"/%73/x", b"/x"),
        ("/s", b"/%7/x", b"/%7/x"),
        ("/s", b"/%-1", b"/%-1"),
        ("", b"/x", b"/x"),
    ],
)
def test_a_mount_prefix_is_taken_off(root: str, raw: bytes, target: bytes) -> None:
    """``root_path`` names a place in this server, so it goes; only whole segments count."""
    assert request_target(scope(raw, root_path=root)) == target


@pytest.mark.parametrize(
    ("url", "host", "port", "base", "authority"),
    [
        ("http://localhost:9200", "localhost", 9200, b"", b"localhost:9200"),
        ("https://search.example/", "search.example", 443, b"", b"search.example"),
        ("http://Search.Example/v1/", "search.example", 80, b"/v1", b"search.example"),
        ("http://[::1]:7700/a%20b", "::1", 7700, b"/a%20b", b"[::1]:7700"),
        ("http://h:443", "h", 443, b"", b"h:443"),
        ("http://bücher.example", "xn--bcher-kva.example", 80, b"", b"xn--bcher-kva.example"),
        ("http://my_service", "my_service", 80, b"", b"my_service"),
    ],
)
def test_upstream_urls(url: str, host: str, port: int, base: bytes, authority: bytes) -> None:
    """A URL gives scheme, host, port and base; the default port is left out of Host."""
    upstream = Upstream.parse(url)
    assert (upstream.host, upstream.port, upstream.base) == (host, port, base)
    assert upstream.authority == authority


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("", "no scheme"),
        ("localhost:9200", "http://127.0.0.1:9200"),
        ("ftp://h", "only http and https"),
        ("http://", "no host"),
        ("http://:80", "no host"),
        ("http://h:99999", "can't be read"),
        ("http://h:x", "can't be read"),
        ("http://h:0", "port 0"),
        ("http://[::1", "can't be read"),
        ("http://u:p@h", "Authorization"),
        ("http://h/?q=1", "query or fragment"),
        ("http://h/#f", "query or fragment"),
        ("http://h/a b", "blanks"),
        (" http://h", "blanks"),
        ("http://h\r\nX: y", "blanks"),
        ("http://h/é", "percent-encoding"),
        ("http://-h", "malformed host"),
        ("http://a..b", "malformed host"),
        (f"http://{'a' * 64}", "malformed host"),
        ("http://é" + "a" * 300, "xn--"),
    ],
)
def test_wrong_urls_say_how_to_mend_them(url: str, hint: str) -> None:
    """Each mistake in an upstream's URL is named."""
    with pytest.raises(ConfigurationError, match="upstream") as caught:
        Upstream.parse(url)
    assert hint in str(caught.value)


def test_a_password_is_not_shown() -> None:
    """A URL's credentials stay out of the error message."""
    with pytest.raises(ConfigurationError) as caught:
        Upstream.parse("http://bob:hunter2@h")
    assert "hunter2" not in str(caught.value)


def test_target_of_an_upstream_has_its_base() -> None:
    """An upstream with a base path puts it before the client's path."""
    assert request_target(scope(b"/x", b"q"), Upstream.parse("http://h/v1").base) == b"/v1/x?q"
    assert str(Upstream.parse("http://h:80/v1/")) == "http://h/v1"
