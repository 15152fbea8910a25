"""The commands by name, and how every way of ending becomes an exit status."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import os
import sys
from collections.abc import Sequence
from typing import Any

from cyclopts import App, CycloptsError

from whence.cli import interrupt, screen
from whence.cli.inputs import reason
from whence.cli.status import ANSWERED, BAD_INPUT, DEFECT, PIPE_CLOSED
from whence.core.errors import WhenceError, unknown_name

# Command -> one line for the list; the module of the same name defines it and is imported when it is called.
COMMANDS = {
    "ask": "Answer a causal question about a data set.",
    "study": "Run a specified study: effect, checks, report and script.",
    "profile": "Describe a data set: kinds, gaps, oddities, structure.",
    "discover": "Learn a causal graph from data.",
    "identify": "Say whether a graph allows an effect to be estimated, and how.",
    "claims": "Say what a class of graphs claims about two nodes.",
    "estimate": "Estimate an effect from data and a specification.",
    "conditional": "Say how an effect differs between people, and who benefits.",
    "bound": "Bound an effect where hidden causes leave no single number.",
    "report": "Write the HTML report of a specified study.",
    "methods": "List the methods, or explain one.",
    "demo": "Answer a real question on a real cohort.",
    "doctor": "Show versions, kernel, threads, and what is missing.",
}

HELP = """Causal answers with their uncertainty, their assumptions and what would change them, or an honest refusal.

Start with `whence ask DATA.csv "Does X raise Y?"`; `whence COMMAND --help` explains a command.
"""

EPILOGUE = "Exit status: 0 answered, 2 bad input or usage, 3 an honest refusal, 1 a defect of ours."


def build(called: str | None = None) -> App:
    """The application. Only the module of the command ``called`` is imported, for its help."""
    from whence import __version__

    app = App(
        name="whence", help=HELP, help_epilogue=EPILOGUE, help_format="plaintext", group_parameters="Options",
        help_formatter="default" if screen.on_terminal(sys.stdout) else "plain",
        version=f"whence {__version__}", version_flags=["--version", "-V"], suppress_keyboard_interrupt=False,
    )
    for name, line in COMMANDS.items():
        words = _own_words(name) if name == called else {"help": line}
        app.command(f"whence.cli.{name}:{name}", name=name, **words)
    return app


def _own_words(name: str) -> dict[str, str]:
    """Help of a command from its docstring: paragraphs unwrapped, examples last, line by line."""
    function = getattr(importlib.import_module(f"whence.cli.{name}"), name)
    purpose, _, examples = inspect.cleandoc(function.__doc__).partition("\n\nExamples:")
    paragraphs = (" ".join(p.split()) for p in purpose.split("\n\n"))
    return {"help": "\n\n".join(paragraphs), "help_epilogue": f"Examples:{examples}\n\n{EPILOGUE}"}


def run(argv: Sequence[str]) -> int:
    """Run ``argv`` and return the exit status. Nothing but Ctrl-C gets through as an exception."""
    screen.prepare_streams()
    try:
        status = build(_command(argv))(
            list(argv), console=_help_console(argv), result_action="return_value", print_error=False,
            exit_on_error=False,
        )
        sys.stdout.flush()
        return status if isinstance(status, int) else ANSWERED
    except BrokenPipeError:
        _abandon_stdout()
        return PIPE_CLOSED
    except Exception as error:
        if interrupt.received():  # what it interrupted may have made another error of it
            raise KeyboardInterrupt from error
        expected = _expected(error, argv)
        if expected is not None:
            return _failed(expected, argv, BAD_INPUT)
        if os.environ.get("WHENCE_DEBUG"):
            raise
        return _failed(_defect(error), argv, DEFECT)


def _expected(error: Exception, argv: Sequence[str]) -> WhenceError | None:
    """An error that is not a defect of ours, in words: bad usage, bad input, or the machine saying no."""
    if isinstance(error, WhenceError):
        return error
    if isinstance(error, CycloptsError):
        return WhenceError(" ".join(str(error).split()), code="usage", hint=f"See `{_help_command(argv)}`.")
    if isinstance(error, MemoryError):
        return WhenceError("There is not enough memory for this.", code="memory",
                           hint="Name fewer columns, or use a machine with more memory.")
    if isinstance(error, OSError):
        place = f" ({error.filename})" if error.filename else ""
        return WhenceError(f"The system refused: {reason(error)}{place}.", code="system", value=error.errno)
    return None


def _command(argv: Sequence[str]) -> str | None:
    """The command that ``argv`` calls, or None for the general help."""
    if not argv or argv[0].startswith("-"):
        return None
    if argv[0] not in COMMANDS:
        raise unknown_name("command", argv[0], COMMANDS, code="unknown_command")
    return argv[0]


def _help_console(argv: Sequence[str]) -> Any:
    """A console as wide as plain help is written, when help goes through a pipe; else None, the usual one."""
    if screen.on_terminal(sys.stdout) or not (not argv or {"--help", "-h"} & set(argv)):
        return None
    from rich.console import Console

    return Console(file=sys.stdout, width=120, force_terminal=False)


def _failed(error: WhenceError, argv: Sequence[str], status: int) -> int:
    screen.fail(error.message, hint=error.hint, allowed=_unsaid(error))
    try:
        if "--json" in argv:
            screen.emit({"error": error.to_dict()})
        sys.stdout.flush()
    except OSError:
        _abandon_stdout()
    return status


def _unsaid(error: WhenceError) -> object:
    """What is allowed, unless message or hint say it already."""
    if error.allowed is None:
        return None
    words = [error.allowed] if isinstance(error.allowed, str) else [str(a) for a in error.allowed]
    said = f"{error.message} {error.hint or ''}"
    return None if all(word in said for word in words) or "Did you mean" in said else error.allowed


def _defect(error: Exception) -> WhenceError:
    return WhenceError(
        f"Sorry, whence failed in a way it should not ({type(error).__name__}: {error}).", code="defect",
        hint="Run the same command with WHENCE_DEBUG=1 in the environment to see where, and please report it.",
        retryable=False,
    )


def _help_command(argv: Sequence[str]) -> str:
    named = [word for word in argv[:1] if word in COMMANDS]
    return " ".join(["whence", *named, "--help"])


def _abandon_stdout() -> None:
    # Nobody can be written to: the reader of the pipe went away (`| head`), or the disk is full. Python would
    # complain when it flushes at exit.
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
