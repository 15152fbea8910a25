"""How far an estimated graph is from the true one: structural Hamming distance, precision, recall, F1, marks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.core.errors import WhenceError
from whence.core.result import fields_to_plain
from whence.graphs.graph import ARROW, Graph


@dataclass(frozen=True)
class Scores:
    """Counts of what was found rightly, found wrongly and missed. A ratio with nothing below it is None."""

    right: int
    wrong: int
    missed: int

    @property
    def precision(self) -> float | None:
        """The share of the found that is true."""
        return _ratio(self.right, self.right + self.wrong)

    @property
    def recall(self) -> float | None:
        """The share of the true that is found."""
        return _ratio(self.right, self.right + self.missed)

    @property
    def f1(self) -> float | None:
        """The harmonic mean of precision and recall."""
        return _ratio(2 * self.right, 2 * self.right + self.wrong + self.missed)

    def to_dict(self) -> dict[str, Any]:
        return {**fields_to_plain(self), "precision": self.precision, "recall": self.recall, "f1": self.f1}


@dataclass(frozen=True)
class Comparison:
    """shd: structural Hamming distance. skeleton: pairs with any edge. arrowheads: ends with an arrowhead."""

    shd: int
    skeleton: Scores
    arrowheads: Scores

    def to_dict(self) -> dict[str, Any]:
        return fields_to_plain(self)


def shd(estimated: Graph, truth: Graph) -> int:
    """The number of pairs whose edges differ: added, missing or marked otherwise count one each.

    The graphs must have the same nodes (any order); comparing a CPDAG with a DAG counts each open edge, so
    give both as CPDAGs to compare classes. Source: Tsamardinos, Brown and Aliferis (2006).
    """
    (a, a_both), (b, b_both) = _aligned(estimated, truth)
    return int(np.count_nonzero(np.triu((a != b) | (a.T != b.T) | (a_both != b_both))))


def compare(estimated: Graph, truth: Graph) -> Comparison:
    """Distance and scores of ``estimated`` against ``truth``, over the same nodes in any order.

    Raises ``WhenceError`` (``different_nodes``) that names the nodes only one of them has.
    """
    (a, a_both), (b, b_both) = _aligned(estimated, truth)
    return Comparison(
        shd=shd(estimated, truth),
        skeleton=_scores(np.triu(a != 0), np.triu(b != 0)),
        arrowheads=_scores((a == ARROW) | a_both, (b == ARROW) | b_both),
    )


@dataclass(frozen=True)
class MarkAccuracy:
    """right: ends of common edges with the true mark. compared: all ends of common edges, two for each."""

    right: int
    compared: int

    @property
    def accuracy(self) -> float | None:
        """The share of the marks that are right; None where the graphs have no edge in common."""
        return _ratio(self.right, self.compared)

    def to_dict(self) -> dict[str, Any]:
        return {**fields_to_plain(self), "accuracy": self.accuracy}


def mark_accuracy(estimated: Graph, truth: Graph) -> MarkAccuracy:
    """How many ends of the edges that both graphs have carry the true mark: circle, arrowhead or tail.

    Meant for PAGs; the skeleton scores of ``compare`` say which edges are common. Raises ``WhenceError``
    (``unsupported_graph``) for an ADMG with two edges between one pair, and ``different_nodes``.
    """
    (a, a_both), (b, b_both) = _aligned(estimated, truth)
    for marks, both, kind in ((a, a_both, estimated.kind), (b, b_both, truth.kind)):
        if (both & ~((marks == ARROW) & (marks.T == ARROW))).any():
            raise WhenceError(f"This {kind} has two edges between one pair; the ends cannot be matched.",
                              code="unsupported_graph", value=kind)
    common = (a != 0) & (b != 0)
    return MarkAccuracy(int(np.count_nonzero(common & (a == b))), int(np.count_nonzero(common)))


def check_same_nodes(estimated: Graph, truth: Graph) -> None:
    """Raises ``WhenceError`` (``different_nodes``) that names the nodes only one of the graphs has."""
    odd = sorted(set(estimated.names) ^ set(truth.names))
    if odd:
        raise WhenceError(f"The two graphs have different nodes: only one has {odd[:6]}.", code="different_nodes",
                          value=odd, hint="Compare graphs over the same nodes.")


def _aligned(estimated: Graph, truth: Graph) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    check_same_nodes(estimated, truth)
    square = np.ix_(*[[truth.index[n] for n in estimated.names]] * 2)
    return (estimated.marks, estimated.bidirected), (truth.marks[square], truth.bidirected[square])


def _scores(found: np.ndarray, true: np.ndarray) -> Scores:
    return Scores(
        right=int(np.count_nonzero(found & true)),
        wrong=int(np.count_nonzero(found & ~true)),
        missed=int(np.count_nonzero(true & ~found)),
    )


def _ratio(above: int, below: int) -> float | None:
    return above / below if below else None
