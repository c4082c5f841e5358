"""A reflector's signs of life: that its thread goes on, and that the API server answers it."""

from __future__ import annotations

from eventrouter.clock import Clock
from eventrouter.ops.health import Pulse
from eventrouter.ops.metrics import Metrics


class Vitals:
    """The pulses of one reflector, and its metric of the API server's last good answer.

    The metric is there from the construction to `end`. It begins with the present time, so that an
    alert on its age fires also if the API server never answers.
    """

    def __init__(
        self, *, namespace: str, thread: Pulse, link: Pulse, metrics: Metrics, clock: Clock
    ) -> None:
        self._namespace = namespace
        self._thread = thread
        self._link = link
        self._last_answers = metrics.events_contact
        self._clock = clock
        self._has_ended = False
        self._note_answer()

    def turned(self) -> None:
        """The thread goes on."""
        self._thread.beat()

    def answered(self) -> None:
        """The API server answered a list or a watch of events as it should."""
        self._link.beat()
        self._note_answer()

    def idled(self) -> None:
        """The thread goes on, and asks the API server nothing: the queue is full."""
        self.turned()
        self.answered()

    def end(self) -> None:
        """The reflector has stopped, or is about to: its silence means nothing any more."""
        self._has_ended = True
        self._last_answers.remove(self._namespace)

    def _note_answer(self) -> None:
        if not self._has_ended:  # the series may be a successor's by now
            last_answers = self._last_answers
            last_answers.labels(self._namespace).set(self._clock.time())
