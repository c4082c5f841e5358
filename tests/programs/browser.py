"""A headless Chromium in a test's hands, by the DevTools protocol over two pipes.

Messages are JSON, each with a NUL behind it (chromium.org, --remote-debugging-pipe: the browser
reads them from descriptor 3 and writes to descriptor 4).
"""

from __future__ import annotations

import base64
import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

from tests.programs.program import ProgramError

Json = dict[str, Any]

# The first answer includes the start, perhaps with a cold disk and beside two Java programs.
_SECONDS = 120.0
_WITH_PIPES = """
import os, sys
reads, writes = (os.dup(int(text)) for text in sys.argv[1:3])
reads, writes = (os.dup2(old, new) for old, new in ((reads, 23), (writes, 24)))
os.dup2(23, 3), os.dup2(24, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
_OPTIONS = (
    "--headless",
    "--remote-debugging-pipe",
    "--no-sandbox",  # for root in a container; the pages are our own
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
)


class Browser:
    """One browser with one page. `complaints` are what the page's console and policy said."""

    def __init__(self, program: Path, directory: Path) -> None:
        reads, self._writes = os.pipe()
        self._reads, writes = os.pipe()
        pipes = ("-c", _WITH_PIPES, str(reads), str(writes))
        profile = f"--user-data-dir={directory / 'profile'}"
        with (directory / "chromium.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, *pipes, str(program), *_OPTIONS, profile, "about:blank"],
                pass_fds=(reads, writes),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        os.close(reads)
        os.close(writes)
        self._unread = b""
        self._number = 0
        self._session: str | None = None
        self.complaints: list[str] = []
        try:
            self._open_page()
        except BaseException:
            self.__exit__()
            raise

    def _open_page(self) -> None:
        page = self._ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self._ask("Target.attachToTarget", targetId=page, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._ask(f"{domain}.enable")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._reads)
        os.close(self._writes)

    def look_like(self, *, width: int = 1100, height: int = 800, is_dark: bool = False) -> None:
        """The size of the window in CSS pixels, and the colours that the user prefers."""
        self._ask(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self._ask("Emulation.setEmulatedMedia", features=[scheme])

    def before_each_page(self, script: str) -> None:
        """Run this JavaScript in each page from now on, before its own."""
        self._ask("Page.addScriptToEvaluateOnNewDocument", source=script)

    def open(self, url: str) -> None:
        """Go there. Returns before the page's script has done its work."""
        error = self._ask("Page.navigate", url=url).get("errorText")
        if error:
            raise ProgramError(f"chromium cannot open {url}: {error}")

    def evaluate(self, expression: str) -> Any:
        """The value of this JavaScript in the page."""
        result = self._ask("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in result:
            raise ProgramError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def text(self, selector: str) -> str:
        """What is written in the first element that this selects; empty if there is none."""
        return str(self.evaluate(f"document.querySelector({selector!r})?.textContent ?? ''"))

    def picture(self, path: Path) -> None:
        """Write the whole page to this PNG file."""
        size = self._ask("Page.getLayoutMetrics")["cssContentSize"]
        shown = self._ask(
            "Page.captureScreenshot",
            captureBeyondViewport=True,
            clip={"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1},
        )
        path.write_bytes(base64.b64decode(shown["data"]))

    def _ask(self, method: str, **parameters: Any) -> Json:
        self._number += 1
        message: Json = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._writes, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + _SECONDS
        while True:
            answer = self._next(deadline)
            if answer.get("id") != self._number:
                self._note(answer)
            elif "error" in answer:
                raise ProgramError(f"{method}: {answer['error']}")
            else:
                result: Json = answer["result"]
                return result

    def _next(self, deadline: float) -> Json:
        while b"\0" not in self._unread:
            ready, _, _ = select.select([self._reads], [], [], deadline - time.monotonic())
            data = os.read(self._reads, 1 << 16) if ready else b""
            if not data:
                raise ProgramError("chromium does not answer")
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\0")
        message: Json = json.loads(line)
        return message

    def _note(self, message: Json) -> None:
        """Keep what a console would show in red: exceptions, blocked resources, errors."""
        method, said = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.complaints.append(str(said["exceptionDetails"]))
        elif method == "Log.entryAdded" and said["entry"]["level"] == "error":
            self.complaints.append(f"{said['entry']['source']}: {said['entry']['text']}")
