"""What `eventrouter setup` leaves for the watcher to show: one small file for each output.

The two meet in this file only: the watcher never talks to a sink, and setup never to the watcher.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from math import nan
from pathlib import Path

from eventrouter.ops.finding import Finding

_MAX_BYTES = 64 * 1024
_UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class SetupReport:
    """How a run for one index ended. `is_complete` is None if it could not look, for lack of a
    login; `problems` is what it could not do, in plain words."""

    index: str
    is_complete: bool | None
    problems: tuple[str, ...] = ()

    def write(self, path: Path) -> None:
        """Replace the file at once, so that nobody reads half of it. Raises OSError."""
        part = path.with_name(f"{path.name}.part")
        part.write_text(json.dumps(asdict(self)), encoding="utf-8")
        os.replace(part, path)

    @classmethod
    def read(cls, path: Path) -> SetupReport:
        """The report in a file. One that is missing or unreadable is of a run that failed."""
        try:
            with path.open(encoding="utf-8") as file:
                content = json.loads(file.read(_MAX_BYTES))
            index, is_complete, problems = (
                content[key] for key in ("index", "is_complete", "problems")
            )
        except FileNotFoundError:
            return cls(_UNKNOWN, False, ("it left no report: read its log",))
        except (OSError, ValueError, KeyError, TypeError):
            return cls(_UNKNOWN, False, ("its report cannot be read",))
        is_known = is_complete is True or is_complete is False
        texts = problems if isinstance(problems, list) else [problems]
        return cls(str(index), is_complete if is_known else None, tuple(map(str, texts)))


class SetupReports:
    """The reports in these files, read whenever somebody asks: a later run replaces its file.

    A file's name, less its suffix, is the output's.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths

    def series(self) -> Iterator[tuple[Sequence[str], float]]:
        """The labels `output` and `index`, and 1 for an incomplete setup."""
        for path in self._paths:
            report = SetupReport.read(path)
            value = nan if report.is_complete is None else float(not report.is_complete)
            yield (path.stem, report.index), value

    def notes(self) -> Iterator[str]:
        """A line for each incomplete setup."""
        for finding in self.findings():
            if finding.is_good is False:
                yield f"{finding.link}: {finding.what}"

    def findings(self) -> Iterator[Finding]:
        """What the last run for each output came to."""
        for path in self._paths:
            report = SetupReport.read(path)
            what = {
                True: f"the setup of {report.index} is complete",
                None: f"nobody knows whether the setup of {report.index} is complete",
                False: f"the setup of {report.index} did not complete",
            }[report.is_complete]
            # Whatever a server has said, it is one line.
            problems = " ".join("; ".join(report.problems).split())
            what = f"{what}: {problems}" if problems else what
            yield Finding(f"setup {path.stem}", report.is_complete, what)
