"""An engine that says what nobody should, and an acceptance that lets all of it through."""

from __future__ import annotations

from middleware import Acceptance, Mode, Reason

NASTY = (
    '"}', '"},"filter":{"match_all":{}},"x":{"y":"', "'; DROP TABLE docs; --", "&q=b&fq=*:*",
    "%26q=b", "%0d%0aSet-Cookie: a=b", "a\r\nX-Injected: 1", "a\nb", "{!func}x", "{!edismax v=$qq}",
    "_val_:\"x\"", "x) OR (y", "\\", '\\"', "\\u0022", "+-a", "*:*", "-a", "a AND b", "NOT a",
    "\x00", "a\x00b", "\x1b[31m", "\u2028", "\ud800", "\ufeffa", "\u202eabc", "#", ";", "//",
    "a~2^3", "[1 TO 2}", "tag:old", "user:/ki.*/", "../../etc/passwd", "http://evil.test/",
    "${jndi:ldap://e}", "<script>alert(1)</script>", "{}", "[]", "null", "=", "a=b", "?",
    "é😀", "\t", "a" * 5000,
    '{"index":"secret"}\n{"query":{"match_all":{}}}', "index=secret", ",secret", "*", "_all",
)  # fmt: skip


class Credulous(Acceptance):
    """Accepts everything: what holds then holds by the editing of requests alone."""

    def check(self, original: str, rewrite: str, mode: Mode = Mode.REPLACE) -> Reason | None:
        """Accept."""
        return None

    def judge(
        self, original: str, rewrite: str, mode: Mode = Mode.REPLACE
    ) -> tuple[str | None, Reason | None]:
        """Accept."""
        return rewrite, None
