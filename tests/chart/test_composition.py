"""The chart as a part of others: a dependency, off or on, or several; two renders alike."""

from __future__ import annotations

import json
import shutil

import pytest
import yaml

from tests.chart.chart import (
    CASES,
    CHART,
    Refused,
    helm,
    of_kind,
    one,
    outputs_of,
    refusal,
    render,
    watcher_of,
    workload_of,
)
from tests.chart.chart import template as text_of

DEPENDENCY = {"name": "eventrouter", "version": "0.1.0"}


class Umbrella:
    """A chart that has ours as a dependency, once or under several names."""

    def __init__(self, folder, *aliases):
        self._folder = folder
        shutil.copytree(CHART, folder / "charts" / "eventrouter")
        dependencies = [
            {**DEPENDENCY, "condition": f"{alias}.enabled"}
            | ({} if alias == "eventrouter" else {"alias": alias})
            for alias in aliases
        ]
        chart = {
            "apiVersion": "v2",
            "name": "platform",
            "version": "1.0.0",
            "dependencies": dependencies,
        }
        (folder / "Chart.yaml").write_text(yaml.safe_dump(chart))

    def render(self, **values):
        text = helm(
            *("template", "events", str(self._folder), "--namespace", "logging"),
            *("--values", "-"),
            text=json.dumps(values),
        )
        return [item for item in yaml.safe_load_all(text) if item]


@pytest.fixture
def umbrella(tmp_path):
    return Umbrella(tmp_path / "platform", "eventrouter")


def test_an_umbrella_chart_turns_it_off_and_on(umbrella):
    assert umbrella.render(eventrouter={"enabled": False}) == []
    for values in ({}, {"eventrouter": {"enabled": True}}):
        objects = umbrella.render(**values)
        assert workload_of(objects)["metadata"]["name"] == "events-eventrouter"


def test_what_is_given_to_a_dependency_is_as_strict(umbrella):
    objects = umbrella.render(
        eventrouter={"outputs": {"elasticsearch": {"host": "a"}, "stdout": {"enabled": False}}},
        **{"global": {"imageRegistry": "mirror.example.com", "of-another-chart": True}},
    )
    assert list(outputs_of(objects)) == ["elasticsearch"]
    assert watcher_of(objects)["image"].startswith("mirror.example.com/")
    with pytest.raises(Refused, match="additional properties 'replicas' not allowed"):
        umbrella.render(eventrouter={"replicas": 2})


def test_an_umbrella_chart_has_it_twice(tmp_path):
    umbrella = Umbrella(tmp_path / "platform", "warnings", "everything")
    objects = umbrella.render(warnings={"watch": {"fieldSelector": "type=Warning"}})
    names = [(item["kind"], item["metadata"]["name"]) for item in objects]
    assert len(names) == len(set(names))
    deployments = of_kind(objects, "Deployment")
    assert {item["metadata"]["name"] for item in deployments} == {
        "events-warnings",
        "events-everything",
    }
    selectors = [item["spec"]["selector"]["matchLabels"] for item in deployments]
    assert selectors[0] != selectors[1]


def test_the_chart_itself_cannot_be_turned_off():
    assert "enabled: must be left out or true here" in refusal({"enabled": False})
    assert render(values={"enabled": True}) == render()


@pytest.mark.parametrize("case", CASES)
def test_the_same_values_render_the_same(case):
    # A cache is in between, so something must differ: nothing of this is rendered.
    again = text_of(case, values=json.dumps({"enabled": True}))
    assert again == text_of(case)


def test_the_watcher_makes_its_lease_where_the_release_does_not():
    objects = render("lease")
    assert not of_kind(objects, "Lease")
    role = one(objects, "Role")
    assert {"create"} in [set(rule["verbs"]) for rule in role["rules"]]
