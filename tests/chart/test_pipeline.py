"""What the chart installs, at work on real programs: its account, its Lease, its config, its index
template, from a real API server into real Elasticsearch."""

from __future__ import annotations

import json

import pytest

from tests.chart.chart import CHART, ROOT, helm
from tests.programs import ApiRefused, Elasticsearch, Watcher
from tests.programs.jars import jdk
from tests.programs.required import required
from tests.support.events import state_id
from tests.support.waiting import eventually

pytestmark = pytest.mark.e2e

INDICES = "kube-events-*"
NAMESPACE = "logging"
# The node of the tests has no lifecycle management: that is in no published artifact.
TEMPLATE = json.loads((ROOT / "fluent" / "index" / "elasticsearch-template.json").read_text())
del TEMPLATE["template"]["settings"]["index"]["lifecycle"]


def odd(name, *, labels=None, annotations=None, **fields):
    return {
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "labels": labels or {},
            "annotations": annotations or {},
        },
        "involvedObject": {"kind": "Pod", "namespace": NAMESPACE, "name": "web"},
        "reason": "Odd",
        "message": name,
        "type": "Warning",
        **fields,
    }


ODD_EVENTS = [
    odd("label-app", labels={"app": "web"}),
    odd("label-app-name", labels={"app.kubernetes.io/name": "web", "app.kubernetes.io": "x"}),
    odd("label-date", labels={"released": "2024-01-01"}),
    odd("label-no-date", labels={"released": "never"}),
    odd("label-number", labels={"size": "1"}),
    odd("label-empty", labels={"empty": ""}),
    odd("annotations-json", annotations={"config.example.com/last": '{"a":{"b":[1,"x"]}}'}),
    odd("annotations-many", annotations={f"example.com/key-{n}": str(n) for n in range(1000)}),
    odd("annotations-long", annotations={"long": "ü" * 100_000}),
    odd("message-40k", message="x" * 40_000),
    odd("message-one-word", message="y" * 200_000),
    odd("reason-40k", reason="R" * 40_000),
    odd("times-null", firstTimestamp=None, lastTimestamp=None, eventTime=None),
    odd("year-1", firstTimestamp="0001-01-01T00:00:00Z", lastTimestamp="0001-01-01T00:00:01Z"),
    odd("year-2999", lastTimestamp="2999-12-31T23:59:59Z"),
    odd("count-huge", count=2**31 - 1),
    odd("count-below-zero", count=-1),
    odd("related", related={"kind": "Node", "name": "n1", "fieldPath": "spec.containers{web}"}),
    odd("unicode", message="日本語 \u2028 \U0001f600 \x00"),
    odd("dots", labels={"a.b": "1"}, annotations={"a.b.c": "2", "a.b": "3"}),
    odd("only-dots", annotations={"...": "1"}),
]

# A text where the first value had the look of a date; and more than a thousand fields.
REFUSED_BY_DYNAMIC_MAPPING = {"label-no-date", "annotations-many"}


@pytest.fixture(scope="module")
def elasticsearch(tmp_path_factory):
    home, java = required("elasticsearch"), jdk()
    assert java is not None
    folder = tmp_path_factory.mktemp("elasticsearch")
    with Elasticsearch(folder, home=home, jdk=java) as server:
        yield server


@pytest.fixture(params=["with-the-template", "without-it"])
def template(elasticsearch, request):
    elasticsearch.delete(INDICES)
    if request.param == "with-the-template":
        elasticsearch.request("PUT", "/_index_template/kube-events", TEMPLATE)
    yield request.param
    elasticsearch.delete(INDICES)
    if request.param == "with-the-template":
        elasticsearch.request("DELETE", "/_index_template/kube-events")


@pytest.fixture
def release(cluster):
    where = ("--kubeconfig", str(cluster.kubeconfig), "--namespace", NAMESPACE)
    helm("install", "try", str(CHART), *where)
    yield "try-eventrouter"
    helm("uninstall", "try", *where)


def kubeconfig_of(cluster, account, folder):
    """With the account's token, and nothing else."""
    config = json.loads(cluster.kubeconfig.read_text())
    token = cluster.client.token_of(account, namespace=NAMESPACE)
    config["users"][0]["user"] = {"token": token}
    file = folder / "account.kubeconfig"
    file.write_text(json.dumps(config))
    return file


@pytest.fixture
def sidecar(elasticsearch, start_sidecar):
    host = {"host": "127.0.0.1", "port": elasticsearch.port, "tls": {"enabled": False}}
    return start_sidecar({"outputs": {"elasticsearch": host}})


def test_every_odd_event_gets_from_the_api_into_elasticsearch(
    cluster,
    release,
    elasticsearch,
    template,
    sidecar,
    tmp_path,
):
    created: dict[str, str] = {}
    never_created = []
    for event in ODD_EVENTS:
        name = event["metadata"]["name"]
        metadata = {**event["metadata"], "name": f"{name}-{template}"}
        try:
            made = cluster.client.create_event({**event, "metadata": metadata})
        except ApiRefused:
            never_created.append(name)
        else:
            created[state_id(made)] = name
    assert never_created == ["only-dots"]

    def missing():
        there = set()
        if elasticsearch.count(INDICES):
            there = {document.id for document in elasticsearch.documents(INDICES)}
        return {name for id_, name in created.items() if id_ not in there}

    refused = set() if template == "with-the-template" else REFUSED_BY_DYNAMIC_MAPPING
    watcher = Watcher(
        tmp_path / "watcher",
        kubeconfig=kubeconfig_of(cluster, release, tmp_path),
        forward=sidecar.forward_url,
        checkpoint=f"lease:{NAMESPACE}/{release}",
        buffer_path=sidecar.buffer_path,
    )
    with watcher:
        eventually(lambda: missing() == refused, timeout=60, interval=1, what="the odd events")
        assert watcher.stop() == 0

    leases = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
    lease = cluster.client.call("GET", f"{leases}/{release}")
    checkpoint = json.loads(lease["metadata"]["annotations"]["eventrouter/checkpoint"])
    assert not lease["spec"]["holderIdentity"]
    # What is refused is tried for ever, and so not delivered.
    assert (checkpoint["delivered"] == checkpoint["acked"]) == (not refused)
    printed = {
        json.loads(line)["id"]
        for line in sidecar.log_path.read_text().split("\n")
        if line.startswith('{"verb"')
    }
    assert created.keys() <= printed
