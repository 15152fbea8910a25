"""What weights mean: rows that stand for others, rows that occur several times, or rows that are known better."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whence.core.card import Parameter
from whence.core.errors import WhenceError
from whence.core.result import Refused
from whence.estimation.prepare import Prepared

WEIGHTS_ARE = Parameter(
    "weights_are", "choice", "sampling", "What the spec's weights mean. 'sampling': each row stands for so many of the "
    "population, which the effect is about. 'frequency': each row occurs so many times; errors are those of the rows "
    "written out. 'inverse_variance': outcomes of rows with more weight vary less; the effect is about "
    "the rows as they are.", choices=("sampling", "frequency", "inverse_variance"),
)


@dataclass(frozen=True)
class Weighting:
    """fit: float (n,), of the least squares, or None. population: (n,), mean 1, of the rows the effect is about.
    counts: (n,), how often each row occurs, or None for once."""

    fit: np.ndarray | None
    population: np.ndarray
    counts: np.ndarray | None = None

    @property
    def rows(self) -> float:
        """How many rows there are, written out."""
        return float(len(self.population) if self.counts is None else self.counts.sum())


def weighting(data: Prepared, meaning: str) -> Weighting | Refused:
    """The weights of the data under one meaning. Refused: ``weights_not_counts``. Raises ``WhenceError``
    (``two_dependences``) for rows that occur several times in a time series."""
    if data.weights is None or meaning == "sampling":
        return Weighting(data.weights, data.w)
    if meaning == "inverse_variance":
        return Weighting(data.weights, np.ones(data.n))
    name = data.spec.weights or ""
    counts = data.table.numeric(name)[data.rows]
    broken = int((counts != np.round(counts)).sum())
    if broken:
        return Refused("weights_not_counts", f"{broken:,} of the weights {name!r} are not whole numbers, so "
                       "they cannot say how often a row occurs.",
                       {"not_whole": broken, "column": name},
                       "Use weights_are='sampling' or 'inverse_variance'.")
    if data.dependence is not None and data.dependence.name == "hac" and (counts > 1).any():
        raise WhenceError("A row that occurs several times has no one place in a time series.", code="two_dependences",
                          value="frequency", hint="Use another meaning of the weights, or another covariance.")
    return Weighting(counts, data.w, counts)
