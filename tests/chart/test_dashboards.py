"""Grafana's dashboards as ConfigMaps: the files, whole, where Grafana's sidecar looks."""

from __future__ import annotations

import json

from tests.chart.chart import ROOT, of_kind, render

FOLDER = ROOT / "dashboards" / "grafana"


def config_maps(values=None):
    objects = of_kind(render("dashboards", values), "ConfigMap")
    return {name: item for item in objects for name in item["data"] if (FOLDER / name).is_file()}


def test_each_dashboard_is_a_config_map_with_its_file():
    found = config_maps()

    assert found.keys() == {path.name for path in FOLDER.iterdir()}
    for name, item in found.items():
        # Braces that Grafana, and not Helm, fills in are still there.
        assert item["data"][name] == (FOLDER / name).read_text()
        assert "uid" in json.loads(item["data"][name])


def test_they_have_the_label_of_the_sidecar_and_are_where_it_looks():
    for item in config_maps({"dashboards": {"grafana": {"namespace": "monitoring"}}}).values():
        assert item["metadata"]["namespace"] == "monitoring"
        assert item["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert item["metadata"]["annotations"]["grafana_folder"] == "Kubernetes"


def test_the_label_can_be_another_one():
    labels = {"grafana_dashboard": None, "team-dashboards": "yes"}
    for item in config_maps({"dashboards": {"grafana": {"labels": labels}}}).values():
        assert item["metadata"]["labels"]["team-dashboards"] == "yes"
        assert "grafana_dashboard" not in item["metadata"]["labels"]


def test_one_is_small_enough_for_kubectl_apply():
    """Its annotation holds the whole object, and may have 256 KiB."""
    for item in config_maps().values():
        assert len(json.dumps(item)) < 200_000
