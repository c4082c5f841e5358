"""Whether the watcher lives and whether it is of use: what /livez and /readyz answer.

Two different questions. Alive: our own threads still turn. Ready: the API server and the sidecar
have answered lately. An outage of theirs must never become a crash loop of ours, so it shows in
the second only.
"""

from __future__ import annotations

from eventrouter.clock import Clock

# Longer than anything a thread may rightly wait for in one go: a watch's read timeout is 114 s.
TURN_SECONDS = 300.0
# What is promised is that a dead link is seen within two minutes: ten seconds are for whoever asks.
# Longer than a watch in which nothing happens, which the server ends after 99 s at most.
CONTACT_SECONDS = 110.0


class Pulse:
    """The last time that something went on. Beaten by the one thread that it is about."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: float | None = None

    def beat(self) -> None:
        """It goes on."""
        self._last = self._clock.monotonic()

    def age(self) -> float | None:
        """Seconds since the last beat; None before the first."""
        last = self._last
        return None if last is None else self._clock.monotonic() - last


class Health:
    """The pulses of all threads and links, and the verdict on them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._threads: dict[str, Pulse] = {}
        self._links: dict[str, Pulse] = {}
        self._parts: list[Health] = []

    def thread(self, name: str) -> Pulse:
        """The pulse of a thread of ours. Its life begins now."""
        pulse = self._threads[name] = Pulse(self._clock)
        pulse.beat()
        return pulse

    def link(self, name: str) -> Pulse:
        """The pulse of a link to somebody else. It counts as down until the first beat."""
        pulse = self._links[name] = Pulse(self._clock)
        return pulse

    def part(self) -> Health:
        """A part with pulses of its own, which counts until `drop_parts`."""
        part = Health(self._clock)
        self._parts.append(part)
        return part

    def drop_parts(self) -> None:
        """What they were about is over: nothing of it can ail any more."""
        self._parts.clear()

    def ailing(self) -> list[str]:
        """What is wrong with our threads, in plain words; empty when nothing is."""
        return [
            f"thread {name} has stood still for {age:.0f} s"
            for part in (self, *self._parts)
            for name, pulse in tuple(part._threads.items())
            if (age := pulse.age()) is not None and age > TURN_SECONDS
        ]

    def unready(self) -> list[str]:
        """What keeps us from being of use, in plain words; empty when nothing does."""
        return self.ailing() + [
            f"{name}: " + ("not reached yet" if age is None else f"silent for {age:.0f} s")
            for part in (self, *self._parts)
            for name, pulse in tuple(part._links.items())
            if (age := pulse.age()) is None or age > CONTACT_SECONDS
        ]
