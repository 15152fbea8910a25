"""Over which levels of the tests each edge, and each of its marks, holds."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np

from whence.core.card import Card
from whence.core.errors import WhenceError
from whence.core.progress import SILENT, Progress
from whence.core.registry import find_card, load_function, methods
from whence.core.result import Refused
from whence.data.table import Table
from whence.discovery.columns import prepare
from whence.discovery.discovery import DEFAULT, about_nodes, as_table
from whence.graphs.graph import Graph, edge_text
from whence.graphs.knowledge import Knowledge

_LEVELS = tuple(np.geomspace(1e-6, 0.1, 21).tolist())
_PRECISION = 1.02
_MOST = 200  # levels tried at most
Mark = Literal["arrow", "tail", "open"]
T = TypeVar("T")
_MARKS: dict[str, Mark] = {">": "arrow", "-": "tail"}


@dataclass(frozen=True)
class Held:
    """One edge of a pair, as in ``"-->"``, from a to b, over consecutive levels low to high of those tried.
    edge is None where the pair is not joined. p_value: of the test of this pair that ends the range at its upper end,
    so that the range holds up to this number; None where the end comes from other pairs, or is that of the levels."""

    edge: str | None
    low: float
    high: float
    p_value: float | None = None


@dataclass(frozen=True)
class HeldMark:
    """What stands at one end of an edge over consecutive levels low to high: ``"arrow"``, ``"tail"``, or ``"open"``
    where the graph leaves it open; None where the pair is not joined."""

    mark: Mark | None
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class AlphaPath:
    """The graphs learned at each level of the tests.

    alphas: ascending. graphs: one per level, over the same nodes. Edges need not come and go in order: a stricter test
    removes more edges, so fewer sets are tried for those that are left. p_values: per level, of the pairs a, b it does
    not join, the p-value that separated them, where a test did.
    """

    alphas: tuple[float, ...]
    graphs: tuple[Graph, ...]
    p_values: tuple[dict[tuple[str, str], float], ...] = ()

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The pairs that some level joins, a before b by name, in name order."""
        return tuple(sorted({(min(a, b), max(a, b)) for g in self.graphs for a, _, b in g.edges()}))

    def of(self, a: str, b: str) -> tuple[Held, ...]:
        """What holds between a and b, from the strictest level to the most lenient.

        Raises ``WhenceError`` (``unknown_node``).
        """
        runs = _runs([_edge(graph, a, b) for graph in self.graphs])
        return tuple(Held(edge, self.alphas[i], self.alphas[j], self._end(a, b, edge, j)) for edge, i, j in runs)

    def _end(self, a: str, b: str, edge: str | None, last: int) -> float | None:
        """The p-value between this level and the next at which a pair that is not joined becomes so."""
        if edge is not None or last + 1 >= len(self.alphas) or not self.p_values:
            return None
        p = self.p_values[last].get((min(a, b), max(a, b)))
        return p if p is not None and self.alphas[last] < p <= self.alphas[last + 1] else None

    def of_mark(self, a: str, b: str) -> tuple[HeldMark, ...]:
        """What stands at b on the edge between a and b, from the strictest level to the most lenient.

        Raises ``WhenceError`` (``unknown_node``).
        """
        marks: list[Mark | None] = [_mark(graph, a, b) for graph in self.graphs]
        runs = _runs(marks)
        return tuple(HeldMark(mark, self.alphas[i], self.alphas[j]) for mark, i, j in runs)

    def around(self, alpha: float) -> tuple[tuple[str, str, Held], ...]:
        """The edges (a, b, range) at the level tried that is nearest to ``alpha``, by ratio; those that hold over the
        narrowest range of levels first."""
        k = min(range(len(self.alphas)), key=lambda i: abs(math.log(self.alphas[i] / alpha)))
        level = self.alphas[k]
        found = [(a, b, next(h for h in self.of(a, b) if h.low <= level <= h.high))
                 for a, _, b in self.graphs[k].edges()]
        return tuple(sorted(found, key=lambda row: (row[2].high / row[2].low, row[:2])))

    @property
    def precision(self) -> float:
        """The largest ratio of two neighbouring levels between which the graph changes; 1 when it never does."""
        steps = zip(self.alphas, self.alphas[1:], self.graphs, self.graphs[1:], strict=False)
        return max((high / low for low, high, g, h in steps if g != h), default=1.0)

    def always(self) -> tuple[tuple[str, str, str], ...]:
        """The edges with marks that hold at every level tried, as in ``graph.edges()``."""
        first, *others = (set(g.edges()) for g in self.graphs)
        return tuple(sorted(first.intersection(*others)))

    def to_dict(self) -> dict[str, Any]:
        return {"alphas": list(self.alphas), "precision": self.precision,
                "pairs": [{"a": a, "b": b, "held": [vars(h) for h in self.of(a, b)],
                           "mark_at_a": [vars(h) for h in self.of_mark(b, a)],
                           "mark_at_b": [vars(h) for h in self.of_mark(a, b)]} for a, b in self.pairs]}

    def _repr_html_(self) -> str:
        from whence.discovery.alpha_bars import to_html

        return to_html(self)


def _edge(graph: Graph, a: str, b: str) -> str | None:
    i, j = graph.position(a), graph.position(b)
    return edge_text(int(graph.marks[j, i]), int(graph.marks[i, j])) if graph.marks[i, j] else None


def _mark(graph: Graph, a: str, b: str) -> Mark | None:
    edge = _edge(graph, a, b)
    if edge is None:
        return None
    if edge == "---" and graph.kind not in ("MAG", "PAG"):
        return "open"
    return _MARKS.get(edge[-1], "open")


