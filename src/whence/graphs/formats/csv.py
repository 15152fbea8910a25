"""Adjacency as CSV, both ways: a header of names, then a row per node, its name first or left out.

Entries as in ``formats.matrix``: 0/1 adjacency, pcalg's marks or causal-learn's.
"""

from __future__ import annotations

import csv
import io

from whence.core.errors import WhenceError
from whence.graphs.formats import matrix
from whence.graphs.formats.draft import Draft
from whence.graphs.graph import Graph


def read(text: str, convention: str | None = None) -> Draft:
    """The edges. Rows may come in another order than the columns.

    Raises ``WhenceError``: ``bad_graph_text`` with the line, ``bad_matrix`` with the row and column.
    """
    source = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[int, list[str]]] = []
    try:
        rows.extend((source.line_num, row) for row in source if any(row))
    except csv.Error as error:
        raise _bad(source.line_num, f"{error}") from None
    if not rows:
        raise _bad(1, "there is no header of names")
    (_, header), body = rows[0], rows[1:]
    # A header as long as the rows has a cell above the row names, unless the rows have no names.
    named = len(header) == len(body) + 1
    names = header[1:] if named else header
    if len(body) != len(names):
        raise _bad(rows[-1][0], f"{len(names)} names in the header need as many rows, not {len(body)}")
    entries: dict[str, list[float]] = {}
    for place, (line, row) in enumerate(body):
        if len(row) != len(header):
            raise _bad(line, f"{len(row)} cells, not the {len(header)} of the header")
        name = row[0] if named else names[place]
        if name not in names or name in entries:
            raise _bad(line, f"{name!r} is not in the header" if name not in names else f"{name!r} comes twice")
        entries[name] = [_number(cell, line) for cell in row[1 if named else 0 :]]
    return matrix.read(names, [entries[name] for name in names], convention)


def _number(cell: str, line: int) -> float:
    try:
        return float(cell) if cell.strip() else 0.0
    except ValueError:
        raise _bad(line, f"{cell!r} is not a number") from None


def _bad(line: int, why: str) -> WhenceError:
    return WhenceError(f"Line {line} of the CSV matrix: {why}.", code="bad_graph_text", value={"line": line},
                       hint="The first line names the nodes; each further line holds a node's name and its entries.")


def write(graph: Graph, convention: str = "marks") -> str:
    """CSV text. Raises ``WhenceError`` (``cannot_write``) for what a matrix cannot hold."""
    given = matrix.write(graph, convention)
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(["", *given["names"]])
    writer.writerows([name, *row] for name, row in zip(given["names"], given["matrix"], strict=True))
    return out.getvalue()
