"""When a child is asked, when a token's file is read, and what a failure of either means."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from eventrouter.errors import ConfigError
from eventrouter.kube import credentials
from eventrouter.kube.credentials import Access, Credentials, Endpoint
from tests.support.clock import FakeClock
from tests.support.waiting import eventually

ENDPOINT = Endpoint(server="https://api.test", options={})


class Children:
    """Answers in the place of children: the next of `answers`, the last one again and again."""

    def __init__(self, *answers: Access | ConfigError) -> None:
        self._answers = list(answers)
        self.count = 0

    def __call__(self) -> Access:
        self.count += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, ConfigError):
            raise answer
        return answer


def access(token: str, *, file: Path | None = None, expires: float | None = None) -> Access:
    return Access(
        endpoint=ENDPOINT,
        authorization=f"Bearer {token}",
        token_file=None if file is None else str(file),
        expires=expires,
    )


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def test_what_cannot_be_read_at_the_start_is_an_error_at_once(clock: FakeClock) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        Credentials(Children(ConfigError("--kubeconfig", "no such file")), clock=clock)


def test_a_refusal_has_everything_read_anew(clock: FakeClock) -> None:
    children = Children(access("old"), access("new"))
    held = Credentials(children, clock=clock)
    clock.advance(credentials.PAUSE_SECONDS)

    held.renew(held.current())

    assert held.current().authorization == "Bearer new"
    assert children.count == 2


def test_there_is_at_most_one_child_a_minute(clock: FakeClock) -> None:
    """However many requests are refused."""
    children = Children(access("old"))
    held = Credentials(children, clock=clock)
    for _ in range(300):
        held.renew(held.current())
        clock.advance(1)

    assert children.count == 300 / 60


def test_the_failure_of_a_child_stands_until_there_may_be_another(clock: FakeClock) -> None:
    """So that the reason shows at each try, and not a 401 that follows from it."""
    failure = ConfigError("--kubeconfig", "exec: your login has expired")
    children = Children(access("old"), failure, access("new"))
    held = Credentials(children, clock=clock)
    clock.advance(60)
    for _ in range(2):
        with pytest.raises(ConfigError, match="your login has expired"):
            held.renew(held.current())
        clock.advance(20)
    assert children.count == 2

    clock.advance(20)
    held.renew(held.current())

    assert held.current().authorization == "Bearer new"


def test_threads_that_are_refused_together_share_one_child(clock: FakeClock) -> None:
    children = Children(access("old"), access("new"), access("newest"))
    held = Credentials(children, clock=clock)
    refused = held.current()
    clock.advance(60)
    held.renew(refused)
    clock.advance(60)

    held.renew(refused)

    assert children.count == 2
    assert held.current().authorization == "Bearer new"


def test_a_token_s_file_is_read_each_minute_without_a_child(
    clock: FakeClock, tmp_path: Path
) -> None:
    """The kubelet puts a new token there long before the old one expires."""
    file = tmp_path / "token"
    file.write_text("old\n")
    children = Children(access("old", file=file))
    held = Credentials(children, clock=clock)
    file.write_text("new\n")

    clock.advance(59)
    assert held.current().authorization == "Bearer old"
    clock.advance(1)
    assert held.current().authorization == "Bearer new"

    assert held.current().endpoint is ENDPOINT  # connections go on
    assert children.count == 1


def test_a_refused_token_is_read_again_at_once_without_a_child(
    clock: FakeClock, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("old")
    children = Children(access("old", file=file))
    held = Credentials(children, clock=clock)
    clock.advance(3600)
    refused = held.current()
    file.write_text("new")

    held.renew(refused)
    held.renew(refused)  # another thread, which was refused with the old one too

    assert held.current().authorization == "Bearer new"
    assert children.count == 1


@pytest.mark.parametrize(
    "change",
    [
        Path.unlink,
        lambda file: file.write_bytes(b"\xff"),
        lambda file: file.write_text("two\nlines"),
    ],
)
def test_a_token_s_file_that_is_of_no_use_leaves_the_old_token(
    change: Callable[[Path], object], clock: FakeClock, tmp_path: Path
) -> None:
    """Half written, or about to be replaced: the old token may do for an hour yet."""
    file = tmp_path / "token"
    file.write_text("old")
    held = Credentials(Children(access("old", file=file)), clock=clock)
    change(file)
    clock.advance(60)

    assert held.current().authorization == "Bearer old"


def test_credentials_are_renewed_before_they_expire_and_requests_go_on_meanwhile(
    clock: FakeClock,
) -> None:
    """An exec plugin may take its time: an election must not wait for it."""
    may_answer = threading.Event()
    children = Children(access("old", expires=clock.time() + 900), access("new"))

    def slow() -> Access:
        answer = children()
        if children.count > 1:
            may_answer.wait(10)
        return answer

    held = Credentials(slow, clock=clock)
    clock.advance(839)
    assert held.current().authorization == "Bearer old"
    assert children.count == 1

    clock.advance(1)
    assert held.current().authorization == "Bearer old"
    eventually(lambda: children.count == 2)
    assert held.current().authorization == "Bearer old"
    may_answer.set()
    eventually(lambda: held.current().authorization == "Bearer new")

    assert children.count == 2


def test_a_renewal_that_fails_early_is_told_and_tried_again_in_a_minute(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """What there is goes on being used, for it is good for a while yet."""
    failure = ConfigError("--kubeconfig", "exec: no network")
    children = Children(access("old", expires=clock.time() + 100), failure, access("new"))
    held = Credentials(children, clock=clock)
    clock.advance(60)
    held.current()
    eventually(lambda: "no network" in caplog.text)
    assert held.current().authorization == "Bearer old"

    clock.advance(60)
    held.current()

    eventually(lambda: held.current().authorization == "Bearer new")
    assert children.count == 3


def test_nothing_secret_shows_in_a_representation() -> None:
    """As it would in a traceback of a log."""
    held = Access(
        endpoint=Endpoint(server="https://api.test", options={}, contents={"key_file": b"secret"}),
        authorization="Bearer secret",
    )

    assert "secret" not in f"{held!r} {held.endpoint!r}"
