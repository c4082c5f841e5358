"""What `eventrouter check` found out about one link: a line for a person."""

from __future__ import annotations

from dataclasses import dataclass

_WORDS = {True: "ok", False: "FAIL", None: "?"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One link, and whether it is good. None: nobody can tell from here, which is no fault."""

    link: str
    is_good: bool | None
    what: str

    def __str__(self) -> str:
        return f"{_WORDS[self.is_good]:<4}  {self.link}: {self.what}"
