"""Column names: text, distinct, and nothing changed without saying so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from whence.core.errors import WhenceError
from whence.core.result import Remark


def clean_names(given: Sequence[Any], where: str) -> tuple[tuple[str, ...], tuple[Remark, ...]]:
    """Names as text without surrounding spaces; a column without a name becomes ``column_<position>``.

    Raises ``WhenceError`` (``duplicate_column``) naming every repeated name with its positions.
    """
    unnamed = [i for i, name in enumerate(given) if name is None or not str(name).strip()]
    names = [f"column_{i + 1}" if i in set(unnamed) else str(name).strip() for i, name in enumerate(given)]
    positions: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        positions.setdefault(name, []).append(i + 1)
    repeated = {name: where_seen for name, where_seen in positions.items() if len(where_seen) > 1}
    if repeated:
        raise _duplicates(repeated, where)
    remarks = []
    if unnamed:
        called = tuple(names[i] for i in unnamed)
        text = f"{_columns(unnamed)} without a name in {where}: called {', '.join(called[:5])}"
        remarks.append(Remark("unnamed_column", text + (", ..." if len(called) > 5 else "") + ".", called))
    spaced = tuple(n for n, g in zip(names, given, strict=True) if isinstance(g, str) and g.strip() and g != n)
    if spaced:
        text = f"Spaces around {len(spaced)} column name{'s' * (len(spaced) > 1)} were left out: {_few(spaced)}."
        remarks.append(Remark("spaced_name", text, spaced))
    return tuple(names), tuple(remarks)


def _columns(places: Sequence[int]) -> str:
    return f"Column {places[0] + 1} is" if len(places) == 1 else f"{len(places)} columns are"


def _few(names: Sequence[str]) -> str:
    return ", ".join(repr(n) for n in names[:5]) + (", ..." if len(names) > 5 else "")


def _duplicates(repeated: dict[str, list[int]], where: str) -> WhenceError:
    shown = "; ".join(
        f"{name!r} is the name of columns {', '.join(map(str, places[:6]))}{', ...' if len(places) > 6 else ''}"
        for name, places in list(repeated.items())[:6]
    )
    more = f"; and {len(repeated) - 6} more names" if len(repeated) > 6 else ""
    return WhenceError(
        f"Column names repeat in {where}: {shown}{more}.",
        code="duplicate_column", value=repeated,
        hint="Give every column its own name (names are compared as text, without surrounding spaces).",
    )
