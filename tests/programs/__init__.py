"""The real programs that tests run: found or built, started, stopped, killed."""

from tests.programs.apiserver import ApiServer
from tests.programs.catalog import find
from tests.programs.etcd import Etcd
from tests.programs.fluentbit import FluentBit
from tests.programs.kubeclient import ApiRefused, KubeClient
from tests.programs.part import Part
from tests.programs.program import Program, ProgramError
from tests.programs.search import Document, Elasticsearch, OpenSearch
from tests.programs.watcher import Watcher

__all__ = [
    "ApiRefused",
    "ApiServer",
    "Document",
    "Elasticsearch",
    "Etcd",
    "FluentBit",
    "KubeClient",
    "OpenSearch",
    "Part",
    "Program",
    "ProgramError",
    "Watcher",
    "find",
]
