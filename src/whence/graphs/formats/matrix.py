"""Named matrices: 0/1 adjacency, pcalg's two kinds and causal-learn's, both ways.

``"adjacency"``: entry [i, j] = 1 says i --> j; 1 both ways says i --- j. ``"marks"``: entry [i, j] is the
mark at j's end: 0 none, 1 circle, 2 arrowhead, 3 tail (pcalg's ``amat.pag``, another name for it).
``"amat.cpdag"`` (pcalg): adjacency turned, entry [i, j] = 1 says i <-- j. ``"causal-learn"``: entry [i, j] is
the mark at i's end: 0 none, -1 tail, 1 arrowhead, 2 circle.

A matrix with a -1 in it is taken for causal-learn's, else one with a 2 or 3 for marks and any other for
adjacency. So pcalg's matrix of a DAG or CPDAG, and one of circles alone, need their ``"convention"``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from whence.core.errors import WhenceError
from whence.graphs.formats.draft import Draft
from whence.graphs.graph import ARROW, CIRCLE, NONE, TAIL, Graph, edge_text

CONVENTIONS = ("adjacency", "marks", "amat.pag", "amat.cpdag", "causal-learn")
_CAUSAL_LEARN = {NONE: 0, TAIL: -1, ARROW: 1, CIRCLE: 2}


def read(names: Iterable[Any], matrix: Any, convention: str | None = None) -> Draft:
    """The edges of a square matrix. Raises ``WhenceError`` (``bad_matrix``) that names the entry."""
    if convention is not None:
        _check_convention(convention)
    labels = _labels(names)
    entries = _checked(labels, matrix)
    if convention is None:
        convention = "causal-learn" if (entries < 0).any() else "marks" if (entries > 1).any() else "adjacency"
    marks = _marks(labels, entries, convention)
    edges = [
        (labels[i], edge_text(int(marks[j, i]), int(marks[i, j])), labels[j])
        for i, j in np.argwhere(np.triu(marks) != 0)
    ]
    return Draft(labels, tuple(edges))


def _check_convention(convention: Any) -> None:
    if convention not in CONVENTIONS:
        raise WhenceError(f"There is no matrix convention {convention!r}.", code="bad_matrix", value=convention,
                          allowed=CONVENTIONS, hint=f"Allowed: {', '.join(CONVENTIONS)}.")


def _marks(labels: tuple[str, ...], entries: np.ndarray, convention: str) -> np.ndarray:
    """Entry [i, j] as the mark at j's end."""
    if convention in ("adjacency", "amat.cpdag"):
        _refuse((entries > 1) | (entries < 0), labels, entries, "0 or 1")
        to = entries if convention == "adjacency" else entries.T
        return np.where(to == 1, np.where(to.T == 1, TAIL, ARROW), np.where(to.T == 1, TAIL, NONE))
    if convention == "causal-learn":
        _refuse(entries > 2, labels, entries, "-1, 0, 1 or 2")
    else:
        _refuse(entries < 0, labels, entries, "0, 1, 2 or 3")
    _refuse((entries == 0) & (entries.T != 0), labels, entries, "a mark, since the opposite entry has one")
    if convention != "causal-learn":
        return entries
    back = {code: mark for mark, code in _CAUSAL_LEARN.items()}
    return np.vectorize(back.__getitem__, otypes=[np.int8])(entries.T)


def _labels(names: Iterable[Any]) -> tuple[str, ...]:
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise WhenceError("A matrix needs a list under 'names'.", code="bad_matrix", value=names)
    labels = tuple(str(n) for n in names)
    if len(set(labels)) < len(labels):
        twice = sorted({n for n in labels if labels.count(n) > 1})
        raise WhenceError(f"Node names occur twice in the matrix: {twice}.", code="duplicate_node", value=twice)
    return labels


