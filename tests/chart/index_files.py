"""The files in `fluent/index/`: what `eventrouter setup` writes by default, and the roles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from eventrouter.setup.mapping import Server
from eventrouter.setup.objects import IndexTemplate, Parameters, objects
from eventrouter.setup.roles import setup_role, writer_role

FOLDER = Path(__file__).parents[2] / "fluent" / "index"


def files() -> dict[str, str]:
    """The text of each file, by its name."""
    return {
        f"{server.value.lower()}-{name}.json": json.dumps(body, indent=2) + "\n"
        for server in Server
        for name, body in _bodies(server).items()
    }


def _bodies(server: Server) -> dict[str, dict[str, Any]]:
    written = {
        "template" if isinstance(wanted, IndexTemplate) else "policy": wanted.body()
        for wanted in objects(server, Parameters())
    }
    roles = {
        "writer-role": writer_role(server, Parameters()),
        "setup-role": setup_role(server, Parameters()),
    }
    return written | roles
