"""Today's index, and whether it was made by the template."""

from __future__ import annotations

from datetime import datetime

from eventrouter.errors import TargetError
from eventrouter.setup.objects import Parameters
from eventrouter.setup.target import Json, Target


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
        return _is_ours(next(iter(answer.values())))
    except (KeyError, TypeError, AttributeError) as error:
        raise TargetError(f"GET /{index} gives an answer of another form") from error


def check_replaceable(target: Target, index: str) -> None:
    """Raise TargetError unless the template would make the index anew.

    Another template of a higher priority may be for it.
    """
    path = f"/_index_template/_simulate_index/{index}"
    answer = target.post(path, None, privilege="the cluster privilege manage_index_templates")
    try:
        is_ours = _is_ours(answer["template"])
    except (KeyError, TypeError, AttributeError):
        is_ours = False  # a template without mappings
    if not is_ours:
        raise TargetError(
            "made without the template, and so would the next one be:"
            " another template with a higher priority is for it"
        )


def replace(target: Target, index: str, parameters: Parameters) -> None:
    """Delete the index and its events: the next event makes it anew. Raises TargetError."""
    target.delete(f"/{index}", privilege=f"delete_index on {parameters.pattern}")
    if is_made_by_template(target, index, parameters) is False:
        raise TargetError("it was deleted, and made again without the template")


def _is_ours(content: Json) -> bool:
    """Whether an index, or what a template gives one, has the template's mappings."""
    return str(content["mappings"].get("dynamic")).lower() == "false"
