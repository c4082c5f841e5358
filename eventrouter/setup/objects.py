"""The objects that setup writes: their paths, bodies, and how an answer shows them. Pure."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from eventrouter.setup.mapping import Json, Server, mappings
from eventrouter.setup.mark import VERSION, Mark, digest, mark_in_meta, mark_in_text

# Above the templates that Elasticsearch brings along (logs-*-* and others have 100 to 200).
_PRIORITY = 500


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a user may choose. `retention` is a time as the servers read it, such as 30d."""

    prefix: str = "kube-events"
    retention: str = "30d"
    shards: int = 1
    replicas: int | None = None

    @property
    def pattern(self) -> str:
        return f"{self.prefix}-*"


@dataclass(frozen=True, slots=True)
class Found:
    """An object as the server has it. `query` makes a write fail if it has changed since."""

    mark: Mark | None
    digest: str
    query: str = ""


class SetupObject(ABC):
    """One object: where it is, what it should be."""

    label: ClassVar[str]
    # A change of any other field is none of ours: servers add some of their own.
    fields: ClassVar[tuple[str, ...]]

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        self.name = parameters.prefix
        self.content = self._content()
        self.mark = Mark(VERSION, self._marked(), digest(self.content, self.fields))

    def __str__(self) -> str:
        return f"{self.label} {self.name}"

    @property
    @abstractmethod
    def path(self) -> str:
        """Where it is read and written."""

    @property
    @abstractmethod
    def privilege(self) -> str:
        """What a login must be allowed, to read and write it."""

    @property
    @abstractmethod
    def summary(self) -> str:
        """What it does, in a few words."""

    @abstractmethod
    def body(self) -> Json:
        """What is written."""

    @abstractmethod
    def found(self, answer: Mapping[str, Any]) -> Found:
        """The object in the server's answer. Raises KeyError, IndexError or TypeError."""

    @abstractmethod
    def _content(self) -> Json:
        """The body without the mark."""

    @abstractmethod
    def _marked(self) -> dict[str, str]:
        """The parameters that are in it."""


class LifecyclePolicy(SetupObject):
    """Elasticsearch's ILM policy: it deletes an index some days after it was created."""

    label = "lifecycle policy"
    fields = ("phases",)
    privilege = "the cluster privilege manage_ilm"

    @property
    def path(self) -> str:
        return f"/_ilm/policy/{self.name}"

    @property
    def summary(self) -> str:
        return f"deletes events after {self.parameters.retention}"

    def body(self) -> Json:
        description = f"Deletes Kubernetes events after {self.parameters.retention}"
        return {"policy": {"_meta": self.mark.as_meta(description), **self.content}}

    def found(self, answer: Mapping[str, Any]) -> Found:
        policy = answer[self.name]["policy"]
        return Found(mark_in_meta(policy.get("_meta")), digest(policy, self.fields))

    def _content(self) -> Json:
        # The defaults are written out, because the server shows them.
        delete = {"delete": {"delete_searchable_snapshot": True}}
        phases = {
            "hot": {"min_age": "0ms", "actions": {}},
            "delete": {"min_age": self.parameters.retention, "actions": delete},
        }
        return {"phases": phases}

    def _marked(self) -> dict[str, str]:
        return {"retention": self.parameters.retention}


class StatePolicy(SetupObject):
    """OpenSearch's ISM policy: the same, and it names the indices that it is for."""

    label = "state policy"
    fields = ("default_state", "states", "ism_template")
    privilege = (
        "the cluster permissions cluster:admin/opendistro/ism/policy/get"
        " and cluster:admin/opendistro/ism/policy/write"
    )

    @property
    def path(self) -> str:
        return f"/_plugins/_ism/policies/{self.name}"

    @property
    def summary(self) -> str:
        return f"deletes events after {self.parameters.retention}"

    def body(self) -> Json:
        description = f"Deletes Kubernetes events after {self.parameters.retention}"
        return {"policy": {"description": self.mark.as_text(description), **self.content}}

    def found(self, answer: Mapping[str, Any]) -> Found:
        policy = answer["policy"]
        query = f"?if_seq_no={answer['_seq_no']}&if_primary_term={answer['_primary_term']}"
        mark = mark_in_text(policy.get("description"))
        return Found(mark, digest(policy, self.fields), query)

    def _content(self) -> Json:
        age = {"min_index_age": self.parameters.retention}
        return {
            "default_state": "kept",
            "states": [
                {
                    "name": "kept",
                    "actions": [],
                    "transitions": [{"state_name": "deleted", "conditions": age}],
                },
                {"name": "deleted", "actions": [{"delete": {}}], "transitions": []},
            ],
            "ism_template": [{"index_patterns": [self.parameters.pattern], "priority": _PRIORITY}],
        }

    def _marked(self) -> dict[str, str]:
        return {"retention": self.parameters.retention}


class IndexTemplate(SetupObject):
    """The template of the daily indices, the same call on both servers."""

    label = "index template"
    fields = ("index_patterns", "priority", "template", "composed_of", "data_stream")

    def __init__(self, parameters: Parameters, *, server: Server) -> None:
        self.server = server
        super().__init__(parameters)

    @property
    def path(self) -> str:
        return f"/_index_template/{self.name}"

    @property
    def privilege(self) -> str:
        if self.server is Server.ELASTICSEARCH:
            return "the cluster privilege manage_index_templates"
        return (
            "the cluster permissions indices:admin/index_template/get"
            " and indices:admin/index_template/put"
        )

    @property
    def summary(self) -> str:
        return f"for indices {self.parameters.pattern}"

    def body(self) -> Json:
        description = (
            "Kubernetes events by eventrouter: unknown fields are stored, not indexed;"
            " no event is refused"
        )
        return {**self.content, "_meta": self.mark.as_meta(description)}

    def found(self, answer: Mapping[str, Any]) -> Found:
        template = answer["index_templates"][0]["index_template"]
        return Found(mark_in_meta(template.get("_meta")), digest(template, self.fields))

    def _content(self) -> Json:
        index: Json = {"codec": "best_compression", "number_of_shards": self.parameters.shards}
        if self.parameters.replicas is not None:
            index["number_of_replicas"] = self.parameters.replicas
        if self.server is Server.ELASTICSEARCH:
            index["lifecycle"] = {"name": self.name}
        return {
            "index_patterns": [self.parameters.pattern],
            "priority": _PRIORITY,
            "template": {"settings": {"index": index}, "mappings": mappings(self.server)},
        }

    def _marked(self) -> dict[str, str]:
        replicas = self.parameters.replicas
        return {
            "shards": str(self.parameters.shards),
            "replicas": "default" if replicas is None else str(replicas),
        }


def objects(server: Server, parameters: Parameters) -> tuple[SetupObject, ...]:
    """All objects, in the order in which they are written: a template names its policy."""
    policy: SetupObject
    if server is Server.ELASTICSEARCH:
        policy = LifecyclePolicy(parameters)
    else:
        policy = StatePolicy(parameters)
    return policy, IndexTemplate(parameters, server=server)
