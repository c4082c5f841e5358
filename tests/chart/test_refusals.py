"""Wrong values are refused, each by one line that names its key."""

from __future__ import annotations

import pytest

from tests.chart.chart import refusal, render

ES = "elasticsearch"
HTTP = {"type": "http", "host": "a"}


def outputs(**named):
    return {"outputs": {name.replace("_", "-"): output for name, output in named.items()}}


@pytest.mark.parametrize(
    ("values", "where", "named"),
    [
        ({"replicas": 2}, "", "replicas"),
        ({"watcher": {"image": {}}}, "/watcher", "image"),
        ({"watch": {"types": ["Warning"]}}, "/watch", "types"),
        ({"image": {"name": "x"}}, "/image", "name"),
        ({"fluentBit": {"extraFilters": []}}, "/fluentBit", "extraFilters"),
        (outputs(elasticsearch={"hosts": ["a"]}), "/outputs/elasticsearch", "hosts"),
        (outputs(elasticsearch={"brokers": "a"}), "/outputs/elasticsearch", "brokers"),
        (outputs(x={**HTTP, "cloudId": "a"}), "/outputs/x", "cloudId"),
        (outputs(x={"type": "kafka", "tls": {"ca": "x"}}), "/outputs/x/tls", "ca"),
        (outputs(x={"type": "custom", "host": "a"}), "/outputs/x", "host"),
        # A name is an alias, a variable and a volume: small letters, digits and single hyphens.
        ({"outputs": {"a b": HTTP}}, "/outputs", "a b"),
        ({"outputs": {"A": HTTP}}, "/outputs", "A"),
        ({"outputs": {"a--b": HTTP}}, "/outputs", "a--b"),
        ({"outputs": {"a" * 41: HTTP}}, "/outputs", "a" * 41),
        ({"persistence": {"size": "1Gi"}}, "/persistence", "size"),
        ({"metrics": {"monitor": {"enabled": True}}}, "", "metrics"),
        ({"podMonitor": {"kind": "PodMonitor"}}, "/podMonitor", "kind"),
        ({"networkPolicy": {"egress": []}}, "/networkPolicy", "egress"),
    ],
)
def test_unknown_keys(values, where, named):
    assert f"at '{where}': additional properties '{named}' not allowed" in refusal(values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"replicaCount": "two"}, "at '/replicaCount': got string, want integer"),
        (
            {"watcher": {"logLevel": "loud"}},
            "at '/watcher/logLevel': value must be one of 'debug', 'info'",
        ),
        (
            {"watch": {"namespaces": ["Team A"]}},
            "at '/watch/namespaces/0': 'Team A' does not match",
        ),
        ({"watch": {"oldEventCache": "much"}}, "at '/watch/oldEventCache'"),
        ({"image": {"digest": "latest"}}, "at '/image/digest'"),
        ({"image": {"pullPolicy": "Sometimes"}}, "at '/image/pullPolicy'"),
        (outputs(elasticsearch={"port": "http"}), "at '/outputs/elasticsearch/port': got string"),
        (outputs(elasticsearch={"match": ""}), "at '/outputs/elasticsearch/match'"),
        (outputs(x={"host": "a"}), "at '/outputs/x': missing property 'type'"),
        (outputs(x={"type": "splunk"}), "at '/outputs/x/type': value must be one of"),
        (outputs(x={**HTTP, "format": "xml"}), "at '/outputs/x/format': value must be one of"),
        (outputs(x={"type": "s3", "keyFormat": "events"}), "at '/outputs/x/keyFormat'"),
        (outputs(x={"type": "kafka", "messageKey": "name"}), "at '/outputs/x/messageKey'"),
        ({"buffer": {"size": "big"}}, "at '/buffer/size'"),
        ({"podMonitor": {"interval": "often"}}, "at '/podMonitor/interval'"),
        ({"fluentBit": {"filters": [{"match": "*"}]}}, "at '/fluentBit/filters/0'"),
    ],
)
def test_wrong_values(values, message):
    assert message in refusal(values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"replicaCount": 2, "persistence": {"enabled": True, "existingClaim": "a"}},
            "replicaCount: must be 1 with persistence.existingClaim",
        ),
        (
            {"persistence": {"existingClaim": "a"}},
            "persistence.enabled: must be true, as persistence.existingClaim is set",
        ),
        (
            {"podMonitor": {"enabled": True}, "serviceMonitor": {"enabled": True}},
            "serviceMonitor.enabled: must be false with podMonitor.enabled",
        ),
        (outputs(stdout={"enabled": False}), "outputs: none is on"),
        (outputs(stdout=None), "outputs: none is on"),
        (outputs(elasticsearch={"enabled": True}), "outputs.elasticsearch.host: must be set, as"),
        (outputs(x={"type": "http", "enabled": True}), "outputs.x.host: must be set"),
        (outputs(x={"type": "opensearch", "enabled": True}), "outputs.x.host: must be set"),
        (outputs(x={"type": "kafka", "enabled": True}), "outputs.x.brokers: must be set"),
        (outputs(x={"type": "s3", "enabled": True}), "outputs.x.bucket: must be set"),
        (outputs(x={"type": "loki", "enabled": True}), "outputs.x.host: must be set"),
        (outputs(x={"type": "forward", "enabled": True}), "outputs.x.host: must be set"),
        (outputs(x={"type": "opentelemetry", "enabled": True}), "outputs.x.host: must be set"),
        (outputs(x={"type": "slack", "enabled": True}), "outputs.x.auth.existingSecret: must be"),
        (outputs(x={"type": "custom", "enabled": True}), "outputs.x.plugin: must be set"),
        (
            outputs(elasticsearch={"host": "a", "eck": {"clusterName": "b"}}),
            "outputs.elasticsearch: only one of host and eck.clusterName may be set",
        ),
        (
            outputs(elasticsearch={"host": "a", "auth": {"apiKeyKey": "k", "existingSecret": "s"}}),
            "outputs.elasticsearch.auth.apiKeyKey: needs Fluent Bit 5.1.3 or newer,"
            " and fluentBit.image.tag is 5.1.1",
        ),
        (
            outputs(elasticsearch={"cloudId": "a:b"}),
            "outputs.elasticsearch.cloudId: needs Fluent Bit 5.1.3 or newer",
        ),
        (
            outputs(elasticsearch={"host": "a", "auth": {"username": "elastic"}}),
            "outputs.elasticsearch.auth.existingSecret: must be set",
        ),
        (
            outputs(x={**HTTP, "auth": {"pathKey": "path"}}),
            "outputs.x.auth.existingSecret: must be set",
        ),
        (
            outputs(elasticsearch={"host": "a", "tls": {"certKey": "tls.crt"}}),
            "outputs.elasticsearch.tls: a client certificate needs",
        ),
        (outputs(x={**HTTP, "limit": "1M"}), "outputs.x.limit: must be from 8M to 40M, and is 1M"),
        (outputs(x={**HTTP, "limit": "1Gi"}), "outputs.x.limit: must be from 8M to 40M, and is"),
        (
            outputs(x={"type": "custom", "plugin": "nats", "limit": "7k"}),
            "outputs.x.limit: must be from 8M to 40M, and is 7k",
        ),
        (outputs(x={**HTTP, "body": '{"a": "${no name}"}'}), "outputs.x.body: must not have"),
        (outputs(x={"type": "slack", "text": "]===]"}), "outputs.x.text: must not have"),
        ({"outputs": {"to-optional": HTTP}}, "outputs.to-optional: must have another name"),
        (outputs(x={**HTTP, "extra": {"alias": "stdout"}}), "outputs.x.extra.alias: must be left"),
        (outputs(x={**HTTP, "extra": {"name": "nats"}}), "outputs.x.extra.name: must be left out"),
        (
            outputs(
                a={"type": "s3", "bucket": "a", "auth": {"existingSecret": "one"}},
                b={"type": "s3", "bucket": "b", "auth": {"existingSecret": "two"}},
            ),
            "outputs.b.auth.existingSecret: must be one; Fluent Bit takes one access key",
        ),
        (
            outputs(
                a={"type": "s3", "bucket": "a", "auth": {"existingSecret": "one"}},
                b={
                    "type": "s3",
                    "bucket": "b",
                    "auth": {"existingSecret": "one", "accessKeyIdKey": "b_id"},
                },
            ),
            "outputs.b.auth.accessKeyIdKey: must be ",
        ),
        (
            outputs(elasticsearch={"host": "a", "indexPrefix": "Prod"}),
            "at '/outputs/elasticsearch/indexPrefix'",
        ),
        (outputs(x={"type": "s3", "bucket": "a", "fileSize": "500K"}), "at '/outputs/x/fileSize'"),
        (outputs(x={"type": "s3", "bucket": "a", "fileSize": "2G"}), "at '/outputs/x/fileSize'"),
    ],
)
def test_contradictions(values, message):
    assert message in refusal(values)


