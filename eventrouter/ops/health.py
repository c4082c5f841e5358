"""Health: what /livez and /readyz answer.

/livez fails only when one of the watcher's threads hangs. /readyz fails also when the API server or
the sidecar has not answered lately: an outage of theirs must not become a crash loop of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from eventrouter.clock import Clock

# Longer than any single wait of a healthy thread: a watch's read timeout is 114 s.
TURN_SECONDS = 300.0
# A dead link shows within two minutes, even if a probe asks only every ten seconds. Longer than a
# quiet watch, which the API server ends after 99 s at the latest.
CONTACT_SECONDS = 110.0


class Pulse:
    """When something last showed that it is alive. Beaten by the one thread that it is about."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: float | None = None

    def beat(self) -> None:
        """Note that it is alive now."""
        self._last = self._clock.monotonic()

    def age(self) -> float | None:
        """Seconds since the last beat; None before the first."""
        last = self._last
        return None if last is None else self._clock.monotonic() - last


class Health:
    """The pulses of all threads and links, the verdict on them, and notes beside it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._threads: dict[str, Pulse] = {}
        self._links: dict[str, Pulse] = {}
        self._notes: dict[str, str] = {}
        self._sources: list[Callable[[], Iterable[str]]] = []
        self._parts: list[Health] = []

    def thread(self, name: str) -> Pulse:
        """The pulse of one of the watcher's threads. It starts alive."""
        pulse = self._threads[name] = Pulse(self._clock)
        pulse.beat()
        return pulse

    def link(self, name: str) -> Pulse:
        """The pulse of a link to another program. It counts as down until the first beat."""
        pulse = self._links[name] = Pulse(self._clock)
        return pulse

    def note(self, name: str, text: str) -> None:
        """Something to know that makes nobody unready, such as a full buffer. "" takes it away."""
        self._notes[name] = text

    def add_notes(self, source: Callable[[], Iterable[str]]) -> None:
        """More notes, asked for when somebody wants them: what they tell of is kept elsewhere."""
        self._sources.append(source)

    def part(self) -> Health:
        """A part with pulses of its own, which counts until `drop_parts`."""
        part = Health(self._clock)
        self._parts.append(part)
        return part

    def drop_parts(self) -> None:
        """Forget all parts: what they were about is over."""
        self._parts.clear()

    def ailing(self) -> list[str]:
        """What is wrong with the watcher's threads, in plain words; empty when nothing is."""
        return [
            f"thread {name} has stood still for {age:.0f} s"
            for part in (self, *self._parts)
            for name, pulse in tuple(part._threads.items())
            if (age := pulse.age()) is not None and age > TURN_SECONDS
        ]

    def unready(self) -> list[str]:
        """Why the watcher is not ready, in plain words; empty when it is."""
        return self.ailing() + [
            f"{name}: " + ("not reached yet" if age is None else f"silent for {age:.0f} s")
            for part in (self, *self._parts)
            for name, pulse in tuple(part._links.items())
            if (age := pulse.age()) is None or age > CONTACT_SECONDS
        ]

    def notes(self) -> list[str]:
        """What else there is to know."""
        noted = [
            f"{name}: {text}"
            for part in (self, *self._parts)
            for name, text in tuple(part._notes.items())
            if text
        ]
        return noted + [note for source in self._sources for note in source()]
