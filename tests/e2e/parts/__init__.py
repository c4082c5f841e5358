"""The real programs of the end-to-end tests: found or built, started, stopped, killed."""

from tests.e2e.parts.apiserver import ApiServer
from tests.e2e.parts.catalog import Part, find, missing
from tests.e2e.parts.etcd import Etcd
from tests.e2e.parts.fluentbit import FluentBit
from tests.e2e.parts.kubeclient import ApiRefused, KubeClient
from tests.e2e.parts.program import Program, ProgramError, free_port, wait_until
from tests.e2e.parts.search import Document, Elasticsearch
from tests.e2e.parts.watcher import Metrics, Watcher

__all__ = [
    "ApiRefused",
    "ApiServer",
    "Document",
    "Elasticsearch",
    "Etcd",
    "FluentBit",
    "KubeClient",
    "Metrics",
    "Part",
    "Program",
    "ProgramError",
    "Watcher",
    "find",
    "free_port",
    "missing",
    "wait_until",
]