def _checked(labels: tuple[str, ...], matrix: Any) -> np.ndarray:
    try:
        entries = np.asarray(matrix, dtype=float)
    except (TypeError, ValueError):
        raise WhenceError("The matrix has entries that are not numbers.", code="bad_matrix") from None
    d = len(labels)
    if entries.shape != (d, d):
        raise WhenceError(
            f"The matrix has shape {entries.shape}; {d} names need ({d}, {d}).", code="bad_matrix",
            value=list(entries.shape), allowed=f"({d}, {d})",
        )
    _refuse(~np.isin(entries, (-1, 0, 1, 2, 3)), labels, entries, "0, 1, 2 or 3")
    _refuse(np.diag(entries.diagonal() != 0), labels, entries, "0, since a node has no edge to itself")
    return entries.astype(np.int8)


def _refuse(wrong: np.ndarray, labels: tuple[str, ...], entries: np.ndarray, allowed: str) -> None:
    if wrong.any():
        i, j = np.argwhere(wrong)[0]
        raise WhenceError(
            f"The entry in row {labels[i]!r}, column {labels[j]!r} must be {allowed}, not {entries[i, j]:g}.",
            code="bad_matrix", value=float(entries[i, j]), allowed=allowed,
            hint="Weights are not edges: say from which size on there is one, as in matrix != 0.",
        )


def from_frame(frame: Any) -> Draft:
    """A pandas frame whose rows and columns carry the same names, in any order."""
    rows, columns = [str(n) for n in frame.index], _labels(frame.columns)
    if sorted(rows) != sorted(columns):
        odd = sorted(set(rows) ^ set(columns)) or rows
        raise WhenceError(
            f"The rows and columns of the matrix have different names: {odd[:6]}.", code="bad_matrix", value=odd,
            hint="Set the index of the frame to the names of its columns.",
        )
    matrix = frame.to_numpy()
    return read(columns, matrix[[rows.index(n) for n in columns]])


def from_dict(given: Mapping[str, Any]) -> Draft:
    """``{"names": [...], "matrix": [[...]], "convention": None}``."""
    draft = read(given["names"], given["matrix"], given.get("convention"))
    extra = sorted(set(given) - {"names", "matrix", "convention"})
    if extra:
        raise WhenceError(f"A matrix as a dict has no field {extra[0]!r}.", code="unknown_field", value=extra[0],
                          allowed=("names", "matrix", "convention"))
    return draft


def write(graph: Graph, convention: str = "marks") -> dict[str, Any]:
    """A dict that ``whence.graph`` reads back. Adjacency (either way) holds --> and --- only.

    Latent nodes are not marked in a matrix, and neither convention has two edges for one pair: both raise
    ``WhenceError`` (``cannot_write``), as do edges that the convention lacks.
    """
    _check_convention(convention)
    texts = {edge for _, edge, _ in graph.edges()}
    if graph.latents:
        raise _cannot("latent nodes", sorted(graph.latents))
    if len(graph.edges()) != np.count_nonzero(np.triu(graph.marks)):
        raise _cannot("two edges between one pair", None)
    binary = convention in ("adjacency", "amat.cpdag")
    if binary and texts - {"-->", "---"}:
        raise _cannot(f"{sorted(texts - {'-->', '---'})[0]} edges as 0/1 adjacency", sorted(texts))
    matrix = graph.marks
    if binary:
        matrix = ((matrix == ARROW) | ((matrix == TAIL) & (matrix.T == TAIL))).astype(np.int8)
    if convention == "amat.cpdag":
        matrix = matrix.T
    elif convention == "causal-learn":
        matrix = np.vectorize(_CAUSAL_LEARN.__getitem__, otypes=[np.int8])(matrix.T)
    return {"names": list(graph.names), "matrix": matrix.tolist(), "convention": convention}


def _cannot(what: str, value: Any) -> WhenceError:
    return WhenceError(f"A matrix cannot hold {what}.", code="cannot_write", value=value,
                       hint="Use JSON, DOT or dagitty text.")
