"""`eventrouter setup`: one line for each object, and the exit code."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial

from eventrouter.clock import Clock, Stop, SystemClock
from eventrouter.errors import ConfigError, TargetError, TargetUnusable
from eventrouter.ops import logs
from eventrouter.process import EXIT_BAD_SETTING, EXIT_FAILED, EXIT_OK
from eventrouter.setup.dashboards.saved_objects import SavedObject, data_view, saved_objects
from eventrouter.setup.kibana import IMPORT, Kibana, set_up_kibana
from eventrouter.setup.mapping import Json
from eventrouter.setup.objects import Found, SetupObject, objects
from eventrouter.setup.plan import Action, decide
from eventrouter.setup.report import Line, reported
from eventrouter.setup.settings import Settings, parser, read_settings
from eventrouter.setup.target import Target
from eventrouter.setup.today import check_replaceable, is_made_by_template, replace, todays_index


def main(argv: Sequence[str], stop: Stop) -> int:
    """Set up, or say why not. Returns the exit code."""
    arguments = parser().parse_args(argv)
    try:
        settings = read_settings(arguments, os.environ)
        logs.set_up(level="warning", log_format="text")
        if settings.is_print:
            print(json.dumps(bodies(settings), indent=2))
            return EXIT_OK
        is_good = True
        for line in set_up(settings, clock=SystemClock(), stop=stop):
            print(line, flush=True)
            is_good = is_good and line.is_good
        return EXIT_OK if is_good else EXIT_FAILED
    except ConfigError as error:
        print(f"eventrouter setup: {error}", file=sys.stderr)
        return EXIT_BAD_SETTING
    except TargetError as error:
        print(f"eventrouter setup: {error}", file=sys.stderr)
        return EXIT_FAILED


def bodies(settings: Settings) -> Json:
    """What setup writes, by path."""
    written: Json = {
        wanted.path: wanted.body() for wanted in objects(settings.server, settings.parameters)
    }
    if settings.kibana:
        written[IMPORT] = [wanted.body() for wanted in _saved_objects(settings)]
    return written


def set_up(settings: Settings, *, clock: Clock, stop: Stop) -> Iterator[Line]:
    """Write what is missing or old, and tell of each object. Raises TargetUnusable."""

    def target_at(url: str) -> Target:
        return Target(
            url,
            login=settings.login,
            ca_file=settings.ca_file,
            wait_seconds=settings.wait_seconds,
            clock=clock,
            stop=stop,
        )

    target = target_at(settings.url)
    kibana = Kibana(target_at(settings.kibana)) if settings.kibana else None
    index = todays_index(settings.parameters, now=datetime.fromtimestamp(clock.time(), UTC))
    lines = _set_up_index(target, index, settings)
    if settings.report and not settings.is_dry_run:
        lines = reported(
            lines,
            settings.report,
            index=settings.parameters.pattern,
            has_login=bool(settings.login.header),
        )
    yield from lines
    if kibana:
        yield from set_up_kibana(
            kibana,
            _saved_objects(settings),
            force=settings.force,
            is_dry_run=settings.is_dry_run,
        )


def _set_up_index(target: Target, index: str, settings: Settings) -> Iterator[Line]:
    is_good = True
    for wanted in objects(settings.server, settings.parameters):
        line = _line(str(wanted), partial(_settle, target, wanted, settings))
        is_good = is_good and line.is_good
        yield line
    settle = partial(_settle_index, target, index, settings, is_template_good=is_good)
    line = _line(f"index {index}", settle)
    if line.word:
        yield line


def _saved_objects(settings: Settings) -> tuple[SavedObject, ...]:
    prefix = settings.parameters.prefix
    return saved_objects(prefix) if settings.has_dashboards else (data_view(prefix),)


def _line(name: str, attempt: Callable[[], tuple[str, str, bool]]) -> Line:
    try:
        word, text, is_good = attempt()
    except TargetUnusable:
        raise
    except TargetError as error:
        return Line("FAILED", name, str(error), False)
    return Line(word, name, text, is_good)


def _settle(target: Target, wanted: SetupObject, settings: Settings) -> tuple[str, str, bool]:
    """Bring one object to where it should be."""
    found = _read(target, wanted)
    decision = decide(wanted, found, force=settings.force)
    is_good = decision.action is not Action.LEAVE
    if not decision.action.is_write:
        return decision.action.value, decision.reason, is_good
    if settings.is_dry_run:
        return f"would be {decision.action.value}", decision.reason, is_good
    query = found.query if found else ""
    target.put(wanted.path + query, wanted.body(), privilege=wanted.privilege)
    after = _read(target, wanted)
    if after is None or after.mark != wanted.mark or after.digest != wanted.mark.digest:
        raise TargetError("it was written, and reads back different: did somebody write it too?")
    return decision.action.value, decision.reason, is_good


def _read(target: Target, wanted: SetupObject) -> Found | None:
    answer = target.get(wanted.path, privilege=wanted.privilege)
    if answer is None:
        return None
    try:
        return wanted.found(answer)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise TargetError(f"GET {wanted.path} gives an answer of another form") from error


def _settle_index(
    target: Target, index: str, settings: Settings, *, is_template_good: bool
) -> tuple[str, str, bool]:
    """Say whether today's index was made by the template. No word if it is not there.

    Only a good template makes it sensible to replace an index.
    """
    is_made = is_made_by_template(target, index, settings.parameters)
    if is_made is None:
        return "", "", True
    if is_made:
        return "unchanged", "made by the template", True
    if settings.replaces_index and is_template_good:
        check_replaceable(target, index)
        text = "made without the template; the next event makes it anew"
        if settings.is_dry_run:
            return "would be deleted", text, True
        replace(target, index, settings.parameters)
        return "deleted", text, True
    text = (
        "made without the template, so events may be refused until tomorrow's index;"
        " --replace-index deletes it with its events, and the next event makes it anew"
    )
    return "left", text, False
