"""The real programs that tests run, by name, and which of them each kind of test needs.

Nothing here is downloaded as a binary: Go modules and Maven artifacts are what their projects
publish, checked against `go.sum` and the registries' own sums.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.programs.golang import GoProgram, Source
from tests.programs.jars import build_elasticsearch, find_elasticsearch
from tests.programs.opensearch_jars import build_opensearch, find_opensearch
from tests.programs.part import Part, Recipe, installed, version_of

# Every end-to-end test needs all of these.
ESSENTIAL = ("etcd", "kube-apiserver", "elasticsearch", "fluent-bit", "openssl")
# What `python -m tests.programs NAME` stands for.
GROUPS = {
    "e2e": (
        *ESSENTIAL,
        "etcdutl",  # for one of the drills
        "opensearch",
        "chromium",
        "grafana-schema",
    ),
    "chart": ("helm", "helm-docs", "helm-unittest", "promtool"),
    "bench": ("go-informer",),
}


def find(name: str) -> Part:
    """The part of this name, as it is now. Builds nothing."""
    return RECIPES[name].find()


def find_fluent_bit() -> Part:
    remedy = "install Fluent Bit, or name its binary in FLUENT_BIT"
    return installed("fluent-bit") or Part("fluent-bit", "", None, remedy)


def find_openssl() -> Part:
    """It makes the API server's certificate and keys."""
    name = shutil.which("openssl")
    if name is None:
        return Part("openssl", "", None, "install openssl")
    return Part("openssl", version_of(Path(name)), Path(name))


def find_chromium() -> Part:
    """It opens the status page. Distributions call it differently."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := installed(name):
            return Part("chromium", found.version, found.path, found.remedy)
    return Part("chromium", "", None, "install chromium, or name its binary in CHROMIUM")


_GO_PROGRAMS = (
    GoProgram("etcd", "tools", "go.etcd.io/etcd/server/v3", source=Source.ASSETS),
    GoProgram(
        "kube-apiserver",
        "kubernetes",
        "k8s.io/kubernetes",
        "cmd/kube-apiserver",
        source=Source.ASSETS,
    ),
    GoProgram("etcdutl", "tools", "go.etcd.io/etcd/etcdutl/v3"),
    GoProgram("helm", "tools", "helm.sh/helm/v4", "cmd/helm", source=Source.INSTALLED),
    GoProgram(
        "helm-docs",
        "chart",
        "github.com/norwoodj/helm-docs",
        "cmd/helm-docs",
        source=Source.INSTALLED,
    ),
    GoProgram(
        "helm-unittest",
        "chart",
        "github.com/helm-unittest/helm-unittest",
        "cmd/helm-unittest",
        source=Source.INSTALLED,
    ),
    GoProgram(
        "promtool",
        "prometheus",
        "github.com/prometheus/prometheus",
        "cmd/promtool",
        source=Source.INSTALLED,
    ),
    GoProgram(
        "grafana-schema", "grafana", "github.com/grafana/grafana-foundation-sdk/go", is_own=True
    ),
    GoProgram("go-informer", "../../bench/go", "k8s.io/client-go", is_own=True),
)

RECIPES: dict[str, Recipe] = {
    **{program.name: program.recipe for program in _GO_PROGRAMS},
    "elasticsearch": Recipe(find_elasticsearch, build_elasticsearch),
    "opensearch": Recipe(find_opensearch, build_opensearch),
    "fluent-bit": Recipe(find_fluent_bit),
    "openssl": Recipe(find_openssl),
    "chromium": Recipe(find_chromium),
}