def rules(**entry):
    return outputs(x={**HTTP, "rules": {"exclude": [{"kind": "Pod"}, entry]}})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"filter": {"include": [{}]}}, "at '/filter/include/0': minProperties: got 0, want 1"),
        (rules(), "at '/outputs/x/rules/exclude/1': minProperties: got 0, want 1"),
        (rules(reason=[]), "at '/outputs/x/rules/exclude/1/reason': minItems: got 0, want 1"),
        (rules(reason=5), "at '/outputs/x/rules/exclude/1/reason': got number, want string or"),
        (rules(minCount="5"), "at '/outputs/x/rules/exclude/1/minCount': got string, want"),
        (rules(minCount=0), "at '/outputs/x/rules/exclude/1/minCount': minimum: got 0, want 1"),
        (rules(labels="a"), "at '/outputs/x/rules/exclude/1': additional properties 'labels'"),
        ({"filter": {"drop": []}}, "at '/filter': additional properties 'drop' not allowed"),
        (rules(reason="/[/"), "outputs.x.rules.exclude[1].reason: /[/ is no regular expression"),
        (rules(reason=["a", "/(/i"]), "outputs.x.rules.exclude[1].reason: /(/i is no regular"),
        (rules(message="/*a/"), "outputs.x.rules.exclude[1].message: /*a/ is no regular"),
        (rules(message="/(?P<a>b)/"), "outputs.x.rules.exclude[1].message: /(?P<a>b)/ is no"),
        (rules(name="/web"), "outputs.x.rules.exclude[1].name: /web must end with / or /i"),
        (
            {"filter": {"include": [{"namespace": "/a{2,1}/"}]}},
            "filter.include[0].namespace: /a{2,1}/ is no regular expression",
        ),
        ({"extraFields": {"event": "a"}}, "extraFields.event: must have another name"),
        ({"extraFields": {"a b": "c"}}, "at '/extraFields': additional properties 'a b' not"),
        ({"extraFields": {"team": 5}}, "at '/extraFields/team': got number, want string"),
        ({"extraFields": {"api_token": "x"}}, "extraFields.api_token: must not hold a secret"),
    ],
)
def test_rules_and_fields(values, message):
    assert message in refusal(values)


