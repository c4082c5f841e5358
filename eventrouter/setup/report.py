"""What setup says: a line for each object, and a report for the watcher."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from eventrouter.errors import TargetError
from eventrouter.ops.setup_report import SetupReport

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Line:
    """What became of one object. If it is not good, something is left to do."""

    word: str
    object: str
    text: str
    is_good: bool

    def __str__(self) -> str:
        return f"{self.word:<10} {self.object}: {self.text}"


def reported(lines: Iterable[Line], path: Path, *, index: str, has_login: bool) -> Iterator[Line]:
    """Pass the lines on, then write the report of them. Until then, it says that the run did not
    end, as one that is killed never does.
    """

    def leave(is_complete: bool | None, *problems: str) -> None:
        try:
            SetupReport(index, is_complete, problems).write(path)
        except OSError as error:
            log.warning("The report %s cannot be written: %s", path, error.strerror)

    leave(False, "it did not end")
    problems: list[str] = []
    try:
        for line in lines:
            if not line.is_good:
                problems.append(f"{line.object}: {line.text}")
            yield line
    except TargetError as error:
        # The Secret for setup may be taken away after the first run.
        is_unknown = error.status == 401 and not has_login
        leave(None if is_unknown else False, *problems, str(error))
        raise
    leave(not problems, *problems)
