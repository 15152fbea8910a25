"""Output: one JSON object, no control characters from data, no colour through a pipe."""

from __future__ import annotations

import io
import json
import sys

import pytest

from whence.cli import screen


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminal_on(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Set in the test, not in a fixture: pytest puts its own stdout back between the two."""
    out = Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return out


def test_json_has_the_schema_and_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    screen.emit({"value": float("nan"), "word": "größe", "odd": "\udc80"})
    out = capsys.readouterr().out
    assert out.isascii()
    assert json.loads(out) == {"schema": screen.SCHEMA, "value": None, "word": "größe", "odd": "\udc80"}


@pytest.mark.parametrize("given, shown", [
    ("plain", "plain"), ("größe", "größe"), ("a\nb", "a\\nb"), ("\x1b[31mred", "\\x1b[31mred"), (3, "3"),
])
def test_control_characters_are_spelled_out(given: object, shown: str) -> None:
    assert screen.clean(given) == shown


def test_a_table_through_a_pipe_is_one_row_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    long = "word " * 100
    screen.table(("name", "value"), [("[bold]a[/bold]", long), ("\x1b[31m", None)], right=("value",))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[1].startswith("[bold]a[/bold]") and long.strip() in lines[1]
    assert lines[2] == "\\x1b[31m"


def test_a_terminal_gets_colour_and_wrapping(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_on(monkeypatch)
    screen.heading("Answer")
    screen.say("word " * 30)
    screen.table(("name", "meaning"), [("a", "word " * 30)])
    text = terminal.getvalue()
    assert "\x1b[1mAnswer\x1b[0m" in text
    assert max(len(line) for line in text.splitlines() if "\x1b" not in line) <= 60


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_on(monkeypatch)
    monkeypatch.setenv("NO_COLOR", "1")
    screen.heading("Answer")
    screen.table(("name",), [("a",)])
    screen.say("word", style="31")
    assert "\x1b[31m" not in terminal.getvalue() and "\x1b[1mAnswer" not in terminal.getvalue()


def test_an_ascii_stream_takes_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    screen.prepare_streams()
    screen.say("größe ≥ 3 – “quoted” 身長 −1.5 × 10⁻⁹")
    sys.stdout.flush()
    assert raw.getvalue().decode("ascii") == 'grosse >= 3 - "quoted" ?? -1.5 x 10-9\n'


def test_an_error_lists_what_is_allowed_up_to_a_point(capsys: pytest.CaptureFixture[str]) -> None:
    screen.fail("No.", hint="Do this.", allowed=[f"c{i}" for i in range(100)])
    err = capsys.readouterr().err
    assert err.startswith("Error: No.\n") and "c11, ... (88 more)" in err and err.endswith("  Do this.\n")
