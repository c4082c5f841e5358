"""The line of progress stays at the bottom, whoever writes above it."""

from __future__ import annotations

import io
import threading

from eventrouter.demo.screen import Screen
from tests.support.display import Display


class Shown:
    """A screen, and what a person sees on it."""

    def __init__(self) -> None:
        self.terminal = io.StringIO()
        self.screen = Screen(self.terminal)

    def display(self) -> Display:
        display = Display()
        display.feed(self.terminal.getvalue())
        return display

    @property
    def lines(self) -> list[str]:
        return self.display().texts

    @property
    def bottom(self) -> str:
        return "".join(run.text for run in self.display().last)


def test_lines_scroll_above_the_progress() -> None:
    shown = Shown()

    shown.screen.write("before\n")
    shown.screen.set_progress("1 captured")
    shown.screen.write("first row\nsecond row\n")
    shown.screen.set_progress("2 captured")
    shown.screen.write("third row\n")

    assert shown.lines == ["before", "first row", "second row", "third row"]
    assert shown.bottom == "2 captured"


def test_without_progress_nothing_is_left_of_it() -> None:
    shown = Shown()

    shown.screen.set_progress("1 captured")
    shown.screen.set_progress("")
    shown.screen.write("summary\n")

    assert (shown.lines, shown.bottom) == (["summary"], "")


def test_the_progress_waits_for_the_end_of_a_line_that_comes_in_parts() -> None:
    """As those of a traceback, or of print with its own end of line."""
    shown = Shown()
    shown.screen.set_progress("1 captured")

    shown.screen.write("Traceback ")
    shown.screen.set_progress("2 captured")
    assert shown.bottom == "Traceback "
    print("(most recent call last)", file=shown.screen)

    assert shown.lines == ["Traceback (most recent call last)"]
    assert shown.bottom == "2 captured"


def test_no_control_sequence_is_written_unless_there_is_progress() -> None:
    """So that the same screen does for a file, and for a terminal that obeys none."""
    shown = Shown()

    shown.screen.write("row\n")
    shown.screen.set_progress("")

    assert shown.terminal.getvalue() == "row\n"


def test_threads_do_not_tear_each_others_lines() -> None:
    shown = Shown()

    def write(name: str) -> None:
        for number in range(200):
            shown.screen.write(f"{name} {number}\n")
            shown.screen.set_progress(f"{name} {number} done")

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(shown.lines) == sorted(f"{name} {n}" for name in "abcd" for n in range(200))
