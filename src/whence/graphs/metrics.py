"""How far an estimated graph is from the true one: structural Hamming distance, precision, recall, F1."""

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


def _aligned(estimated: Graph, truth: Graph) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    odd = sorted(set(estimated.names) ^ set(truth.names))
    if odd:
        raise WhenceError(f"The two graphs have different nodes: only one has {odd[:6]}.", code="different_nodes",
                          value=odd, hint="Compare graphs over the same nodes.")
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
