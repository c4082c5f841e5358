"""The outputs: a map from names to outputs, each strict by its type."""

from __future__ import annotations

import pytest
import yaml

from tests.chart.chart import (
    CHART,
    config_of,
    env_of,
    helm,
    one,
    outputs_of,
    pod_of,
    render,
    sidecar_of,
    template_of,
)
from tests.chart.output_types import COMMON, OutputTypes

TYPES = OutputTypes()
ES = "elasticsearch"


def names(values):
    return list(outputs_of(render(values=values)))


@pytest.mark.parametrize("name", TYPES.names)
def test_schema_and_chart_have_the_same_keys_of_a_type(name):
    def compare(schema, values, path):
        properties = TYPES.resolve(schema).get("properties")
        if properties is None:
            return
        keys = [key for key in properties if path or key not in (*COMMON, "enabled")]
        assert sorted(keys) == sorted(values), path
        for key, value in values.items():
            if isinstance(value, dict):
                compare(properties[key], value, f"{path}.{key}")

    compare(TYPES.schema(name), TYPES.table[name]["values"], "")


def test_every_type_of_the_schema_is_in_the_chart():
    assert TYPES.names == list(TYPES.table)


@pytest.mark.parametrize("name", TYPES.names)
def test_the_login_of_a_type_is_among_its_values(name):
    auth = TYPES.table[name]["values"].get("auth", {})
    for part in TYPES.table[name]["login"]:
        assert f"{part}Key" in auth


@pytest.mark.parametrize(
    ("path", "rendered"),
    [("search", "/search"), ("/search", "/search"), ("/a/b/", "/a/b"), ("/", None), ("", None)],
)
def test_a_path_before_the_api_begins_with_a_slash_and_ends_without(path, rendered):
    """Fluent Bit appends /_bulk to it."""
    output = {"type": "elasticsearch", "host": "search.test", "path": path}
    assert outputs_of(render(values={"outputs": {ES: output}}))[ES].get("path") == rendered


def test_several_outputs_at_once_also_of_one_type():
    outputs = outputs_of(render("several"))
    plugins = {alias: output["name"] for alias, output in outputs.items()}
    assert plugins == {
        "elasticsearch": "opensearch",
        "opensearch": "opensearch",
        "http": "http",
        "slack-platform": "http",
        "slack-shop": "http",
        "archive": "s3",
    }
    assert outputs["elasticsearch"]["host"] == "logs-es-http.logging.svc"
    assert outputs["opensearch"]["host"] == "opensearch"
    assert outputs["http"]["match"] == "optional.*.warning"
    env = env_of(sidecar_of(render("several")))
    for name, key in (("SLACK_PLATFORM", "path"), ("SLACK_SHOP", "shop")):
        alias = name.lower().replace("_", "-")
        assert outputs[alias]["uri"] == f"${{OUTPUT_{name}__PATH}}"
        reference = {"name": alias, "key": key}
        assert env[f"OUTPUT_{name}__PATH"] == {"secretKeyRef": reference}


@pytest.mark.parametrize(
    ("given", "on"),
    [
        ({}, ["stdout"]),
        ({ES: {"host": "a"}}, [ES, "stdout"]),
        ({ES: {"eck": {"clusterName": "a"}}}, [ES, "stdout"]),
        ({ES: {"host": "a", "enabled": False}}, ["stdout"]),
        ({ES: {"host": "a"}, "stdout": {"enabled": False}}, [ES]),
        ({ES: {"host": "a"}, "stdout": None}, [ES]),
        ({"k": {"type": "kafka"}}, ["stdout"]),
        ({"k": {"type": "kafka", "brokers": "a"}}, ["k", "stdout"]),
        ({"k": {"type": "kafka", "brokers": "a", "enabled": False}}, ["stdout"]),
        ({"second": {"type": "stdout", "match": "*.warning"}}, ["second", "stdout"]),
    ],
)
def test_an_output_with_an_address_is_on_unless_it_is_turned_off(given, on):
    assert names({"outputs": given}) == on


