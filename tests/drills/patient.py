"""A client that outlives outages of the API server, so that the load's ledger stays complete."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import urllib3

from tests.programs import ApiRefused, KubeClient
from tests.programs.kubeclient import Group, Json

PATIENCE_SECONDS = 300.0
_PAUSE_SECONDS = 0.3
_PASSING = (429, 500, 502, 503, 504)
# A 403 of an API server that has just started (apiserver/pkg/admission/initializer).
_NOT_YET = "not yet ready to handle request"


class PatientClient(KubeClient):
    """Writes again what got no answer, and finds out what became of it.

    Each event is changed by one caller at a time, so what stands there after a lost answer is the
    state that this very write has made, or the one before it. A patch that took effect changes
    nothing when it is repeated; a create or an update that did is refused with a 409, and then the
    answer is what stands there, as core/v1.
    """

    def create_event(self, event: Json, *, group: Group = "core") -> Json:
        """As KubeClient's, however long it takes."""
        write = super().create_event
        return self._see_through(lambda: write(event, group=group), event["metadata"])

    def update_event(self, event: Json, *, group: Group = "core") -> Json:
        """As KubeClient's, however long it takes."""
        write = super().update_event
        return self._see_through(lambda: write(event, group=group), event["metadata"])

    def patch_event(self, namespace: str, name: str, patch: Json, *, group: Group = "core") -> Json:
        """As KubeClient's, however long it takes."""
        write = super().patch_event
        return self._see_through(
            lambda: write(namespace, name, patch, group=group),
            {"namespace": namespace, "name": name},
        )

    def _see_through(self, write: Callable[[], Json], metadata: Json) -> Json:
        deadline = time.monotonic() + PATIENCE_SECONDS
        may_have_been_done = False
        while True:
            try:
                return write()
            except ApiRefused as error:
                if error.status == 409 and may_have_been_done:
                    write = partial(self.call, "GET", _path(metadata))
                    continue
                is_passing = error.status in _PASSING or _NOT_YET in str(error)
                if not is_passing or time.monotonic() > deadline:
                    raise
            except urllib3.exceptions.HTTPError:
                if time.monotonic() > deadline:
                    raise
            may_have_been_done = True
            time.sleep(_PAUSE_SECONDS)


def _path(metadata: Json) -> str:
    return f"/api/v1/namespaces/{metadata['namespace']}/events/{metadata['name']}"
