"""Logs on standard error: JSON by python-json-logger, or text for people."""

from __future__ import annotations

import logging
import sys

from pythonjsonlogger.json import JsonFormatter

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("json", "text")


class _TextFormatter(logging.Formatter):
    """A line for people: the message, then the extra fields as key=value."""

    _STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:
        line = super().formatMessage(record)
        extra = (
            f"{key}={value}"
            for key, value in vars(record).items()
            if key not in self._STANDARD and value not in ("", None)
        )
        return "  ".join((line, *extra))


def set_up(*, level: str, log_format: str) -> None:
    """Send all logs to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    if log_format == "json":
        handler.setFormatter(
            JsonFormatter(
                "{levelname}{name}{message}",
                style="{",
                rename_fields={"levelname": "level", "name": "logger"},
                timestamp="time",
            )
        )
    else:
        handler.setFormatter(_TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Its warnings repeat errors that the watcher logs itself.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