def test_values_files_change_single_keys_of_an_output_and_null_takes_one_out(tmp_path):
    files = []
    for number, values in enumerate(
        [
            {"a": {"type": "http", "host": "first"}, "b": {"type": "http", "host": "b"}},
            {"a": {"port": 8443}, "b": None, "stdout": {"match": "*.warning"}},
        ]
    ):
        path = tmp_path / f"{number}.yaml"
        path.write_text(yaml.safe_dump({"outputs": values}))
        files += ["--values", str(path)]
    objects = yaml.safe_load_all(helm("template", "x", str(CHART), *files))
    outputs = outputs_of([item for item in objects if item])
    assert list(outputs) == ["a", "stdout"]
    assert (outputs["a"]["host"], outputs["a"]["port"]) == ("first", 8443)
    assert outputs["stdout"]["match_regex"].endswith(r"(?:.*\.warning$)")


OPTIONAL = {"type": "custom", "plugin": "nats"}
REQUIRED = {**OPTIONAL, "required": True}


def test_optional_outputs_have_a_queue_and_required_ones_do_not_see_it():
    outputs = outputs_of(render(values={"outputs": {"x": OPTIONAL, "y": REQUIRED}}))
    assert outputs["x"]["match"] == "optional.*"
    for name in ("y", "stdout"):
        assert "match" not in outputs[name]
        assert outputs[name]["match_regex"] == "^(?!optional[.])(?:.+)"
    files = config_of(render(values={"outputs": {"x": OPTIONAL}}))
    # Its chunks must be the second input's: the watcher does not wait for those.
    includes = yaml.safe_load(files["fluent-bit.yaml"])["includes"]
    assert includes == ["pipeline.yaml", "optional.yaml"]
    own = CHART / "files" / "fluent" / "optional.yaml"
    assert files["optional.yaml"].strip() == own.read_text().strip()


@pytest.mark.parametrize(
    "outputs",
    [
        {},
        {"x": REQUIRED},
        {"stdout": {"required": False}},
        {"x": {"type": "custom", "plugin": "null"}},
        {"x": {**OPTIONAL, "enabled": False}},
    ],
)
def test_without_an_optional_output_there_is_no_queue(outputs):
    objects = render(values={"outputs": outputs})
    assert config_of(objects).keys() == {"fluent-bit.yaml", "pipeline.yaml"}
    for output in outputs_of(objects).values():
        assert output["match"] == "*"
        assert "storage.total_limit_size" not in output


@pytest.mark.parametrize(
    ("match", "optional", "required"),
    [
        ("*.warning", {"match": "optional.*.warning"}, r"^(?!optional[.])(?:.*\.warning$)"),
        ("kube.*", {"match": "optional.kube.*"}, r"^(?!optional[.])(?:kube\..*$)"),
    ],
)
def test_tags_are_chosen_in_the_queue_as_outside(match, optional, required):
    values = {"x": {**OPTIONAL, "match": match}, "y": {**REQUIRED, "match": match}}
    outputs = outputs_of(render(values={"outputs": values}))
    assert optional.items() <= outputs["x"].items()
    assert outputs["y"]["match_regex"] == required


def test_tags_by_a_regular_expression_take_the_place_of_match():
    extra = {"extra": {"match_regex": "^kube[.]"}}
    values = {"x": {**OPTIONAL, **extra}, "y": {**REQUIRED, **extra}}
    outputs = outputs_of(render(values={"outputs": values}))
    assert outputs["x"]["match_regex"] == "^optional[.](?:kube[.])"
    assert outputs["y"]["match_regex"] == "^(?!optional[.])(?:kube[.])"
    (alone,) = (
        output
        for name, output in outputs_of(render(values={"outputs": {"y": values["y"]}})).items()
        if name == "y"
    )
    assert alone["match_regex"] == "^kube[.]"
    for output in (*outputs.values(), alone):
        assert ("match" in output) != ("match_regex" in output)


def test_an_event_passes_the_filters_once():
    config = yaml.safe_load(config_of(render("filters"))["fluent-bit.yaml"])
    matches = [filter_["match_regex"] for filter_ in config["pipeline"]["filters"]]
    assert matches == [
        r"^(?!optional[.])(?:.*\.normal$)",
        "^(?!optional[.])(?:.+)",
        r"^(?!optional[.])(?:kube\.events\.(normal|warning)$)",
    ]
    assert all("match" not in filter_ for filter_ in config["pipeline"]["filters"])


