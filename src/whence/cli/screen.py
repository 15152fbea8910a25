"""What is written where: answers to stdout, everything else to stderr.

On a terminal people get colour and tables; through a pipe they get plain text that other tools can
read. Names and values that come from data are shown with their control characters spelled out.
"""

from __future__ import annotations

import codecs
import io
import json
import os
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

SCHEMA = 1  # of the JSON objects; grows when a key changes its meaning or goes away

ASCII = {
    "\u2013": "-", "\u2014": "-", "\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2026": "...",
    "\u2192": "->", "\u2194": "<->", "\u00d7": "x", "\u00b7": "*", "\u2264": "<=", "\u2265": ">=", "\u2260": "!=",
    "\u00b1": "+/-", "\u2212": "-", "\u00b2": "^2", "\u2713": "ok", "\u03b1": "alpha", "\u22a5": "_||_",
    "\u2211": "sum", "\u00df": "ss",
}  # fmt: skip


def prepare_streams() -> None:
    """Make sure that no character can crash the output, whatever the terminal's encoding."""
    codecs.register_error("whence-ascii", _ascii_for)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="whence-ascii")


def _ascii_for(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    out = []
    for c in error.object[error.start : error.end]:
        parts = ASCII.get(c) or "".join(ASCII.get(k, k) for k in unicodedata.normalize("NFKD", c))
        out.append(parts.encode("ascii", "ignore").decode() or "?")
    return "".join(out), error.end


def emit(payload: Mapping[str, Any]) -> None:
    """The one JSON object of a command, on stdout."""
    from whence.core.result import to_plain

    # Escapes beyond ASCII, so that it is the same object in every locale.
    text = json.dumps({"schema": SCHEMA, **to_plain(payload)}, indent=2, allow_nan=False)
    sys.stdout.write(text + "\n")


def clean(value: Any) -> str:
    """``value`` as text on one line, control characters spelled out (``\\x1b``, ``\\n``)."""
    text = str(value)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def on_terminal(stream: TextIO) -> bool:
    return bool(getattr(stream, "isatty", lambda: False)())


def coloured(stream: TextIO) -> bool:
    """Whether ``stream`` takes colour: a terminal, unless NO_COLOR is set or it is a dumb one."""
    return on_terminal(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def width() -> int:
    return max(40, min(shutil.get_terminal_size((100, 24)).columns, 110))


def say(text: str = "", *, indent: int = 0, style: str = "", styled: str | None = None) -> None:
    """A paragraph on stdout, wrapped on a terminal and one line through a pipe.

    ``style`` colours it all, or only its first words ``styled``.
    """
    pad = " " * indent
    for part in text.split("\n"):
        line = pad + clean(part)
        if on_terminal(sys.stdout):
            hanging = pad + ("  " if part.startswith(("- ", "! ")) else "")
            line = textwrap.fill(line, width(), subsequent_indent=hanging, break_on_hyphens=False) if part else ""
        first = line if styled is None else line[: len(styled)]
        sys.stdout.write(_styled(first, style, sys.stdout) + line[len(first) :] + "\n")


def heading(text: str) -> None:
    """A section's name with an empty line before it."""
    say()
    say(text, style="1")


def verbatim(text: str) -> None:
    """Text whose lines and spaces matter (a script, a formula)."""
    sys.stdout.write("\n".join(clean(line) for line in text.split("\n")) + "\n")


def note(text: str) -> None:
    """A remark beside the answer, on stderr."""
    sys.stderr.write(clean(text) + "\n")


def _styled(text: str, style: str, stream: TextIO) -> str:
    return f"\x1b[{style}m{text}\x1b[0m" if style and text and coloured(stream) else text


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Iterable[str] = ()) -> None:
    """A table; the columns named in ``right`` are aligned right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    terminal = on_terminal(sys.stdout)
    drawn = Table(
        box=box.SIMPLE_HEAD if terminal else None, pad_edge=False, show_edge=False, padding=(0, 2, 0, 0),
        header_style="bold" if coloured(sys.stdout) else "",
    )
    to_the_right = set(right)
    for name in head:
        drawn.add_column(name, justify="right" if name in to_the_right else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(Text("" if v is None else clean(v)) for v in row))
    # Through a pipe nothing is folded: one row is one line.
    console = Console(
        file=sys.stdout, highlight=False, markup=False, width=None if terminal else 100_000,
        no_color=not coloured(sys.stdout), force_terminal=None if terminal else False,
    )
    if terminal:
        console.print(drawn)
        return
    with console.capture() as captured:
        console.print(drawn)
    sys.stdout.writelines(line.rstrip() + "\n" for line in captured.get().splitlines())


def fail(message: str, *, hint: str | None = None, allowed: Any = None) -> None:
    """An error, on stderr: what is wrong, what is allowed, what to do."""
    sys.stderr.write(_styled("Error: ", "1;31", sys.stderr) + clean(message) + "\n")
    if allowed is not None and allowed != ():
        shown = allowed if isinstance(allowed, str) else _listed([clean(a) for a in allowed])
        sys.stderr.write(f"  Allowed: {clean(shown)}\n")
    if hint:
        sys.stderr.write(f"  {clean(hint)}\n")


def _listed(values: Sequence[str], most: int = 12) -> str:
    more = f", ... ({len(values) - most} more)" if len(values) > most else ""
    return ", ".join(values[:most]) + more
