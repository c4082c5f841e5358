"""Elasticsearch and OpenSearch: the real ones, one node."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3

from tests.programs.jars import ELASTICSEARCH_SOURCES
from tests.programs.program import Program
from tests.support.ports import free_port

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Document:
    """One document as Elasticsearch holds it."""

    id: str
    index: str
    source: Json


class Elasticsearch(Program):
    """One node with its data in the run's folder, plain HTTP on loopback."""

    name = "elasticsearch"
    ready_seconds = 180.0

    def __init__(self, directory: Path, *, home: Path, jdk: Path) -> None:
        super().__init__(directory)
        self._home = home
        self._jdk = jdk
        self.port = free_port()
        self._transport_port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._http = urllib3.PoolManager(retries=False, timeout=60.0)

    def command(self) -> list[str]:
        self._write_settings()
        library = self._home / "lib"
        return [
            str(self._jdk / "bin" / "java"),
            "-Xms512m",
            "-Xmx512m",
            f"-Djava.io.tmpdir={self.directory}",
            f"-Des.path.home={self._home}",
            # Its native vector library is not published.
            "-Dorg.elasticsearch.nativeaccess.enableVectorLibrary=false",
            f"--module-path={library}",
            "--add-modules=ALL-MODULE-PATH,jdk.incubator.vector",
            "--enable-native-access=org.elasticsearch.nativeaccess,org.apache.lucene.core",
            f"--class-path={self._home / 'classes'}",
            "Launcher",
            str(self.directory / "config"),
        ]

    def is_ready(self) -> bool:
        try:
            path = "/_cluster/health?wait_for_status=yellow&timeout=1s"
            return self._http.request("GET", f"{self.url}{path}").status == 200
        except urllib3.exceptions.HTTPError:
            return False

    def request(self, method: str, path: str, body: Json | None = None) -> Json:
        """One call, decoded. Raises RuntimeError for an HTTP error."""
        answer = self._http.request(method, f"{self.url}{path}", json=body)
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {answer.data[:500]!r}")
        decoded: Json = json.loads(answer.data)
        return decoded

    def refresh(self, pattern: str) -> None:
        """Make everything written so far visible to searches."""
        # An index that a bulk request has just made answers 503 until its shard has started.
        self.request("GET", "/_cluster/health?wait_for_status=yellow&timeout=30s")
        self.request("POST", f"/{pattern}/_refresh?ignore_unavailable=true")

    def count(self, pattern: str) -> int:
        """How many documents there are now."""
        path = f"/{pattern}/_count?ignore_unavailable=true"
        self.refresh(pattern)
        try:
            answer = self.request("GET", path)
        except RuntimeError as error:
            if "no_shard_available" not in str(error):
                raise
            self.refresh(pattern)  # waits for the index that was made just now
            answer = self.request("GET", path)
        return int(answer["count"])

    def documents(self, pattern: str) -> Iterator[Document]:
        """All documents of all indices of the pattern, each as often as it is there."""
        self.refresh(pattern)
        # A page is small because a document may have some megabytes.
        query: Json = {"size": 200, "sort": ["_doc"], "query": {"match_all": {}}}
        page = self.request("POST", f"/{pattern}/_search?scroll=2m&ignore_unavailable=true", query)
        while page["hits"]["hits"]:
            for hit in page["hits"]["hits"]:
                yield Document(id=hit["_id"], index=hit["_index"], source=hit["_source"])
            page = self.request(
                "POST", "/_search/scroll", {"scroll": "2m", "scroll_id": page["_scroll_id"]}
            )
        self.request("DELETE", "/_search/scroll", {"scroll_id": page["_scroll_id"]})

    def repeats(self, pattern: str) -> int:
        """How many writes were refused because their document was there already."""
        stats = self.request("GET", f"/{pattern}/_stats/indexing?ignore_unavailable=true")
        indexing = stats["_all"]["primaries"].get("indexing", {})
        return int(indexing.get("index_failed_due_to_version_conflict", 0))

    def delete(self, pattern: str) -> None:
        """Delete the indices of the pattern."""
        for index in self.request("GET", f"/{pattern}?ignore_unavailable=true"):
            self.request("DELETE", f"/{index}")

    def _write_settings(self) -> None:
        config = self.directory / "config"
        config.mkdir(parents=True, exist_ok=True)
        shutil.copy(ELASTICSEARCH_SOURCES / "log4j2.properties", config)
        settings = {
            "discovery.type": "single-node",
            "network.host": "127.0.0.1",
            "http.port": self.port,
            "transport.port": self._transport_port,
            "path.data": str(self.directory / "data"),
            "path.logs": str(self.directory / "logs"),
            # A developer's disk may be 95 % full; the tests need little of it.
            "cluster.routing.allocation.disk.threshold_enabled": False,
            "cluster.max_shards_per_node": 5000,
        }
        lines = [f"{key}: {json.dumps(value)}\n" for key, value in settings.items()]
        (config / "elasticsearch.yml").write_text("".join(lines))


class OpenSearch(Elasticsearch):
    """The same, as far as tests go."""

    name = "opensearch"

    def command(self) -> list[str]:
        return [
            str(self._jdk / "bin" / "java"),
            "-Xms512m",
            "-Xmx512m",
            f"-Djava.io.tmpdir={self.directory}",
            f"--class-path={self._home / 'lib'}/*:{self._home / 'classes'}",
            "Launcher",
            str(self.directory / "node"),
            str(self.port),
        ]
