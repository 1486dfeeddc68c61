"""How far a page reaches beyond a narrow screen, in a real browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from html import unescape
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from middleware.serving.server import served_in_thread

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--virtual-time-budget=6000", "--dump-dom", "--window-size=1600,1200"),
)
# A window has a least width, a frame has none, and counts as the viewport.
_PAGE = """<!doctype html><body><pre id=found></pre><script>
const targets = JSON.parse(decodeURIComponent(location.hash.slice(1))), found = [];
for (const [target, width] of targets) {
  const frame = document.createElement("iframe");
  frame.style.width = width + "px"; frame.style.height = "844px"; frame.style.border = "0";
  frame.src = target; document.body.append(frame);
  setTimeout(() => {
    const inner = frame.contentDocument, beyond = [];
    for (const each of inner.querySelectorAll("body *")) {
      const box = each.getBoundingClientRect();
      if (box.right > width + 1) beyond.push(each.tagName + "." + each.className);
    }
    found.push({target, width, reaches: inner.documentElement.scrollWidth,
      text: inner.body.textContent.length, beyond: beyond.slice(0, 5)});
    document.getElementById("found").textContent = JSON.stringify(found);
  }, 4000);
}
</script>"""


def framed(app: ASGIApp) -> ASGIApp:
    """Return the app with a page that shows its other pages in frames."""

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/frames":
            headers = [(b"content-type", b"text/html")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": _PAGE.encode()})
            return

        async def framable(message: Message) -> None:
            if message["type"] == "http.response.start":
                lines = [
                    line for line in message["headers"] if line[0] != b"content-security-policy"
                ]
                message = {**message, "headers": lines}
            await send(message)

        await app(scope, receive, framable)

    return served


def measured(
    app: ASGIApp, targets: Sequence[tuple[str, int]], folder: Path
) -> list[dict[str, Any]]:
    """Return what each target shows at a width, and how far it reaches."""
    with served_in_thread(framed(app)) as url:
        page = f"{url}/frames#{json.dumps([*map(list, targets)])}"
        done = subprocess.run(
            [str(BROWSER), *_FLAGS, f"--user-data-dir={folder}", page],
            capture_output=True,
            check=True,
            timeout=90,
        )
    shown = re.search(r'<pre id="found">(.*?)</pre>', done.stdout.decode(), re.S)
    assert shown is not None
    found: list[dict[str, Any]] = json.loads(unescape(shown[1]))
    return found