@pytest.mark.parametrize(
    ("size", "bytes_"),
    [("100M", 10_000_000), ("1Gi", 24_000_000), ("1.5Ti", 24_000_000), ("10Mi", 8_000_000)],
)
def test_an_optional_output_gets_a_tenth_of_the_volume_within_bounds(size, bytes_):
    objects = render(values={"buffer": {"size": size}, "outputs": {"x": OPTIONAL, "y": REQUIRED}})
    outputs = outputs_of(objects)
    assert outputs["x"]["storage.total_limit_size"] == str(bytes_)
    assert "storage.total_limit_size" not in outputs["y"]


def test_chunks_of_the_largest_limit_leave_room_for_the_required_outputs():
    # A chunk has 4 KiB at the least, and Fluent Bit has room for 16,384.
    values = {"outputs": {"x": {**OPTIONAL, "limit": "40M"}}}
    limit = int(outputs_of(render(values=values))["x"]["storage.total_limit_size"])
    assert limit // 4096 < 16_384 * 2 // 3


def test_s3_bounds_its_own_store():
    archive = {"type": "s3", "bucket": "a"}
    output = outputs_of(render(values={"outputs": {"x": archive}}))["x"]
    assert output["store_dir_limit_size"] == 107374182
    assert output["storage.total_limit_size"] == "24000000"
    output = outputs_of(render(values={"outputs": {"x": {**archive, "limit": "5Gi"}}}))["x"]
    assert output["store_dir_limit_size"] == 5 * 1024**3
    assert output["storage.total_limit_size"] == "24000000"
    output = outputs_of(render(values={"outputs": {"x": {**archive, "limit": "500M"}}}))["x"]
    assert output["store_dir_limit_size"] == 500_000_000


def test_a_limit_is_what_it_says():
    assert outputs_of(render("http"))["hooks"]["storage.total_limit_size"] == "30000000"


def test_required_outputs_are_never_cut():
    outputs = outputs_of(render("elasticsearch"))
    assert outputs.keys() == {ES, "stdout"}
    for name in (ES, "stdout"):
        assert "storage.total_limit_size" not in outputs[name]
        assert outputs[name]["retry_limit"] == "no_limits"


def test_extra_wins():
    values = {"outputs": {ES: {"extra": {"trace_error": False, "workers": 4}}}}
    output = outputs_of(render("elasticsearch", values))[ES]
    assert (output["trace_error"], output["workers"]) == (False, 4)


def test_an_eck_cluster_takes_one_value():
    objects = render("elasticsearch-eck")
    env = env_of(sidecar_of(objects))
    output = outputs_of(objects)[ES]
    assert output["host"] == "quickstart-es-http.logging.svc"
    assert env["OUTPUT_ELASTICSEARCH__USERNAME"] == "elastic"
    assert env["OUTPUT_ELASTICSEARCH__PASSWORD"] == {
        "secretKeyRef": {"name": "quickstart-es-elastic-user", "key": "elastic"}
    }
    assert output["tls.ca_file"] == "/etc/eventrouter/tls/elasticsearch/ca.crt"
    assert {
        "name": "tls-elasticsearch",
        "secret": {
            "secretName": "quickstart-es-http-certs-public",
            "items": [{"key": "ca.crt", "path": "ca.crt"}],
        },
    } in pod_of(objects)["volumes"]


def test_a_secret_with_only_a_client_certificate_needs_no_ca():
    tls = {"existingSecret": "client", "caKey": "", "certKey": "tls.crt", "keyKey": "tls.key"}
    objects = render(values={"outputs": {ES: {"host": "a", "tls": tls}}})
    assert "tls.ca_file" not in outputs_of(objects)[ES]
    (volume,) = (item for item in pod_of(objects)["volumes"] if item["name"] == "tls-" + ES)
    assert [item["key"] for item in volume["secret"]["items"]] == ["tls.crt", "tls.key"]


def test_a_token_takes_the_place_of_user_and_password():
    output = outputs_of(render("loki-token"))["loki"]
    assert output["bearer_token"] == "${OUTPUT_LOKI__TOKEN}"
    assert not {"http_user", "http_passwd"} & set(output)


