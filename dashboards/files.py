"""The files in `dashboards/`. `python -m tests.chart.manifest` writes them; none is edited."""

from __future__ import annotations

import json
from pathlib import Path

from dashboards.grafana_events import events
from dashboards.grafana_health import health
from eventrouter.setup.dashboards.saved_objects import ndjson, saved_objects
from eventrouter.setup.objects import Parameters

FOLDER = Path(__file__).parent


def files() -> dict[str, str]:
    """The text of each file, by its path in the folder."""
    return {
        "kibana/events.ndjson": ndjson(saved_objects(Parameters().prefix)),
        "grafana/events.json": _text(events()),
        "grafana/eventrouter.json": _text(health()),
    }


def _text(content: object) -> str:
    return json.dumps(content, indent=2) + "\n"
