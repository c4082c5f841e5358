"""Record `make run` as a picture: docs/pictures/run.svg. Run this with `make recording`.

The recording is a real run. A new one differs by a port and by fractions of seconds: the demo plays
the events of its fixed seed, and the time zone is chosen so that the run starts at noon.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from docs.pictures.animation import Frame, animation
from tests.support.display import Display
from tests.support.terminal import Chunk, Terminal

PICTURE = Path(__file__).with_name("run.svg")
COLUMNS, LINES = 100, 22
SECONDS = 12  # until Ctrl-C, at least

# So that the last frame shows the header, the rows and the summary.
_FEW_ROWS_AFTER_A_HEADER = r"TIME [^\n]*\n(?:[^\n]*\n){2,8}[^\n]*\Z"
_TITLE = "make run: the events of a small cluster as a live table, and a summary at the end"


def record() -> list[Chunk]:
    """Run the demo on a terminal of its own, and stop it with Ctrl-C."""
    with Terminal(
        ("make", "run"), columns=COLUMNS, lines=LINES, environment={"TZ": _zone_with_noon_at_now()}
    ) as terminal:
        terminal.wait_for("ADDED")
        terminal.wait_for(f"0:{SECONDS:02}  ")
        terminal.wait_for(_FEW_ROWS_AFTER_A_HEADER)
        terminal.press_ctrl_c()
        if terminal.wait() != 0:
            raise SystemExit(f"make run failed:\n{terminal.output}")
    return terminal.chunks


def frames(chunks: list[Chunk]) -> list[Frame]:
    """What the terminal shows, at most one frame for each tenth of a second."""
    display = Display()
    display.feed("$ make run\n")
    found = [Frame(0.0, list(display.lines), [])]
    started = chunks[0].seconds - 1.0
    for chunk in chunks:
        display.feed(chunk.text)
        seconds = round(chunk.seconds - started, 1)
        frame = Frame(seconds, list(display.lines), list(display.last))
        if frame.seconds == found[-1].seconds:
            found.pop()
        found.append(frame)
    return found


def _zone_with_noon_at_now() -> str:
    """A TZ of POSIX, which has the hours west of Greenwich, in which the clock now says 12:00."""
    now = time.gmtime()
    west = now.tm_hour * 3600 + now.tm_min * 60 + now.tm_sec - 12 * 3600
    hours, rest = divmod(abs(west), 3600)
    return f"NOON{'-' if west < 0 else '+'}{hours}:{rest // 60:02}:{rest % 60:02}"


def main() -> None:
    """Write the picture."""
    PICTURE.write_text(
        animation(frames(record()), columns=COLUMNS, lines=LINES, title=_TITLE), encoding="utf-8"
    )
    print(f"Wrote {os.path.relpath(PICTURE)}")


if __name__ == "__main__":
    main()
