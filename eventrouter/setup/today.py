"""Today's index, and whether it was made by the template."""

from __future__ import annotations

from datetime import datetime

from eventrouter.errors import TargetError
from eventrouter.setup.objects import Parameters
from eventrouter.setup.target import Target


def todays_index(parameters: Parameters, *, now: datetime) -> str:
    """Its name. `now` is in UTC."""
    return f"{parameters.prefix}-{now:%Y.%m.%d}"


def is_made_by_template(target: Target, index: str, parameters: Parameters) -> bool | None:
    """None if the index is not there. Raises TargetError."""
    privilege = f"view_index_metadata on {parameters.pattern}"
    answer = target.get(f"/{index}", privilege=privilege)
    if answer is None:
        return None
    try:
        mappings = next(iter(answer.values()))["mappings"]
        return str(mappings.get("dynamic")).lower() == "false"
    except (KeyError, TypeError, AttributeError) as error:
        raise TargetError(f"GET /{index} gives an answer of another form") from error


def replace(target: Target, index: str, parameters: Parameters) -> None:
    """Delete the index and its events: the next event makes it anew. Raises TargetError."""
    target.delete(f"/{index}", privilege=f"delete_index on {parameters.pattern}")
    if is_made_by_template(target, index, parameters) is False:
        raise TargetError("it was deleted, and made again without the template")
