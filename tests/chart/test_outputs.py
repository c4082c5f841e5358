"""The outputs: a map from names to outputs, each strict by its type."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.chart.chart import (
    CHART,
    env_of,
    helm,
    one,
    outputs_of,
    pod_of,
    render,
    sidecar_of,
)
from tests.chart.output_types import COMMON, OutputTypes

TYPES = OutputTypes()
ES = "elasticsearch"
NOTHING = "nothing"


def names(values):
    return [name for name in outputs_of(render(values=values)) if name != NOTHING]


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
        "nothing": "null",
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
    assert list(outputs) == ["a", "stdout", NOTHING]
    assert (outputs["a"]["host"], outputs["a"]["port"]) == ("first", 8443)
    assert outputs["stdout"]["match_regex"] == r"^(?!optional[.]).*\.warning$"


@pytest.mark.parametrize("case", ["default", "elasticsearch-plain", "several", "s3-minio"])
def test_each_event_has_an_output_that_takes_it(case):
    nothing = outputs_of(render(case))[NOTHING]
    assert nothing == {"name": "null", "alias": NOTHING, "match": "*"}


@pytest.mark.parametrize(
    ("size", "bytes_"),
    [("10Mi", 8000000), ("100Mi", 10485760), ("1Gi", 24000000), ("1.5Ti", 24000000)],
)
def test_an_optional_output_gets_a_tenth_of_the_volume_and_a_third_of_the_chunks(size, bytes_):
    """A waiting chunk has 4 KiB at least, and Fluent Bit can hold 16,384 for all outputs."""
    objects = render(
        values={
            "buffer": {"size": size},
            "outputs": {
                "x": {"type": "custom", "plugin": "nats"},
                "y": {"type": "custom", "plugin": "nats", "required": True},
            },
        }
    )
    outputs = outputs_of(objects)
    assert outputs["x"]["storage.total_limit_size"] == str(bytes_)
    assert "storage.total_limit_size" not in outputs["y"]


def test_a_limit_is_what_it_says():
    assert outputs_of(render("http"))["hooks"]["storage.total_limit_size"] == str(32 * 2**20)


def test_required_outputs_are_never_cut():
    outputs = outputs_of(render("elasticsearch"))
    assert outputs.keys() == {ES, "stdout", NOTHING}
    for name in (ES, "stdout"):
        assert "storage.total_limit_size" not in outputs[name]
        assert outputs[name]["retry_limit"] == "no_limits"


def test_extra_wins():
    values = {"outputs": {ES: {"extra": {"trace_error": False, "workers": 4}}}}
    output = outputs_of(render("elasticsearch", values))[ES]
    assert (output["trace_error"], output["workers"]) == (False, 4)


def test_tags_by_a_regular_expression_take_the_place_of_match():
    output = outputs_of(render("custom"))["splunk"]
    assert output["match_regex"] == r"^optional[.](?:kube\.)"
    assert "match" not in output


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
    for name, value in own.items():
        if "${" not in json.dumps(value):
            assert rendered[name] == value, name
        else:
            assert name in rendered, name


def config_of(values):
    (config,) = [item for item in render(values={"outputs": values}) if item["kind"] == "ConfigMap"]
    return config["data"]


def test_optional_outputs_have_a_queue_of_their_own_and_the_others_do_not_see_it():
    """fluent/optional.yaml has the reason. It comes first, so that its chunks are in forward.1."""
    data = config_of(
        {
            ES: {"host": "a"},
            "hooks": {"type": "http", "host": "b", "match": "*.warning"},
            "named": {"type": "http", "host": "c", "extra": {"match_regex": "^kube[.].*"}},
            "lake": {"type": "s3", "bucket": "d", "required": True, "match": "*.normal"},
        }
    )
    config = yaml.safe_load(data["fluent-bit.yaml"])
    assert config["includes"] == ["pipeline.yaml", "optional.yaml"]
    assert data["optional.yaml"] == (CHART / "files/fluent/optional.yaml").read_text()
    matches = {
        output["alias"]: (output.get("match"), output.get("match_regex"))
        for output in config["pipeline"]["outputs"]
    }
    assert matches == {
        ES: (None, "^(?!optional[.]).+"),
        "hooks": ("optional.*.warning", None),
        "lake": (None, r"^(?!optional[.]).*\.normal$"),
        "named": (None, "^optional[.](?:kube[.].*)"),
        "stdout": (None, "^(?!optional[.]).+"),
        NOTHING: ("*", None),
    }


@pytest.mark.parametrize(
    "values", [{}, {ES: {"host": "a"}}, {"stdout": {"required": False}}], ids=["", "es", "stdout"]
)
def test_without_an_optional_output_there_is_no_queue(values):
    data = config_of(values)
    config = yaml.safe_load(data["fluent-bit.yaml"])
    assert config["includes"] == ["pipeline.yaml"]
    assert "optional.yaml" not in data
    assert all(output["match"] == "*" for output in config["pipeline"]["outputs"])


def test_a_filter_takes_an_event_once_before_the_queue():
    values = {
        "outputs": {"hooks": {"type": "http", "host": "b"}},
        "fluentBit": {"filters": [{"name": "grep", "match": "*", "exclude": "reason x"}]},
    }
    (config,) = [item for item in render(values=values) if item["kind"] == "ConfigMap"]
    (grep,) = yaml.safe_load(config["data"]["fluent-bit.yaml"])["pipeline"]["filters"]
    assert grep == {"name": "grep", "match_regex": "^(?!optional[.]).+", "exclude": "reason x"}


def test_fluent_bit_chooses_by_itself_how_many_chunks_it_maps():
    """pipeline.yaml raises the number unless it is set."""
    assert "MAX_CHUNKS_UP" not in env_of(sidecar_of(render("several")))


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
    assert [{port["port"] for port in rule["ports"]} for rule in egress] == [{53}, {443, 6443}]
