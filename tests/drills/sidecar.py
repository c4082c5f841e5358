"""The sidecar of an outage: the project's config with sinks of ours, at 1,024 descriptors."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import urllib3
import yaml

from tests.drills.sink import Sink
from tests.programs import FluentBit
from tests.support.metrics import Samples

FLUENT = Path(__file__).parents[2] / "fluent"
NOT_OPTIONAL = "^(?!optional[.]).+"


class LimitedFluentBit(FluentBit):
    """Fluent Bit as a container runtime starts it: with 1,024 file descriptors, and the right to
    more.
    """

    def command(self) -> list[str]:
        return ["prlimit", "--nofile=1024:", *super().command(), "-q"]

    def set(self, **variables: str) -> None:
        """Other variables from the next start on."""
        self._variables |= variables

    def descriptors(self) -> int:
        """How many it holds now."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def cpu_seconds(self) -> float:
        """What it has used since it was started."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def waiting(self) -> int:
        """How many chunks are in its buffer."""
        return sum(1 for _ in self.buffer_path.glob("forward.*/*.flb"))

    def metrics(self) -> Samples:
        """What it says about itself."""
        url = f"http://127.0.0.1:{self.http_port}/api/v2/metrics/prometheus"
        return Samples(urllib3.request("GET", url).data.decode())


def write_config(
    directory: Path,
    required: Iterable[Sink],
    optional: dict[Sink, str],
    service: dict[str, Any],
    network: dict[str, Any],
    *,
    prints: bool,
) -> Path:
    """The project's files, and outputs for the sinks as the chart has them. `service` and `network`
    replace settings of the service and of these outputs.
    """
    outputs = [_output(sink) | network | {"match_regex": NOT_OPTIONAL} for sink in required]
    outputs += [
        _output(sink) | network | {"match": "optional.*", "storage.total_limit_size": limit}
        for sink, limit in optional.items()
    ]
    if prints:
        (stdout,) = _outputs("outputs/stdout.yaml")
        del stdout["match"]
        outputs.append(stdout | {"match_regex": NOT_OPTIONAL})
    pipeline = yaml.safe_load((FLUENT / "pipeline.yaml").read_text())
    pipeline["service"] |= service
    first = _write(directory / "pipeline.yaml", pipeline)
    includes = [first, *([FLUENT / "optional.yaml"] if optional else [])]
    config = {"includes": list(map(str, includes)), "pipeline": {"outputs": outputs}}
    return _write(directory / "fluent-bit.yaml", config)


def _write(path: Path, config: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


def _output(sink: Sink) -> dict[str, Any]:
    (elasticsearch,) = _outputs("outputs/elasticsearch.yaml")
    place = {"alias": sink.name, "host": "127.0.0.1", "port": sink.port, "tls": False}
    if sink.bulk:
        del elasticsearch["match"]
        return elasticsearch | place
    shared = ("retry_limit", "workers", "log_suppress_interval")
    network = {
        name: value
        for name, value in elasticsearch.items()
        if name in shared or name.startswith("net.")
    }
    network["http.response_timeout"] = network["net.io_timeout"]  # the lower of the two counts
    return {"name": "http", "format": "json_lines", "json_date_key": False, **network, **place}


def _outputs(part: str) -> list[dict[str, Any]]:
    outputs: list[dict[str, Any]] = yaml.safe_load((FLUENT / part).read_text())["pipeline"][
        "outputs"
    ]
    return outputs
