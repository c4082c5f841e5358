"""A trouble that lasts: logged when it begins and when it is over, not at every try in between."""

from __future__ import annotations

import logging

# A server may put something new into each of its messages, such as a revision or a time.
MAX_MESSAGES = 10


class Trouble:
    """One thing that can go wrong and be put right again, such as a link. Not thread-safe.

    Each different message is logged once until the trouble is over, and MAX_MESSAGES of them at
    most.
    """

    def __init__(self, log: logging.Logger, *, over: str, **extra: object) -> None:
        """`over` is the message for its end; `extra` are fields for every line."""
        self._log = log
        self._over = over
        self._extra = extra
        self._messages: set[str] = set()

    @property
    def is_on(self) -> bool:
        """Whether it has begun and is not over."""
        return bool(self._messages)

    def report(self, message: str, **extra: object) -> None:
        """Log this error, unless that has been done since the trouble began."""
        if message not in self._messages and len(self._messages) < MAX_MESSAGES:
            self._messages.add(message)
            self._log.error("%s", message, extra=self._extra | extra)

    def end(self) -> None:
        """Log that it is over, if it had begun."""
        if self._messages:
            self._messages.clear()
            self._log.info("%s", self._over, extra=self._extra)
