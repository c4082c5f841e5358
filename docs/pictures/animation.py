"""A terminal session as an SVG: text that can be selected, moved by CSS, light and dark. Pure.

All complete lines of the session stand below each other on one strip. The last line is written over
and over: its texts stand on a strip of their own. A frame moves both strips to the place that shows
it. The last frame comes first, so a viewer without animation shows it too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

from tests.support.display import Run

_CELL_WIDTH, _LINE_HEIGHT, _BASELINE = 8.4, 20, 15
_PADDING, _BAR = 16, 34
_HOLD_SECONDS = 6.0  # for the last frame

# Styles of the terminal, by the codes of Select Graphic Rendition.
_CLASSES = {"1": "bold", "2": "dim", "32": "green", "33": "yellow", "36": "cyan"}

_STYLE = """\
    svg {{
      --page: #ffffff; --edge: #d1d9e0; --bar: #f6f8fa; --dot: #d1d9e0; --text: #1f2328;
      --dim: #59636e; --green: #116329; --yellow: #9a6700; --cyan: #0550ae;
      color-scheme: light dark;
    }}
    @media (prefers-color-scheme: dark) {{
      svg {{
        --page: #0d1117; --edge: #3d444d; --bar: #151b23; --dot: #3d444d; --text: #f0f6fc;
        --dim: #9198a1; --green: #3fb950; --yellow: #d29922; --cyan: #39c5cf;
      }}
    }}
    text {{
      fill: var(--text); white-space: pre;
      font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
    }}
    .bold {{ font-weight: bold; }} .dim {{ fill: var(--dim); }} .green {{ fill: var(--green); }}
    .yellow {{ fill: var(--yellow); }} .cyan {{ fill: var(--cyan); }}
    .lines, .last {{ animation: {seconds}s step-end infinite; }}
    .lines {{ transform: translateY({lines_end}px); animation-name: lines; }}
    .last {{ transform: translateY({last_end}px); animation-name: last; }}
    @keyframes lines {{ {lines_frames} }}
    @keyframes last {{ {last_frames} }}
    @media (prefers-reduced-motion: reduce) {{ .lines, .last {{ animation: none; }} }}
"""


class Frame(NamedTuple):
    """What a terminal shows from a time on: all complete lines so far, and the last one."""

    seconds: float
    lines: list[list[Run]]
    last: list[Run]


def animation(frames: Sequence[Frame], *, columns: int, lines: int, title: str) -> str:
    """The text of an SVG that shows the frames over and over, each line at most `columns` wide."""
    seconds = frames[-1].seconds + _HOLD_SECONDS
    rows = lines - 1  # for complete lines; the last line stands below them
    lasts = list(dict.fromkeys(tuple(frame.last) for frame in frames))
    scrolled = [(rows - len(frame.lines)) * _LINE_HEIGHT for frame in frames]
    chosen = [-lasts.index(tuple(frame.last)) * _LINE_HEIGHT for frame in frames]
    times = [100 * (frame.seconds + _HOLD_SECONDS) / seconds for frame in frames]
    style = _STYLE.format(
        seconds=f"{seconds:.1f}",
        lines_end=scrolled[-1],
        last_end=chosen[-1],
        lines_frames=_keyframes(times, scrolled),
        last_frames=_keyframes(times, chosen),
    )
    width, height = round(columns * _CELL_WIDTH), lines * _LINE_HEIGHT
    seen = {
        at for frame in frames for at in range(max(0, len(frame.lines) - rows), len(frame.lines))
    }
    return "\n".join(
        [
            '<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="title"'
            f' viewBox="0 0 {width + 2 * _PADDING} {height + _BAR + _PADDING}">',
            f'  <title id="title">{escape(title)}</title>',
            f"  <style>\n{style}  </style>",
            *_window(width + 2 * _PADDING, height + _BAR + _PADDING),
            f'  <svg x="{_PADDING}" y="{_BAR}" width="{width}" height="{rows * _LINE_HEIGHT}">',
            '    <g class="lines">',
            *(_text(frames[-1].lines[at], at) for at in sorted(seen)),
            "    </g>",
            "  </svg>",
            f'  <svg x="{_PADDING}" y="{_BAR + rows * _LINE_HEIGHT}" width="{width}"'
            f' height="{_LINE_HEIGHT}">',
            '    <g class="last">',
            *(_text(last, at) for at, last in enumerate(lasts)),
            "    </g>",
            "  </svg>",
            "</svg>",
            "",
        ]
    )


def _keyframes(times: Sequence[float], shifts: Sequence[int]) -> str:
    """CSS keyframes, each of which holds until the next. The last of all comes first, too."""
    found = [f"0%, 100% {{ transform: translateY({shifts[-1]}px); }}"]
    before = shifts[-1]
    for time, shift in zip(times[:-1], shifts[:-1], strict=True):
        if shift != before:
            found.append(f"{time:.2f}% {{ transform: translateY({shift}px); }}")
        before = shift
    return " ".join(found)


def _window(width: int, height: int) -> Iterator[str]:
    yield (
        f'  <rect x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="8"'
        ' style="fill: var(--page); stroke: var(--edge)"/>'
    )
    for number in range(3):
        x = _PADDING + 6 + 18 * number
        yield f'  <circle cx="{x}" cy="17" r="5.5" style="fill: var(--dot)"/>'


def _text(runs: Sequence[Run], row: int) -> str:
    """A line. Its parts have places of their own, whatever font the viewer has."""
    parts = []
    cell = 0
    for run in runs:
        name = _CLASSES.get(run.style, "")
        for text in re.split(r"(?<=…)|(?<=  )(?=\S)", run.text):
            if text:
                style = f' class="{name}"' if name else ""
                x = f"{cell * _CELL_WIDTH:.1f}".removesuffix(".0")
                parts.append(f'<tspan x="{x}"{style}>{escape(text)}</tspan>')
                cell += len(text)
    y = row * _LINE_HEIGHT + _BASELINE
    return f'      <text y="{y}" xml:space="preserve">{"".join(parts)}</text>'