def test_user_and_password_beside_another_secret_have_their_keys_given():
    auth = {"existingSecret": "s", "pathKey": "path", "usernameKey": "user", "passwordKey": "p"}
    values = {"x": {"type": "http", "host": "a", "auth": auth}}
    output = outputs_of(render(values={"outputs": values}))["x"]
    assert {"uri", "http_user", "http_passwd"} <= set(output)


def test_headers_are_given_or_from_the_secret():
    output = outputs_of(render("http"))["hooks"]
    assert output["header"] == [
        "X-Team platform on call",
        "X-Tenant ${TENANT}",
        "X-Api-Key ${OUTPUT_HOOKS__HEADERS_X_API_KEY}",
        "Authorization Bearer ${OUTPUT_HOOKS__TOKEN}",
    ]


def test_the_text_of_a_body_has_no_variable_of_fluent_bits():
    """It takes the first closing brace in a whole property for the end of one (5.1.1)."""
    (lua,) = outputs_of(render("http"))["pager"]["processors"]["logs"]
    assert "%{env:TENANT}" in lua["code"]
    assert "${" not in lua["code"]


def test_a_custom_output_has_login_certificates_and_limit_as_any_other():
    objects = render("custom")
    outputs, env = outputs_of(objects), env_of(sidecar_of(objects))
    splunk = outputs["splunk"]
    assert splunk["splunk_token"] == "${OUTPUT_SPLUNK__PROPERTIES_SPLUNK_TOKEN}"
    reference = {"secretKeyRef": {"name": "splunk", "key": "token"}}
    assert env["OUTPUT_SPLUNK__PROPERTIES_SPLUNK_TOKEN"] == reference
    assert splunk["tls"] is True
    assert splunk["storage.total_limit_size"] == str(20 * 2**20)
    assert outputs["syslog"]["tls.ca_file"] == "/etc/eventrouter/tls/syslog/ca.crt"
    assert "tls" not in outputs["influxdb"]


def test_variables_of_two_outputs_never_meet():
    header = {"existingSecret": "s", "headers": {"Token": "k"}}
    token = {"existingSecret": "s", "tokenKey": "k"}
    values = {
        "a": {"type": "http", "host": "a", "auth": header},
        "a-headers": {"type": "http", "host": "a", "auth": token},
    }
    variables = [item["name"] for item in sidecar_of(render(values={"outputs": values}))["env"]]
    assert len(variables) == len(set(variables))
    assert {"OUTPUT_A__HEADERS_TOKEN", "OUTPUT_A_HEADERS__TOKEN"} <= set(variables)


def test_s3_reads_an_access_key_from_the_variables_of_aws():
    env = env_of(sidecar_of(render("s3-minio")))
    assert env["AWS_ACCESS_KEY_ID"] == {"secretKeyRef": {"name": "minio", "key": "accessKeyId"}}
    assert "AWS_SECRET_ACCESS_KEY" in env


def test_stores_of_two_buckets_are_apart():
    buckets = {name: {"type": "s3", "bucket": "same"} for name in ("a", "b")}
    outputs = outputs_of(render(values={"outputs": buckets}))
    assert [outputs[name]["store_dir"] for name in buckets] == ["/buffers/s3/a", "/buffers/s3/b"]


def test_two_buckets_share_one_access_key():
    """A variable that is there twice is refused by a server-side apply."""
    auth = {"existingSecret": "one"}
    buckets = {name: {"type": "s3", "bucket": name, "auth": auth} for name in ("a", "b")}
    names = [entry["name"] for entry in sidecar_of(render(values={"outputs": buckets}))["env"]]
    assert sorted(names) == sorted(set(names))
    assert "AWS_ACCESS_KEY_ID" in names


def test_api_keys_and_cloud_ids_go_through_es():
    key = outputs_of(render("elasticsearch-api-key"))[ES]
    assert (key["name"], key["http_api_key"]) == ("es", "${OUTPUT_ELASTICSEARCH__API_KEY}")
    assert not {"http_user", "http_passwd"} & set(key)
    cloud = outputs_of(render("elasticsearch-cloud"))[ES]
    assert cloud["name"] == "es"
    assert cloud["cloud_id"].startswith("prod:")
    assert not {"host", "port"} & set(cloud)


