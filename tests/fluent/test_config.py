"""The rules that the config must keep: a careless edit fails here with the reason."""

from __future__ import annotations

import re
from fnmatch import fnmatch
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

OUTPUT_FILES = sorted((FLUENT / "outputs").glob("*.yaml"))
EXAMPLES = sorted((FLUENT / "examples").glob("*.yaml"))
TAGS = [f"kube.events.{type_}" for type_ in ("normal", "warning", "other")]

LINES_A_MINUTE = 6

# A waiting chunk has a page at least, and one task (FLB_CONFIG_DEFAULT_TASK_MAP_SIZE_LIMIT).
CHUNK_BYTES = 4096
MOST_CHUNKS = 16_384


def load(path: Path) -> dict[str, Any]:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(content, dict), f"{path.name} is no mapping"
    return content


def load_complete(name: str) -> dict[str, Any]:
    """A config with its includes put in place, as Fluent Bit reads it."""
    result: dict[str, Any] = {"service": {}, "inputs": [], "filters": [], "outputs": []}
    for included in load(FLUENT / name)["includes"]:
        part = load(FLUENT / included)
        result["service"] |= part.get("service", {})
        for kind in ("inputs", "filters", "outputs"):
            result[kind] += part.get("pipeline", {}).get(kind, [])
    return result


def default_of(value: str) -> str:
    """What a setting is when its variable is not set."""
    return VARIABLE.sub(lambda match: match[2], value)


def is_taken(output: dict[str, Any], tag: str) -> bool:
    """Whether the output takes this tag, by Fluent Bit's rules: a regular expression must match
    from the start of the tag, and more than nothing.
    """
    if "match_regex" in output:
        found = re.match(output["match_regex"], tag)
        return found is not None and bool(found[0])
    return fnmatch(tag, output["match"])


def relay_of_the_optional() -> dict[str, Any]:
    (relay,) = load(FLUENT / "optional.yaml")["pipeline"]["outputs"]
    return dict(relay)


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


def test_waiting_chunks_leave_memory(config: dict[str, Any], receiver: dict[str, Any]) -> None:
    """1,024 descriptors are what many container runtimes give."""
    assert receiver["mem_buf_limit"] == 1, (
        "mem_buf_limit must be one byte: without it a chunk that waits for one of two outputs "
        "stays in memory, and at storage.max_chunks_up no output gets anything new"
    )
    assert int(default_of(config["service"]["storage.max_chunks_up"])) <= 1024 - 150, (
        "storage.max_chunks_up must be below the soft limit of descriptors: Fluent Bit opens as "
        "many old chunks before anything else, and ends at each start if that fails"
    )


def test_first_wait_holds_no_descriptor(config: dict[str, Any]) -> None:
    assert config["service"]["scheduler.base"] >= 10, (
        "scheduler.base must be 10 or more: a wait of up to 10 s takes a timer at once, and when "
        "descriptors run out the chunk is lost"
    )


def test_recovery_does_not_sleep_for_half_an_hour(config: dict[str, Any]) -> None:
    assert config["service"]["scheduler.cap"] <= 300


def test_old_chunks_are_read_slowly(config: dict[str, Any]) -> None:
    assert config["service"]["storage.backlog.mem_limit"] == "16K", (
        "storage.backlog.mem_limit is a rate a second: all old chunks at once would take the "
        "connections from new events"
    )


def test_refused_chunks_do_not_fill_the_volume(config: dict[str, Any]) -> None:
    assert config["service"]["storage.keep.rejected"] is False, (
        "storage.keep.rejected must be off: Fluent Bit 5.1 does not enforce its limit"
    )


def test_filters_take_no_event(config: dict[str, Any]) -> None:
    for each in config["filters"]:
        assert not any(fnmatch(tag, each["match"]) for tag in TAGS), "a pipeline changes no event"


@pytest.mark.parametrize("path", [*OUTPUT_FILES, *EXAMPLES], ids=lambda path: path.name)
def test_a_failing_output_writes_few_lines(path: Path) -> None:
    for output in load(path)["pipeline"]["outputs"]:
        if output["name"] not in NEVER_FAILS:
            assert output["log_suppress_interval"], "each failed try would be a line"
            assert output["workers"] == 1, "messages are suppressed for each worker by itself"


@pytest.mark.parametrize("path", [*OUTPUT_FILES, *EXAMPLES], ids=lambda path: path.name)
def test_a_hung_server_holds_few_connections_and_writes_few_lines(path: Path) -> None:
    for output in load(path)["pipeline"]["outputs"]:
        if output["name"] not in NEVER_FAILS | {"kafka"}:
            assert output["net.max_worker_connections"] <= 32, "connections are descriptors as well"
            assert output["net.io_timeout"], (
                f"{output['name']} must have net.io_timeout: a server that never answers would "
                "hold its chunk for ever"
            )
            timeout = int(output["net.io_timeout"].removesuffix("s"))
            assert output["net.max_worker_connections"] * 60 / timeout < LINES_A_MINUTE, (
                "each connection to a hung server ends with a line that nothing suppresses"
            )


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_optional_output_is_bounded_in_chunks(path: Path) -> None:
    for output in load(path)["pipeline"]["outputs"]:
        limit = int(output["storage.total_limit_size"].removesuffix("M")) * 1_000_000
        assert limit / CHUNK_BYTES < MOST_CHUNKS, "Fluent Bit has no room for so many chunks"


def test_every_event_goes_to_every_output(config: dict[str, Any]) -> None:
    for output in config["outputs"]:
        for tag in TAGS:
            assert is_taken(output, tag), (
                f"{output['name']} must match {tag}: an event that no output takes is acked and "
                "dropped"
            )


def test_the_optional_outputs_queue_does_not_feed_itself() -> None:
    for tag in TAGS:
        assert is_taken(relay_of_the_optional(), tag)
        assert not is_taken(relay_of_the_optional(), f"optional.{tag}")


def test_optional_outputs_have_an_input_of_their_own() -> None:
    queue, relay = load(FLUENT / "optional.yaml")["pipeline"]["inputs"][0], relay_of_the_optional()
    assert queue["name"] == "forward", "its chunks must be in forward.1"
    assert queue["tag_prefix"] == "optional."
    assert queue["listen"] == relay["host"] == "127.0.0.1"
    assert queue["port"] == relay["port"]
    assert queue["storage.type"] == "filesystem"
    assert queue["mem_buf_limit"] == 1
    assert queue["buffer_max_size"] == "8M"
    assert relay["require_ack_response"] is True, "an event could be lost between the two"
    assert relay["retry_limit"] == "no_limits"
    assert "storage.total_limit_size" not in relay


def test_a_failing_output_tries_for_ever(config: dict[str, Any]) -> None:
    for output in config["outputs"]:
        if output["name"] not in NEVER_FAILS:
            assert output["retry_limit"] == "no_limits", (
                f"{output['name']} must have retry_limit no_limits: the default drops a chunk "
                "after its second try"
            )


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


@pytest.mark.parametrize(
    "others", [["outputs/null.yaml"], ["outputs/stdout.yaml", "optional.yaml"]]
)
def test_parts_can_be_put_together(fluent_bit: Path, tmp_path: Path, others: list[str]) -> None:
    parts = ["pipeline.yaml", "outputs/elasticsearch.yaml", *others]
    path = tmp_path / "fluent-bit.yaml"
    path.write_text(yaml.safe_dump({"includes": [str(FLUENT / part) for part in parts]}))
    answer = dry_run(fluent_bit, path)
    assert answer.returncode == 0, answer.stderr
