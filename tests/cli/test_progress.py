"""Bars: silent when the work is short or nobody watches; drawn, nested and cleaned up otherwise."""

from __future__ import annotations

import io
import sys
import time

import pytest

from whence.cli.progress import Bars, bars
from whence.core.progress import SILENT


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminal_on(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Set in the test, not in a fixture: pytest puts its own stderr back between the two."""
    err = Terminal()
    monkeypatch.setattr(sys, "stderr", err)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return err


def test_nobody_watches_a_pipe() -> None:
    with bars() as progress:
        assert progress is SILENT


def test_short_work_stays_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_on(monkeypatch)
    with bars() as progress:
        progress.begin("short", 3)
        progress.step(3)
        progress.end()
    assert terminal.getvalue() == ""


def test_long_work_is_drawn_with_its_steps_and_wiped(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_on(monkeypatch)
    with Bars(delay=0.01) as progress:
        progress.begin("outer [work]", 2)
        time.sleep(0.3)
        progress.step()
        progress.begin("inner", None)
        time.sleep(0.3)
        progress.end()
        progress.end()
    drawn = terminal.getvalue()
    assert "outer [work]" in drawn and "inner" in drawn and "1/2" in drawn
    assert "\x1b[?25h" in drawn, "the cursor is back"


def test_an_interrupt_gives_the_cursor_back(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_on(monkeypatch)
    with pytest.raises(KeyboardInterrupt), Bars(delay=0.01) as progress:
        progress.begin("work", 2)
        time.sleep(0.3)
        raise KeyboardInterrupt
    assert terminal.getvalue().rstrip("\r\n").rfind("\x1b[?25h") > terminal.getvalue().rfind("\x1b[?25l")


def test_unbalanced_calls_do_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal_on(monkeypatch)
    with Bars(delay=0.01) as progress:
        progress.end()
        progress.step()
        progress.begin("never ended", 1)
        time.sleep(0.1)
