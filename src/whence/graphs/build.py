"""``graph``: a graph of the right class from text, a file, a list, a matrix or another library's graph."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from whence.core.errors import WhenceError, unknown_name
from whence.graphs.classes import ADMG, CLASSES, CPDAG, DAG, MAG, MPDAG, PAG
from whence.graphs.formats import bif, csv, dagitty, dot, edgelist, graphml, json, lavaan, matrix, networkx, tetrad
from whence.graphs.formats.draft import Draft
from whence.graphs.graph import Graph, edge_marks, edge_text, matrices_from_edges

_BY_ENDING = {".bif": bif.read, ".csv": csv.read, ".graphml": graphml.read, ".tetrad": tetrad.read,
              ".lavaan": lavaan.read, ".lav": lavaan.read}
_ENDINGS = (".dot", ".gv", ".dagitty", ".dag", ".json", ".txt", *_BY_ENDING)
_TITLE = r"\b\s*(\"[^\"]*\"|[\w.]+)?\s*\{"
_DAGITTY = re.compile(rf"({'|'.join(dagitty.KEYWORDS)}){_TITLE}", re.IGNORECASE)
_DOT = re.compile(rf"(strict\s+)?({'|'.join(dot.KEYWORDS)}){_TITLE}", re.IGNORECASE)
_BIF = re.compile(rf"network{_TITLE}|variable{_TITLE}\s*type\b")
_COMMENT = re.compile(r"(?:\s+|//[^\n]*|#[^\n]*|/\*.*?\*/)+", re.DOTALL)


def graph(source: Any, kind: str | None = None, latents: Iterable[str] = ()) -> Graph:
    """A graph of class ``kind``, or of the class its edges call for.

    source: dagitty text, DOT text, an edge list (``"a --> b; b <-> c; d"``, or triples and lone names), JSON
    text or the dict of ``Graph.to_dict``, BIF, GraphML, Tetrad's text, lavaan's (``"y ~ x + z"``), a path to a
    file with such text or a .csv matrix, a networkx graph, a pandas frame or ``{"names", "matrix"}`` (see
    ``formats.matrix`` for its conventions), or a Graph.
    kind: ``"DAG"``, ``"CPDAG"``, ``"MPDAG"``, ``"ADMG"``, ``"MAG"`` or ``"PAG"``. Without it: circles make a
    PAG; <-> an ADMG, with --- a MAG; --- a CPDAG if it is one, else an MPDAG; --> alone a DAG. A graph of
    another class keeps its edges and is checked anew (``transform.to_cpdag`` gives the class of a DAG).
    ``"Graph"`` stores any edges and checks nothing more.
    latents: nodes nobody measured, beside those the source marks.

    Raises ``WhenceError``: text that cannot be read (with line and column), a missing file, an unknown kind,
    or edges that the class does not allow (with the edge or the cycle).
    """
    kind = _checked_kind(kind)
    hidden = frozenset((latents,) if isinstance(latents, str) else latents)
    if isinstance(source, Graph):
        return _convert(source, kind, hidden)
    draft = _draft(source)
    claimed = draft.kind
    names = draft.names
    marks, bidirected = matrices_from_edges(names, draft.edges)
    parts = (names, marks, draft.latents | hidden, bidirected)
    if kind is None and claimed is not None and claimed not in ("dag", "pdag"):
        kind = _checked_kind(claimed)
    if kind is not None:
        return (Graph if kind == "Graph" else CLASSES[kind])(*parts)
    return _inferred(parts, _ends(draft), claimed)


def _checked_kind(kind: str | None) -> str | None:
    if kind is None or kind == "Graph":
        return kind
    if not isinstance(kind, str) or kind.upper() not in CLASSES:
        raise unknown_name("graph class", kind, CLASSES, code="unknown_graph_class")
    return kind.upper()


def _convert(source: Graph, kind: str | None, hidden: frozenset[str]) -> Graph:
    kind = kind or source.kind
    if kind == source.kind and hidden <= source.latents:
        return source
    cls = Graph if kind == "Graph" else CLASSES[kind]
    return cls(source.names, source.marks, source.latents | hidden, source.bidirected)


def _ends(draft: Draft) -> set[str]:
    """The kinds of edges, read from the left: ``{"-->", "<->"}``."""
    texts = set()
    for _, text, _ in draft.edges:
        left, right = edge_marks(text)
        texts.add("-->" if {left, right} == {2, 3} else edge_text(left, right))
    return texts


def _inferred(parts: tuple[Any, ...], edges: set[str], claimed: str | None) -> Graph:
    circles = any("o" in edge for edge in edges)
    if claimed == "dag":
        return (ADMG if "<->" in edges and not circles and "---" not in edges else DAG)(*parts)
    if circles and claimed != "pdag":
        return PAG(*parts)
    if "<->" in edges and claimed != "pdag":
        return (MAG if "---" in edges else ADMG)(*parts)
    if "---" in edges or claimed == "pdag":
        try:
            return CPDAG(*parts)
        except WhenceError as error:
            if error.code != "not_a_cpdag":
                raise
            return MPDAG(*parts)
    return DAG(*parts)


def _draft(source: Any) -> Draft:
    if isinstance(source, Path):
        return _from_file(source)
    if isinstance(source, str):
        return _from_file(Path(source)) if _is_path(source) else _from_text(source)
    if isinstance(source, Mapping):
        return matrix.from_dict(source) if {"names", "matrix"} <= set(source) else json.from_dict(source)
    if networkx.looks_like(source):
        return networkx.read(source)
    if hasattr(source, "columns") and hasattr(source, "index") and hasattr(source, "to_numpy"):
        return matrix.from_frame(source)
    if isinstance(source, (list, tuple, set, frozenset)):
        items = sorted(source, key=str) if isinstance(source, (set, frozenset)) else source
        return edgelist.from_list(items)
    if isinstance(source, np.ndarray):
        raise WhenceError("A matrix needs the names of its nodes.", code="bad_graph", value="array",
                          hint='Give {"names": [...], "matrix": matrix} or a pandas frame.')
    raise WhenceError(
        f"A graph cannot be read from {type(source).__name__}.", code="bad_graph", value=type(source).__name__,
        allowed=("dagitty text", "DOT text", "edge list", "JSON", "BIF", "GraphML", "Tetrad text", "lavaan text",
                 "path", "networkx graph", "named matrix"),
    )


def _is_path(text: str) -> bool:
    """Whether a text of one line is the name of a file: it is there, or looks like one and like no graph."""
    if "\n" in text or not text.strip():
        return False
    if text.lower().endswith(_ENDINGS) or os.sep in text:
        return os.path.isfile(text) or not re.search(r"[{};,\"<>]|->|<-|--|\s/|/\s", text)
    return False


def _from_file(path: Path) -> Draft:
    return _BY_ENDING.get(path.suffix.lower(), _from_text)(_file(path))


def _file(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise WhenceError(f"There is no file {str(path)!r}.", code="file_not_found", value=str(path)) from None
    except UnicodeDecodeError as error:
        raise WhenceError(
            f"The file {str(path)!r} is not UTF-8 text (byte {error.start}).", code="bad_encoding", value=str(path),
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise WhenceError(f"The file {str(path)!r} cannot be read: {reason}.", code="unreadable_file",
                          value=str(path)) from None


def _from_text(text: str) -> Draft:
    comment = _COMMENT.match(text)
    body = text[comment.end() :] if comment else text
    if not body:
        raise WhenceError("The graph text is empty.", code="bad_graph_text", value=text[:40],
                          hint='For example "x --> y; u --> x; u --> y".')
    if _DAGITTY.match(body):
        return dagitty.read(text)
    if _DOT.match(body):
        return dot.read(text)
    if _BIF.match(body):
        return bif.read(text)
    for form in (tetrad, graphml, lavaan):
        if form.HEAD.match(body):
            return form.read(text)
    return json.read(text) if body.startswith(("{", "[")) else edgelist.read(text)
