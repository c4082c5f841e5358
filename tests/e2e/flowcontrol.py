"""The API server's own flow control, set so that one account's look-ups of pods wait or get 429."""

from __future__ import annotations

from contextlib import suppress
from threading import Thread
from typing import Any, Literal

import urllib3

from tests.e2e.objects import NAMESPACE
from tests.programs import ApiServer, KubeClient
from tests.support.waiting import eventually

Json = dict[str, Any]

_API = "/apis/flowcontrol.apiserver.k8s.io/v1"
_NAME = "look-ups"
# So many requests may wait; the next ones get 429.
_WAITING = {"429": 1, "wait": 1000}
# A request that gives a deadline waits for a quarter of that, and gets 429 then.
_PATH = f"/api/v1/namespaces/{NAMESPACE}/pods/none"
_PROBE, _STOPGAP = f"{_PATH}?timeout=400ms", f"{_PATH}?timeout=60s"


class FlowControl:
    """A priority level without a seat, of which one ServiceAccount's requests for pods are."""

    def __init__(self, apiserver: ApiServer, account: str) -> None:
        self._client = apiserver.client
        self._account = account
        token = self._client.token_of(account)
        self.as_account = KubeClient(apiserver.url, ca_file=apiserver.ca_file, token=token)

    def let(self, what: Literal["429", "wait"]) -> None:
        """From when this returns, each such request gets 429, for about 15 s, or waits."""
        limited = {
            "nominalConcurrencyShares": 0,
            "lendablePercent": 0,
            "borrowingLimitPercent": 0,
            "limitResponse": {
                "type": "Queue",
                "queuing": {"queues": 1, "handSize": 1, "queueLengthLimit": _WAITING[what]},
            },
        }
        level = {"metadata": {"name": _NAME}, "spec": {"type": "Limited", "limited": limited}}
        self._client.call("POST", f"{_API}/prioritylevelconfigurations", level)
        rule = {
            "subjects": [
                {
                    "kind": "ServiceAccount",
                    "serviceAccount": {"namespace": "default", "name": self._account},
                }
            ],
            "resourceRules": [
                {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "namespaces": ["*"]}
            ],
        }
        schema = {
            "priorityLevelConfiguration": {"name": _NAME},
            "matchingPrecedence": 100,
            "rules": [rule],
        }
        schemas = f"{_API}/flowschemas"
        self._client.call("POST", schemas, {"metadata": {"name": _NAME}, "spec": schema})
        self._wait_for(429)
        if what == "429":
            Thread(target=self._fill, daemon=True).start()
            eventually(self._is_full, timeout=30, what="a request that waits")

    def lift(self) -> None:
        """Such requests are as all others again."""
        for kind in ("flowschemas", "prioritylevelconfigurations"):
            self._client.call("DELETE", f"{_API}/{kind}/{_NAME}")
        self._wait_for(404)

    def _fill(self) -> None:
        with suppress(urllib3.exceptions.HTTPError):  # the API server may end before it answers
            self.as_account.request("GET", _STOPGAP)

    def _is_full(self) -> bool:
        metric = "apiserver_flowcontrol_current_inqueue_requests"
        text = self._client.request("GET", "/metrics").data.decode()
        lines = (line for line in text.splitlines() if line.startswith(metric))
        return any(_NAME in line and line.endswith(" 1") for line in lines)

    def _wait_for(self, status: int) -> None:
        eventually(
            lambda: self.as_account.request("GET", _PROBE).status == status,
            timeout=30,
            what=f"the status {status}",
        )
