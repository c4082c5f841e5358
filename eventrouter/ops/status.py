"""The status page at `/`: one page with its style and script, which reads /metrics and /readyz.

Nothing is kept: the files are read when somebody asks, and the browser does the rest.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

_FOLDER = Path(__file__).parent
_STYLE = '<link rel="stylesheet" href="status.css">'
_SCRIPT = '<script src="status.js"></script>'


def page() -> tuple[bytes, dict[str, str]]:
    """The page and its headers. It may run this script, take this style and ask its own server."""
    html, style, script = (
        (_FOLDER / f"status.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js")
    )
    text = html.replace(_STYLE, f"<style>{style}</style>").replace(
        _SCRIPT, f"<script>{script}</script>"
    )
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
        f" connect-src 'self'; style-src {_hash(style)}; script-src {_hash(script)}"
    )
    return text.encode(), {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }


def _hash(text: str) -> str:
    """The source expression of an inline element with this text (CSP Level 3, 2.3.1)."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