def _runs(values: Sequence[T]) -> list[tuple[T, int, int]]:
    """Each stretch of equal values with its first and last place."""
    out: list[tuple[T, int, int]] = []
    for k, value in enumerate(values):
        if out and out[-1][0] == value:
            out[-1] = value, out[-1][1], k
        else:
            out.append((value, k, k))
    return out


def alpha_path(
    source: Any, alphas: Sequence[float] | None = None, knowledge: Knowledge | None = None, *,
    method: str = DEFAULT, precision: float | None = None, progress: Progress = SILENT, **params: Any,
) -> AlphaPath | Refused:
    """Learns a graph at every level of ``alphas`` (21 from 1e-6 to 0.1 by default) from anything ``discover`` takes.

    precision: between two levels whose graphs differ more are tried, halfway by ratio and widest first, until their
    ratio is at most this number or 200 levels were tried; None means 1.02 without ``alphas``, and no more levels than
    these with them. Ranges are exact at the levels tried; a change there and back between two of them is not seen.
    params: of the method, without ``alpha``. Data with too few rows or columns give a ``Refused``. Raises
    ``WhenceError`` as ``discover`` does, and ``bad_parameter`` for levels that are not between 0 and 1, a precision
    that is not above 1, or a method without tests.
    """
    levels = _levels(alphas)
    precision = _ratio(precision, math.inf if alphas is not None else _PRECISION)
    card = find_card("discovery", method)
    if not _by_tests_alone(card):
        allowed = [c.name for c in methods("discovery") if _by_tests_alone(c)]
        raise WhenceError(
            f"{card.name!r} does not learn from tests alone, so levels of tests do not decide its edges.",
            code="bad_parameter", value=method, allowed=allowed,
            hint="Levels can be varied for " + ", ".join(allowed) + ".",
        )
    parameters = card.checked({**params, "alpha": levels[0], "stability": 0, "alpha_path": False})
    table = as_table(source)
    if knowledge:
        knowledge.validate(table.names)
    prepared = prepare(table, levels[0], parameters["test"], parameters.get("missing", "testwise"))
    if isinstance(prepared, Refused):
        return prepared
    known = about_nodes(knowledge, prepared) if knowledge else None
    learn = load_function(card)

    def at(alpha: float) -> tuple[Graph, dict[tuple[str, str], float]]:
        found = learn(prepared.tests, prepared.names, known, {**parameters, "alpha": alpha}, SILENT)
        apart = {(row.a, row.b): row.p_value for row in found.evidence
                 if not row.present and row.decided_by == "test" and row.p_value is not None} if small else {}
        return found.graph, apart

    small = len(prepared.names) <= _MOST
    found = _refined(levels, at, precision, progress)
    alphas_tried = tuple(sorted(found))
    return AlphaPath(alphas_tried, tuple(found[a][0] for a in alphas_tried), tuple(found[a][1] for a in alphas_tried))


def _by_tests_alone(card: Card) -> bool:
    names = {p.name for p in card.parameters}
    return {"alpha", "test"} <= names and "score" not in names


def of_discovery(
    table: Table, card: Card, parameters: Mapping[str, Any], knowledge: Knowledge | None, progress: Progress
) -> AlphaPath | None:
    """The path that belongs to a graph learned with these parameters; its own level is one of those tried."""
    others = {k: v for k, v in parameters.items() if k not in ("alpha", "stability", "alpha_path")}
    levels = sorted({*_LEVELS, parameters["alpha"]})
    found = alpha_path(table, levels, knowledge, method=card.name, precision=_PRECISION, progress=progress, **others)
    return None if isinstance(found, Refused) else found


def _refined(
    levels: tuple[float, ...], at: Callable[[float], tuple[Graph, dict[tuple[str, str], float]]], precision: float,
    progress: Progress,
) -> dict[float, tuple[Graph, dict[tuple[str, str], float]]]:
    """What is learned at these levels, and at more where it changes between two of them."""
    found: dict[float, tuple[Graph, dict[tuple[str, str], float]]] = {}
    progress.begin("levels of the tests", len(levels))
    try:
        for alpha in levels:
            found[alpha] = at(alpha)
            progress.step()
    finally:
        progress.end()
    wide = [(low / high, low, high) for low, high in itertools.pairwise(levels)]
    heapq.heapify(wide)
    while wide and len(found) < _MOST:
        ratio, low, high = heapq.heappop(wide)
        if 1 / ratio <= precision or found[low][0] == found[high][0]:
            continue
        middle = math.sqrt(low) * math.sqrt(high)
        found[middle] = at(middle)
        for a, b in ((low, middle), (middle, high)):
            heapq.heappush(wide, (a / b, a, b))
    return found


def _ratio(given: float | None, default: float) -> float:
    if given is None:
        return default
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not given > 1:
        raise WhenceError(f"precision must be a number above 1, not {given!r}.", code="bad_parameter", value=given,
                          allowed="numbers above 1, or None")
    return float(given)


def _levels(alphas: Sequence[float] | None) -> tuple[float, ...]:
    try:
        levels = tuple(sorted({float(a) for a in (_LEVELS if alphas is None else alphas)}))
    except (TypeError, ValueError):
        levels = ()
    if not levels or not (levels[0] > 0 and levels[-1] < 1):
        raise WhenceError("alphas must be numbers between 0 and 1, at least one.", code="bad_parameter", value=alphas,
                          allowed="numbers between 0 and 1", hint="For example alphas=[0.001, 0.01, 0.05].")
    return levels
