"""The values: all are known to the schema, and wrong ones are refused by their names."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.chart.chart import (
    CHART,
    env_of,
    one,
    outputs_of,
    pod_of,
    refusal,
    render,
    sidecar_of,
    watcher_of,
)

VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
ES = "elasticsearch"


def resolve(schema):
    reference = schema.get("$ref")
    return SCHEMA["definitions"][reference.rsplit("/", 1)[1]] if reference else schema


def test_schema_and_values_have_the_same_keys():
    def compare(schema, values, path):
        properties = resolve(schema).get("properties")
        if properties is None or path == "outputs.custom":
            return
        assert sorted(properties) == sorted(values), path
        for key, value in values.items():
            if isinstance(value, dict):
                compare(properties[key], value, f"{path}.{key}".strip("."))

    compare(SCHEMA, VALUES, "")


def test_schema_refuses_unknown_keys_wherever_it_names_any():
    def walk(schema, path):
        if isinstance(schema, dict):
            if "properties" in schema and path not in ("global", "outputs.custom"):
                assert schema.get("additionalProperties") is False, path
            for name, value in schema.get("properties", {}).items():
                walk(value, f"{path}.{name}".strip("."))
            for name, value in schema.get("definitions", {}).items():
                walk(value, name)

    walk(SCHEMA, "")


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"replicaCount": 2}, "replicaCount"),
        ({"watch": {"types": ["Warning"]}}, "types"),
        ({"image": {"name": "x"}}, "name"),
        ({"fluentBit": {"extraFilters": []}}, "extraFilters"),
        ({"outputs": {"splunk": {"enabled": True}}}, "splunk"),
        ({"outputs": {ES: {"hosts": ["a"]}}}, "hosts"),
        ({"outputs": {ES: {"password": "x"}}}, "password"),
        ({"outputs": {ES: {"auth": {"password": "x"}}}}, "password"),
        ({"outputs": {"kafka": {"tls": {"ca": "x"}}}}, "ca"),
        ({"persistence": {"size": "1Gi"}}, "size"),
        ({"metrics": {"podMonitor": {"enabled": True}}}, "podMonitor"),
        ({"networkPolicy": {"egress": []}}, "egress"),
    ],
)
def test_unknown_keys_are_refused_by_name(values, named):
    message = refusal(values)
    assert f"additional properties '{named}' not allowed" in message


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"replicas": "two"}, "/replicas"),
        ({"logLevel": "loud"}, "/logLevel"),
        ({"watch": {"namespaces": ["Team A"]}}, "/watch/namespaces/0"),
        ({"watch": {"oldEventCache": "much"}}, "/watch/oldEventCache"),
        ({"image": {"digest": "latest"}}, "/image/digest"),
        ({"image": {"pullPolicy": "Sometimes"}}, "/image/pullPolicy"),
        ({"outputs": {ES: {"port": "http"}}}, f"/outputs/{ES}/port"),
        ({"outputs": {ES: {"match": ""}}}, f"/outputs/{ES}/match"),
        ({"outputs": {"http": {"format": "xml"}}}, "/outputs/http/format"),
        ({"outputs": {"s3": {"keyFormat": "events"}}}, "/outputs/s3/keyFormat"),
        ({"outputs": {"custom": {"x": {"host": "h"}}}}, "/outputs/custom/x"),
        ({"buffer": {"size": "big"}}, "/buffer/size"),
        ({"metrics": {"monitor": {"kind": "Probe"}}}, "/metrics/monitor/kind"),
        ({"fluentBit": {"filters": [{"match": "*"}]}}, "/fluentBit/filters/0"),
    ],
)
def test_wrong_values_are_refused_by_their_key(values, named):
    assert f"at '{named}'" in refusal(values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"replicas": 2, "persistence": {"enabled": True}},
            "replicas: with persistence.enabled there can be one only",
        ),
        ({"outputs": {"stdout": {"enabled": False}}}, "outputs: none is on"),
        ({"outputs": {"http": {"enabled": True}}}, "outputs.http.host: must be set"),
        ({"outputs": {"opensearch": {"enabled": True}}}, "outputs.opensearch.host: must be set"),
        ({"outputs": {"kafka": {"enabled": True}}}, "outputs.kafka.brokers: must be set"),
        ({"outputs": {"s3": {"enabled": True}}}, "outputs.s3.bucket: must be set"),
        ({"outputs": {"loki": {"enabled": True}}}, "outputs.loki.host: must be set"),
        ({"outputs": {"forward": {"enabled": True}}}, "outputs.forward.host: must be set"),
        (
            {"outputs": {ES: {"host": "a", "eck": {"clusterName": "b"}}}},
            "outputs.elasticsearch: only one of host, cloudId and eck.clusterName",
        ),
        (
            {"outputs": {ES: {"host": "a", "auth": {"apiKeyKey": "k", "existingSecret": "s"}}}},
            "outputs.elasticsearch.auth.apiKeyKey: needs Fluent Bit 5.1.3 or newer,"
            " and fluentBit.image.tag is 5.1.1",
        ),
        (
            {"outputs": {ES: {"cloudId": "a:b"}}},
            "outputs.elasticsearch.cloudId: needs Fluent Bit 5.1.3 or newer",
        ),
        (
            {"outputs": {ES: {"host": "a", "auth": {"username": "elastic"}}}},
            "outputs.elasticsearch.auth.existingSecret: must be set",
        ),
        (
            {"outputs": {ES: {"host": "a", "tls": {"certKey": "tls.crt"}}}},
            "outputs.elasticsearch.tls: a client certificate needs",
        ),
        (
            {"outputs": {"http": {"enabled": True, "host": "a", "limit": "1M"}}},
            "outputs.http.limit: 1M is too little",
        ),
        (
            {"outputs": {"custom": {"stdout": {"name": "stdout"}}}},
            "outputs.custom.stdout: that name is taken",
        ),
        (
            {"outputs": {"custom": {"x": {"name": "nats", "limit": "7k"}}}},
            "outputs.custom.x.limit: 7k is too little",
        ),
    ],
)
def test_contradictions_are_refused_by_their_key(values, message):
    assert message in refusal(values)


@pytest.mark.parametrize(
    ("size", "bytes_"),
    [("1Gi", 107374182), ("20G", 2000000000), ("1.5Ti", 164926744166), ("10Mi", 8000000)],
)
def test_an_optional_output_gets_a_tenth_of_the_volume(size, bytes_):
    objects = render(
        values={
            "buffer": {"size": size},
            "outputs": {"custom": {"x": {"name": "nats"}, "y": {"name": "nats", "required": True}}},
        }
    )
    outputs = outputs_of(objects)
    assert outputs["x"]["storage.total_limit_size"] == str(bytes_)
    assert "storage.total_limit_size" not in outputs["y"]


def test_a_custom_output_with_a_wrong_name_is_refused():
    assert "'a b' does not match" in refusal({"outputs": {"custom": {"a b": {"name": "nats"}}}})


def test_a_limit_is_what_it_says():
    http = outputs_of(render("http"))["http"]
    assert http["storage.total_limit_size"] == str(50 * 2**20)


def test_required_outputs_are_never_cut():
    outputs = outputs_of(render("elasticsearch"))
    assert outputs.keys() == {"elasticsearch", "stdout"}
    for output in outputs.values():
        assert "storage.total_limit_size" not in output
        assert output["retry_limit"] == "no_limits"


def test_extra_wins():
    values = {"outputs": {ES: {"extra": {"trace_error": False, "workers": 4}}}}
    output = outputs_of(render("elasticsearch", values))["elasticsearch"]
    assert (output["trace_error"], output["workers"]) == (False, 4)


def test_given_variables_replace_ours():
    assert env_of(sidecar_of(render("overrides")))["HTTP_LISTEN"] == "0.0.0.0"


@pytest.mark.parametrize(
    ("values", "chunks"),
    [
        ({}, None),
        ({"outputs": {ES: {"host": "a"}}}, None),
        ({"outputs": {ES: {"host": "a"}, "custom": {"x": {"name": "nats"}}}}, "300"),
        ({"outputs": {"custom": {name: {"name": "nats"} for name in "abcd"}}}, "180"),
    ],
)
def test_chunks_in_memory_leave_descriptors_for_all_outputs_that_fail(values, chunks):
    assert env_of(sidecar_of(render(values=values))).get("MAX_CHUNKS_UP") == chunks


@pytest.mark.parametrize(
    ("case", "strategy"),
    [
        ("default", "RollingUpdate"),
        ("high-availability", "RollingUpdate"),
        ("persistence", "Recreate"),
        ("persistence-existing", "Recreate"),
    ],
)
def test_two_pods_never_share_a_volume(case, strategy):
    assert one(render(case), "Deployment")["spec"]["strategy"]["type"] == strategy


def test_the_node_agent_is_told_off_when_the_events_are_written_directly():
    for case, told in {
        "default": None,
        "loki": None,
        "elasticsearch": "true",
        "opensearch": "true",
    }.items():
        pod = one(render(case), "Deployment")["spec"]["template"]["metadata"]
        key = "fluentbit.io/exclude_stdout-fluent-bit"
        assert pod["annotations"].get(key) == told, case
        assert pod["annotations"]["kubectl.kubernetes.io/default-container"] == "fluent-bit"


def test_an_eck_cluster_takes_one_value():
    objects = render("elasticsearch-eck")
    env = env_of(sidecar_of(objects))
    assert env["ES_HOST"] == "quickstart-es-http.logging.svc"
    assert env["ES_USER"] == "elastic"
    assert env["ES_PASSWORD"] == {
        "secretKeyRef": {"name": "quickstart-es-elastic-user", "key": "elastic"}
    }
    assert env["ES_CA_FILE"] == "/etc/eventrouter/tls/elasticsearch/ca.crt"
    volumes = one(objects, "Deployment")["spec"]["template"]["spec"]["volumes"]
    assert {
        "name": "tls-elasticsearch",
        "secret": {
            "secretName": "quickstart-es-http-certs-public",
            "items": [{"key": "ca.crt", "path": "ca.crt"}],
        },
    } in volumes


def test_the_lease_has_no_spec_that_an_upgrade_could_undo():
    for case in ("default", "overrides"):
        assert set(one(render(case), "Lease")) == {"apiVersion", "kind", "metadata"}


def test_a_network_policy_opens_the_ports_of_the_outputs():
    egress = one(render("network-policy"), "NetworkPolicy")["spec"]["egress"]
    ports = [{port["port"] for port in rule["ports"]} for rule in egress]
    assert ports == [{53}, {6443}, {9243, 9094, 9092, 9000, 6514}, {3128}]
    egress = one(render("network-policy-default"), "NetworkPolicy")["spec"]["egress"]
    assert [{port["port"] for port in rule["ports"]} for rule in egress] == [{53}, {443, 6443}]


def test_a_probe_is_merged_into_its_default_and_null_takes_out():
    exec_probe = {"httpGet": None, "exec": {"command": ["eventrouter", "check"]}}
    watcher = watcher_of(render(values={"livenessProbe": exec_probe, "readinessProbe": None}))
    assert watcher["livenessProbe"] == {
        "exec": {"command": ["eventrouter", "check"]},
        "periodSeconds": 10,
        "timeoutSeconds": 5,
        "failureThreshold": 6,
    }
    assert "readinessProbe" not in watcher


def test_a_secret_with_only_a_client_certificate_needs_no_ca():
    tls = {"existingSecret": "client", "caKey": "", "certKey": "tls.crt", "keyKey": "tls.key"}
    objects = render(values={"outputs": {ES: {"host": "a", "tls": tls}}})
    assert "ES_CA_FILE" not in env_of(sidecar_of(objects))
    (volume,) = (item for item in pod_of(objects)["volumes"] if item["name"] == "tls-" + ES)
    assert [item["key"] for item in volume["secret"]["items"]] == ["tls.crt", "tls.key"]