def test_elasticsearch_is_written_to_as_by_the_repositorys_own_config():
    path = CHART / "files" / "fluent" / "outputs" / "elasticsearch.yaml"
    (own,) = yaml.safe_load(path.read_text())["pipeline"]["outputs"]
    rendered = outputs_of(render("elasticsearch"))[ES]
    of_the_output = {"host", "port", "path", "http_user", "http_passwd", "logstash_prefix"}
    for name, value in own.items():
        if name in of_the_output or name.startswith("tls"):
            assert name in rendered, name
            assert "${ES_" not in str(rendered[name]), name
        else:
            assert rendered[name] == value, name


@pytest.mark.parametrize(
    ("tag", "drops"), [("5.1.1", None), ("5.1.3", True), ("v5.2.0", True), ("x", None)]
)
def test_what_the_server_refuses_for_good_is_dropped_where_fluent_bit_can_tell(tag, drops):
    outputs = {ES: {"host": "a"}, "os": {"type": "opensearch", "host": "b"}}
    values = {"outputs": outputs, "fluentBit": {"image": {"tag": tag}}}
    for name in outputs:
        output = outputs_of(render(values=values))[name]
        assert output.get("drop_unrecoverable_records") is drops


@pytest.mark.parametrize("name", [name for name in TYPES.names if name != "stdout"])
def test_an_output_that_is_down_troubles_no_other(name):
    key, *_ = TYPES.table[name]["address"]
    value = {"auth": {"existingSecret": "s"}} if name == "slack" else {key: "splunk"}
    entry = {"type": name, **value}
    output = outputs_of(render(values={"outputs": {"x": entry}}))["x"]
    assert output["log_suppress_interval"] == "60s"
    if name not in ("kafka", "s3"):
        assert output["net.max_worker_connections"] == 16
        assert output["net.io_timeout"] == "180s"
        assert output["workers"] == 1
    assert output["retry_limit"] == (1_000_000 if name == "s3" else "no_limits")


def test_fluent_bit_is_left_to_raise_its_own_limits():
    for case in ("default", "several"):
        assert "MAX_CHUNKS_UP" not in env_of(sidecar_of(render(case)))


def test_the_node_agent_is_told_off_when_the_events_are_written_directly():
    for case, told in {
        "default": None,
        "loki": None,
        "elasticsearch": "true",
        "opensearch": "true",
    }.items():
        pod = template_of(render(case))["metadata"]
        key = "fluentbit.io/exclude_stdout-fluent-bit"
        assert pod["annotations"].get(key) == told, case
        assert pod["annotations"]["kubectl.kubernetes.io/default-container"] == "fluent-bit"


def test_a_network_policy_opens_the_ports_of_each_output():
    egress = one(render("network-policy"), "NetworkPolicy")["spec"]["egress"]
    elastic = {"matchLabels": {"kubernetes.io/metadata.name": "elastic-system"}}
    assert egress[1:] == [
        {"ports": [{"port": 6443}]},
        {"ports": [{"port": 9243}], "to": [{"namespaceSelector": elastic}]},
        {"ports": [{"port": 12201, "protocol": "UDP"}]},
        {"ports": [{"port": 9094}, {"port": 9092}]},
        {"ports": [{"port": 9000}]},
        {"ports": [{"port": 6514}]},
        {"ports": [{"port": 3128}], "to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]},
    ]
    egress = one(render("network-policy-default"), "NetworkPolicy")["spec"]["egress"]
    assert [{port["port"] for port in rule["ports"]} for rule in egress[1:]] == [{443, 6443}]


def test_a_network_policy_opens_dns_before_and_behind_its_service():
    """OpenShift's pods listen on 5353, and a policy is about what stands behind the Service."""
    dns, *_ = one(render("network-policy-default"), "NetworkPolicy")["spec"]["egress"]
    assert {(port["port"], port["protocol"]) for port in dns["ports"]} == {
        (port, protocol) for port in (53, 5353) for protocol in ("UDP", "TCP")
    }