@pytest.mark.parametrize(
    "expression",
    ["/(?!a)b/", "/(?<=a)b/", r"/(a)\1/", "/a++/", r"/\h+\R/", "/(?<name>a)/", "/[[:alpha:]]/"],
)
def test_expressions_that_only_fluent_bit_knows_are_left_to_it(expression):
    assert render(values=rules(message=expression))


def extra(plugin, **properties):
    return outputs(x={"type": "custom", "plugin": plugin, "extra": properties})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            outputs(elasticsearch={"auth": {"password": "x"}}),
            "at '/outputs/elasticsearch/auth': additional properties 'password' not allowed",
        ),
        (extra("splunk", splunk_token="1234"), "outputs.x.extra.splunk_token: must not hold a"),
        (extra("slack", webhook="https://hooks.slack.com/x"), "outputs.x.extra.webhook: must not"),
        (extra("http", http_passwd="x"), "outputs.x.extra.http_passwd: must not hold a secret"),
        (extra("datadog", apikey="x"), "outputs.x.extra.apikey: must not hold a secret"),
        (extra("forward", shared_key="x"), "outputs.x.extra.shared_key: must not hold a secret"),
        (
            extra("kafka", **{"rdkafka.sasl.password": "x"}),
            "outputs.x.extra.rdkafka.sasl.password: must not hold a secret",
        ),
        (
            extra("http", header=["X-Team a", "Authorization Basic eDp5"]),
            "outputs.x.extra.header[1]: must not hold a secret",
        ),
        (
            extra("http", header="Authorization Basic eDp5"),
            "outputs.x.extra.header: must not hold a secret",
        ),
        (
            outputs(
                elasticsearch={
                    "type": "elasticsearch",
                    "cloudId": "name:abc",
                    "extra": {"cloud_auth": "elastic:x"},
                }
            ),
            "outputs.elasticsearch.extra.cloud_auth: must not hold a secret",
        ),
        (
            outputs(x={**HTTP, "headers": {"Authorization": "Bearer x"}}),
            "outputs.x.headers.Authorization: must not hold a secret",
        ),
        (
            outputs(x={**HTTP, "headers": {"X-Api-Key": "x"}}),
            "outputs.x.headers.X-Api-Key: must not hold a secret",
        ),
        (outputs(x={**HTTP, "uri": "/hook?sig=x"}), "outputs.x.uri: must not hold a secret"),
        (
            outputs(x={**HTTP, "body": '{"routing_key": "abc", "summary": "%{id}"}'}),
            "outputs.x.body: must not hold a secret",
        ),
        (
            {"fluentBit": {"env": [{"name": "SLACK_WEBHOOK", "value": "https://x"}]}},
            "fluentBit.env[0]: must not hold a secret",
        ),
        (
            {"watcher": {"env": [{"name": "API_TOKEN", "value": "x"}]}},
            "watcher.env[0]: must not hold a secret",
        ),
    ],
)
def test_literal_secrets(values, message):
    assert message in refusal(values)


@pytest.mark.parametrize(
    "values",
    [
        extra("splunk", splunk_token="${SPLUNK_TOKEN}"),
        extra("bigquery", google_service_credentials="/var/run/secrets/key.json"),
        extra("s3", bearer_token_file="token", message_key_field="id", token_url="https://a"),
        outputs(x={**HTTP, "headers": {"X-Team": "a", "Authorization": "Bearer ${TOKEN}"}}),
        outputs(x={**HTTP, "body": '{"routing_key": "${KEY}", "dedup_key": "%{id}"}'}),
        {"fluentBit": {"env": [{"name": "PASSWORD_FILE", "value": "/etc/password"}]}},
        outputs(
            a={"type": "s3", "bucket": "a", "auth": {"existingSecret": "one"}},
            b={"type": "s3", "bucket": "b", "auth": {"existingSecret": "one"}},
        ),
    ],
)
def test_a_reference_is_no_secret(values):
    assert render(values=values)


def test_every_refusal_is_one_line():
    message = refusal(outputs(x={"type": "http", "enabled": True}))
    (line,) = (line for line in message.splitlines() if "outputs.x" in line)
    assert line.endswith("outputs.x.host: must be set, as outputs.x.enabled is true")
