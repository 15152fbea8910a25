"""On a real (pseudo) terminal: colour, the question before a plan is run, and bars that leave no trace."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

pty = pytest.importorskip("pty")


def on_terminal(*argv: str, typed: str = "", **environment: str) -> tuple[int, str]:
    """Exit status and everything the terminal saw."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update({"TERM": "xterm-256color", "COLUMNS": "100"} | environment)
        os.execv(sys.executable, [sys.executable, "-m", "whence", *argv])
    os.write(terminal, typed.encode())
    seen = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # Linux: the other end is closed
            break
        if not part:
            break
        seen += part
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), seen.decode()


@pytest.mark.parametrize("typed, ran", [("n\n", False), ("y\n", True), ("\n", True)])
def test_the_plan_is_agreed_before_it_is_run(trial: Path, typed: str, ran: bool) -> None:
    status, seen = on_terminal(
        "ask", str(trial), "Does dose raise recovery?", "--method", "regression", typed=typed
    )
    assert status == 0
    assert "Run this plan? [Y/n]" in seen
    assert ("Answer" in seen) == ran and ("Not run." in seen) != ran


def test_yes_asks_nothing(trial: Path) -> None:
    status, seen = on_terminal("ask", str(trial), "Does dose raise recovery?", "--method", "regression", "--yes")
    assert status == 0 and "Run this plan?" not in seen and "Answer" in seen


def test_colour_only_where_it_is_wanted() -> None:
    assert "\x1b[1m" in on_terminal("doctor")[1]
    assert "\x1b[1m" not in on_terminal("doctor", NO_COLOR="1")[1]


def test_end_of_input_at_the_question_runs_nothing(trial: Path) -> None:
    status, seen = on_terminal("ask", str(trial), "Does dose raise recovery?", typed="\x04")
    assert status == 0 and "Not run." in seen


@pytest.mark.parametrize(("typed", "outcome"), [("1\n", "score_a"), ("2\n", "score_b"), ("n\n", None)])
def test_two_near_plans_are_one_question(tmp_path: Path, typed: str, outcome: str | None) -> None:
    rng = np.random.default_rng(3)
    rows = zip(rng.normal(size=300), rng.normal(size=300), rng.integers(0, 2, 300), strict=True)
    file = tmp_path / "exam.csv"
    file.write_text("score_a,score_b,course\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows))
    about = "score_a: exam score in maths\nscore_b: exam score in reading\ncourse: took the course"
    argv = ("ask", str(file), "Does the course raise the exam score?", "--about", about, "--method", "difference")
    status, seen = on_terminal(*argv, typed=typed)
    assert status == 0
    assert "Which one? 1: the plan above. 2:" in seen
    if outcome is None:
        assert "Not run." in seen
    else:
        assert outcome in seen[seen.rindex("Answer"):]
    assert "Which one?" not in on_terminal(*argv, "--yes")[1]
