"""The rules that the config must keep: a careless edit fails here with the reason."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.programs.fluentbit import dry_run

FLUENT = Path(__file__).parents[2] / "fluent"
FILES = sorted(FLUENT.rglob("*.yaml"))
COMPLETE = ["fluent-bit.yaml", "stdout.yaml"]

# ${NAME:-default}, and any ${NAME...} at all.
VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")
ANY_VARIABLE = re.compile(r"\$\{(\w+)")

# Outputs that always succeed: they hold no chunk back.
NEVER_FAILS = {"stdout", "null"}


def load(path: Path) -> dict[str, Any]:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(content, dict), f"{path.name} is no mapping"
    return content


def load_complete(name: str) -> dict[str, Any]:
    """A config with its includes put in place, as Fluent Bit reads it."""
    result: dict[str, Any] = {"service": {}, "inputs": [], "outputs": []}
    for included in load(FLUENT / name)["includes"]:
        part = load(FLUENT / included)
        result["service"] |= part.get("service", {})
        for kind in ("inputs", "outputs"):
            result[kind] += part.get("pipeline", {}).get(kind, [])
    return result


def default_of(value: str) -> str:
    """What a setting is when its variable is not set."""
    return VARIABLE.sub(lambda match: match[2], value)


@pytest.fixture(params=COMPLETE)
def config(request: pytest.FixtureRequest) -> dict[str, Any]:
    return load_complete(request.param)


@pytest.fixture
def receiver(config: dict[str, Any]) -> dict[str, Any]:
    assert [each["name"] for each in config["inputs"]] == ["forward"], (
        "the forward input must be the first and only one: its chunks are in forward.0, where the "
        "watcher looks"
    )
    result: dict[str, Any] = config["inputs"][0]
    return result


@pytest.fixture
def elasticsearch() -> dict[str, Any]:
    result: dict[str, Any] = load(FLUENT / "outputs/elasticsearch.yaml")["pipeline"]["outputs"][0]
    return result


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(FLUENT)))
def test_every_file_is_yaml(path: Path) -> None:
    assert load(path)


def test_every_variable_has_a_default_and_is_in_the_header() -> None:
    used: dict[str, str] = {}
    for path in (FLUENT / part for part in load(FLUENT / "fluent-bit.yaml")["includes"]):
        code = re.sub(r"(?m)^\s*#.*$", "", path.read_text(encoding="utf-8"))
        for name in ANY_VARIABLE.findall(code):
            assert name in dict(VARIABLE.findall(code)), f"{path.name}: ${{{name}}} has no default"
        used |= dict(VARIABLE.findall(code))

    header = (FLUENT / "fluent-bit.yaml").read_text(encoding="utf-8")
    rows = re.findall(r"(?m)^# {5}([A-Z][A-Z_]+) {2,}(\S+)?", header)
    listed = dict(rows)
    assert {name: default or "" for name, default in used.items()} == {
        name: "" if default == "(none)" else default for name, default in listed.items()
    }, "the header of fluent-bit.yaml must list each variable with its default"


def test_acknowledged_chunks_survive_a_kill(config: dict[str, Any]) -> None:
    assert config["service"]["storage.checksum"] is False, (
        "storage.checksum must be off: with it, a kill -9 makes Fluent Bit refuse chunks that it "
        "has acknowledged"
    )
    assert "storage.path" in config["service"], "without storage.path nothing is on disk"


def test_an_ack_means_on_disk(receiver: dict[str, Any]) -> None:
    assert receiver["storage.type"] == "filesystem", (
        "storage.type must be filesystem: an ack would cover only what is in memory"
    )
    for name in ("threaded", "workers"):
        assert name not in receiver, (
            f"the input must not have `{name}`: it queues in memory first, and acks that"
        )


def test_the_input_takes_the_largest_event(receiver: dict[str, Any]) -> None:
    assert receiver["buffer_max_size"] == "8M", (
        "buffer_max_size must be 8M: a frame that does not fit is refused at each try, for ever"
    )


def test_the_input_keeps_the_tags(receiver: dict[str, Any]) -> None:
    for name in ("tag", "tag_prefix"):
        assert name not in receiver, f"the input must not have `{name}`: outputs choose by tag"


def test_only_this_machine_reaches_the_input_by_default(receiver: dict[str, Any]) -> None:
    assert default_of(receiver["listen"]) == "127.0.0.1"


def test_waiting_chunks_leave_file_descriptors(
    config: dict[str, Any], receiver: dict[str, Any]
) -> None:
    """1024 descriptors are what many container runtimes give."""
    failing = [each for each in config["outputs"] if each["name"] not in NEVER_FAILS]
    chunks = int(default_of(config["service"]["storage.max_chunks_up"]))
    assert chunks * (1 + len(failing)) <= 900, (
        "storage.max_chunks_up is too high for 1024 file descriptors: each waiting chunk takes one "
        "for itself and one for each output that retries it, and without any Fluent Bit drops "
        "acknowledged events"
    )
    assert "mem_buf_limit" not in receiver, (
        "the input must not have mem_buf_limit: it takes chunks out of memory between two tries, "
        "and storage.max_chunks_up then limits nothing"
    )
    for each in failing:
        assert len(config["outputs"]) > 1, (
            f"{each['name']} must not be the only output: add outputs/null.yaml, else its chunks "
            "leave memory between two tries, and storage.max_chunks_up limits nothing"
        )
        assert each["net.max_worker_connections"] <= 32, "connections are descriptors as well"


def test_every_event_goes_to_every_output(config: dict[str, Any]) -> None:
    for output in config["outputs"]:
        assert output["match"] == "*", (
            f"{output['name']} must match '*': an event that no output takes is acked and dropped"
        )


def test_a_failing_output_tries_for_ever(config: dict[str, Any]) -> None:
    for output in config["outputs"]:
        if output["name"] not in NEVER_FAILS:
            assert output["retry_limit"] == "no_limits", (
                f"{output['name']} must have retry_limit no_limits: the default drops a chunk "
                "after its second try"
            )
            assert output["net.io_timeout"], (
                f"{output['name']} must have net.io_timeout: a server that never answers would "
                "hold its chunk for ever"
            )


def test_recovery_does_not_sleep_for_half_an_hour(config: dict[str, Any]) -> None:
    assert config["service"]["scheduler.cap"] <= 60


def test_elasticsearch_is_written_by_the_output_that_judges_each_item(
    elasticsearch: dict[str, Any],
) -> None:
    assert elasticsearch["name"] == "opensearch", (
        "Elasticsearch goes through the opensearch output: `es` up to 5.1.2 takes a bulk as "
        "written when one item of it was, and repeats a bulk of only 409s for ever"
    )
    assert elasticsearch["buffer_size"] is False, "a cut answer cannot be parsed"
    assert elasticsearch["suppress_type_name"] is True, "Elasticsearch 8 and 9 refuse _type"


def test_a_repeated_event_meets_itself(elasticsearch: dict[str, Any]) -> None:
    assert elasticsearch["id_key"] == "id"
    assert elasticsearch["write_operation"] == "create", "create never overwrites"
    assert elasticsearch["logstash_format"] is True, (
        "logstash_format must be on: the index is dated by the event, not by the try"
    )
    assert elasticsearch["logstash_dateformat"] == "%Y.%m.%d"
    assert default_of(elasticsearch["logstash_prefix"]) == "kube-events"
    assert "current_time_index" not in elasticsearch


def test_elasticsearch_is_required(elasticsearch: dict[str, Any]) -> None:
    assert "storage.total_limit_size" not in elasticsearch, (
        "Elasticsearch must not have storage.total_limit_size: it would drop the oldest events"
    )


def test_labels_with_dots_cannot_clash(elasticsearch: dict[str, Any]) -> None:
    assert elasticsearch["replace_dots"] is True, (
        "replace_dots must be on: the labels `app` and `app.kubernetes.io/name` exclude each other"
    )


def test_elasticsearch_is_checked_before_it_gets_a_password(elasticsearch: dict[str, Any]) -> None:
    assert default_of(elasticsearch["tls"]) == "on"
    assert default_of(elasticsearch["tls.verify"]) == "on"
    assert elasticsearch["tls.verify_hostname"] is True, (
        "tls.verify_hostname must be on: any certificate of a known CA would do for any host"
    )


def test_stdout_has_the_bare_record() -> None:
    output = load(FLUENT / "outputs/stdout.yaml")["pipeline"]["outputs"][0]
    assert output["format"] == "json_lines"
    assert output["json_date_key"] is False
    assert load(FLUENT / "pipeline.yaml")["service"]["json.escape_unicode"] is False


@pytest.mark.parametrize("name", COMPLETE)
def test_fluent_bit_accepts_the_config(fluent_bit: Path, name: str) -> None:
    answer = dry_run(fluent_bit, FLUENT / name)
    assert answer.returncode == 0, answer.stderr
    assert "configuration test is successful" in answer.stdout + answer.stderr
    assert "is used but not set" not in answer.stderr


def test_null_takes_the_place_of_stdout(fluent_bit: Path, tmp_path: Path) -> None:
    parts = ["pipeline.yaml", "outputs/elasticsearch.yaml", "outputs/null.yaml"]
    path = tmp_path / "fluent-bit.yaml"
    path.write_text(yaml.safe_dump({"includes": [str(FLUENT / part) for part in parts]}))
    answer = dry_run(fluent_bit, path)
    assert answer.returncode == 0, answer.stderr
