"""The signs of life of a reflector that has ended, and of the one after it."""

from __future__ import annotations

from eventrouter.capture.vitals import Vitals
from eventrouter.ops.health import Pulse
from eventrouter.ops.metrics import Metrics
from tests.support.clock import FakeClock


def test_a_reflector_that_was_given_up_leaves_its_successor_s_series_alone(
    metrics: Metrics, clock: FakeClock
) -> None:
    """Its thread may still wait for an API server that says nothing."""

    def begin() -> Vitals:
        return Vitals(
            namespace="shop", thread=Pulse(clock), link=Pulse(clock), metrics=metrics, clock=clock
        )

    def shown() -> float | None:
        name = "eventrouter_events_contact_timestamp_seconds"
        return metrics.registry.get_sample_value(name, {"namespace": "shop"})

    old = begin()
    old.end()
    assert shown() is None

    begin()
    began = clock.time()
    clock.advance(10)
    old.answered()

    assert shown() == began
