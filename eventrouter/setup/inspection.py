"""What `eventrouter check` says of an Elasticsearch or OpenSearch. Nothing is written there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime

from eventrouter.clock import Clock
from eventrouter.errors import TargetError, TargetUnknown, TargetUnusable
from eventrouter.ops.finding import Finding
from eventrouter.setup.mapping import Json, Server
from eventrouter.setup.objects import IndexTemplate
from eventrouter.setup.plan import objection
from eventrouter.setup.sinks import Sink
from eventrouter.setup.target import Target
from eventrouter.setup.today import is_made_by_template, todays_index

# Elasticsearch says so where it has security that is off. Without it, it does not know the path.
_IS_OFF = "must be explicitly enabled"
_PRIVILEGES = ["create_doc", "auto_configure", "create_index"]
# The check does not know them, and a shorter retention deletes events.
_CHOSEN = "with the --retention, --shards and --replicas that you chose"
_ROLE = "give it the writer's role (docs/how-to/set-up-the-index.md)"


def inspect(sink: Sink, *, clock: Clock) -> Iterator[Finding]:
    """One finding for the server and the login, one for the template, one for today's index."""
    target = Target(
        sink.url,
        login=sink.login,
        ca_file=sink.ca_file,
        wait_seconds=0,
        clock=clock,
        stop=threading.Event(),
    )
    index = todays_index(sink.parameters, now=datetime.fromtimestamp(clock.time(), UTC))
    look = _Look(sink, target, index)
    for link, attempt in (
        (sink.name, look.login),
        (f"{sink.name}, index template {sink.parameters.prefix}", look.template),
        (f"{sink.name}, index {index}", look.index),
    ):
        try:
            is_good, what = attempt()
        except TargetUnusable as error:
            yield Finding(sink.name, False, str(error))
            return
        except TargetError as error:
            # A writer's login need not see templates and indices.
            is_hidden = error.status == 403
            yield Finding(link, None if is_hidden else False, str(error))
        else:
            yield Finding(link, is_good, what)


class _Look:
    """The three looks. Each raises TargetError, and TargetUnusable if no other makes sense."""

    def __init__(self, sink: Sink, target: Target, index: str) -> None:
        self._sink = sink
        self._target = target
        self._index = index
        server = f"--{sink.server.value.lower()} {sink.url}"
        prefix = sink.parameters.prefix
        self._setup = f"run `eventrouter setup {server} --index-prefix {prefix}`"

    def login(self) -> tuple[bool | None, str]:
        """Whether the login may create documents."""
        if self._sink.server is Server.ELASTICSEARCH:
            return self._elasticsearch_login()
        return self._opensearch_login()

    def template(self) -> tuple[bool | None, str]:
        """Whether the template is there, ours and current."""
        wanted = IndexTemplate(self._sink.parameters, server=self._sink.server)
        answer = self._target.get(wanted.path, privilege=wanted.privilege)
        if answer is None:
            return False, f"is not there; {self._setup}"
        try:
            found = wanted.found(answer)
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise TargetError(f"GET {wanted.path} gives an answer of another form") from error
        if problem := objection(found):
            return False, f"{problem}; to replace it, {_CHOSEN}, {self._setup[:-1]} --force`"
        assert found.mark is not None
        if found.mark.version < wanted.mark.version:
            versions = f"is of version {found.mark.version}, not {wanted.mark.version}"
            return False, f"{versions}; {self._setup}"
        if found.mark.version > wanted.mark.version:
            return True, "a newer eventrouter made it"
        return True, f"eventrouter made it, version {found.mark.version}"

    def index(self) -> tuple[bool | None, str]:
        """Whether today's index has the template."""
        is_made = is_made_by_template(self._target, self._index, self._sink.parameters)
        if is_made is None:
            return True, "is not there yet; the first event of today makes it"
        if is_made:
            return True, "made by the template"
        return False, (
            "made without the template, so events may be refused until tomorrow's index;"
            f" to delete it with its events, so that the next event makes it anew, {_CHOSEN},"
            f" {self._setup[:-1]} --replace-index`"
        )

    def _elasticsearch_login(self) -> tuple[bool | None, str]:
        wanted = {"names": [self._index], "privileges": _PRIVILEGES}
        path = "/_security/user/_has_privileges"
        try:
            answer = self._target.post(path, {"index": [wanted]}, privilege="a right to ask")
        except TargetUnknown:
            return self._no_security()
        except TargetError as error:
            if _IS_OFF in str(error):
                return self._no_security()
            raise
        has = _inner(answer, "index", self._index)
        missing = [] if has.get("create_doc") else ["create_doc"]
        if not has.get("auto_configure") and not has.get("create_index"):
            missing.append("auto_configure")
        who = f"the login {answer.get('username', '')}".strip()
        if missing:
            lacks = f"{' and '.join(missing)} on {self._sink.parameters.pattern}"
            return False, f"{self._sink.url} answers, but {who} lacks {lacks}: {_ROLE}"
        return True, f"answers at {self._sink.url}; {who} may create documents"

    def _opensearch_login(self) -> tuple[bool | None, str]:
        """OpenSearch cannot be asked what a login may do: only which roles it has."""
        path = "/_plugins/_security/authinfo"
        try:
            answer = self._target.get(path, privilege="a right to ask") or {}
        except TargetUnknown:
            return self._no_security()
        roles = ", ".join(map(str, answer.get("roles") or ["none"]))
        who = f"the login {answer.get('user_name', '')}".strip()
        return None, (
            f"answers at {self._sink.url}; {who} has the roles {roles}:"
            " OpenSearch does not say whether these may create documents"
        )

    def _no_security(self) -> tuple[bool, str]:
        return True, f"answers at {self._sink.url}, and has no security: anybody may write"


def _inner(answer: Json, *path: str) -> Json:
    """The object at this path; empty if there is none."""
    value: object = answer
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}
