"""How far each namespace has come in this run: acked, delivered, or only begun. Pure."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from eventrouter.checkpoint.contents import Checkpoint, ResourceVersions
from eventrouter.forward.batch import Position, Positions


class Reached:
    """The positions of a run, beginning with those that it took over. Not thread-safe.

    `changes` grows with each change that a checkpoint would show.
    """

    def __init__(self, kept: Checkpoint, *, followed: AbstractSet[str]) -> None:
        """`followed` are the namespaces of this run. Positions of others are kept as they are."""
        self._source_id = kept.source_id
        self._buffer = kept.buffer
        self._followed = followed
        self._acked = _positions(kept.acked)
        self._delivered = _positions(kept.delivered)
        self._started = dict(kept.started)
        self._histories: dict[str, int] = {}
        self.changes = 0

    @property
    def acked(self) -> Positions:
        """Up to here everything is in the sidecar's buffer."""
        return self._acked

    @property
    def is_delivered(self) -> bool:
        """Whether all that is acked has left the buffer."""
        return self._delivered == self._acked

    def checkpoint(self) -> Checkpoint:
        """What to write down."""
        started = {
            namespace: resource_version
            for namespace, resource_version in self._started.items()
            if namespace not in self._delivered
        }
        return Checkpoint(
            self._source_id,
            self._buffer,
            _resource_versions(self._acked),
            _resource_versions(self._delivered),
            started,
        )

    def begin(self, namespace: str, resource_version: str) -> None:
        """A first list begins at this revision."""
        self._started[namespace] = resource_version
        self.changes += 1

    def ack(self, positions: Positions) -> None:
        """All up to these positions is in the sidecar's buffer now."""
        self._acked = self._moved(self._acked, positions)

    def deliver(self, positions: Positions) -> None:
        """All up to these positions, acked before, has left the buffer."""
        self._delivered = self._moved(self._delivered, positions)

    def go_back(self, namespace: str, history: int) -> None:
        """Forget a namespace: the API server's history went back, and this is its next one.

        From here on positions of its earlier histories change nothing. Those of namespaces that
        nobody follows now are of an earlier history for certain, and are forgotten as well.
        """
        known = self._acked.keys() | self._delivered.keys() | self._started.keys()
        forgotten = known - self._followed
        self._histories |= dict.fromkeys(forgotten, 1) | {namespace: history}
        self._acked = self._valid(self._acked)
        self._delivered = self._valid(self._delivered)
        for other in forgotten | {namespace}:
            self._started.pop(other, None)
        self.changes += 1

    def _moved(self, before: Positions, positions: Positions) -> Positions:
        after = before | self._valid(positions)
        self.changes += after != before
        return after

    def _valid(self, positions: Positions) -> Positions:
        return {
            namespace: position
            for namespace, position in positions.items()
            if position.history >= self._histories.get(namespace, 0)
        }


def _positions(kept: ResourceVersions) -> Positions:
    return {namespace: Position(resource_version) for namespace, resource_version in kept.items()}


def _resource_versions(positions: Positions) -> ResourceVersions:
    return {namespace: position.resource_version for namespace, position in positions.items()}
