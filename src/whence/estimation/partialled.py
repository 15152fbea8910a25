"""Outcome, treatment and instruments with the controls taken out of them, and how strong the instruments are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whence.core.result import Refused
from whence.estimation.prepare import Prepared
from whence.stats.features import features, independent
from whence.stats.regress import cluster_sums

EXPLAINED = 1e-8  # a share of what a column varies, below which the controls explain it all


@dataclass(frozen=True)
class Partialled:
    """Outcome, treatment (n,) and instruments (n, L) as the controls leave them, rows scaled by the root of their
    weights (Frisch, Waugh and Lovell). columns: of the controls, intercept included. clusters: int (n,) or None."""

    outcome: np.ndarray
    treatment: np.ndarray
    instruments: np.ndarray
    columns: int
    clusters: np.ndarray | None

    @property
    def factor(self) -> float:
        """Of robust variances: n / (n - k) (HC1), or by G clusters G / (G - 1) (n - 1) / (n - k) (CR1)."""
        n, k = len(self.outcome), self.columns + 1
        if self.clusters is None:
            return n / (n - k)
        groups = len(np.unique(self.clusters))
        return groups / (groups - 1) * (n - 1) / (n - k)

    @property
    def df(self) -> float:
        """Degrees of freedom of a robust variance: n - k, or G - 1 with clusters."""
        if self.clusters is None:
            return float(len(self.outcome) - self.columns - 1)
        return len(np.unique(self.clusters)) - 1.0

    def scores(self, residuals: np.ndarray) -> np.ndarray:
        """Instruments times residuals: (n, L), or their sums by cluster (G, L)."""
        values = self.instruments * residuals[:, None]
        return values if self.clusters is None else cluster_sums(values, self.clusters)


def partialled(data: Prepared) -> Partialled | Refused:
    """Takes intercept and controls out of outcome, treatment and instruments by least squares.

    Instruments that others explain are left out, columns with levels enter as indicators. Refused:
    ``instrument_is_control``, ``treatment_is_control``, ``too_few_rows``, and those of the design columns.
    """
    controls = data.features()
    made = features(data.table, data.spec.instruments, data.rows, 1)
    for step in (controls, made):
        if isinstance(step, Refused):
            return step
    root = np.sqrt(data.w)[:, None]
    base = np.column_stack([np.ones(data.n), controls.matrix]) * root  # pyright: ignore[reportAttributeAccessIssue]
    base = base[:, independent(base, intercept=False)]
    z = made.matrix * root  # pyright: ignore[reportAttributeAccessIssue]
    if data.n <= base.shape[1] + z.shape[1] + 1:
        return Refused("too_few_rows", f"{data.n:,} rows are too few for {base.shape[1]:,} control columns and "
                       f"{z.shape[1]} instruments.", {"rows": data.n, "columns": base.shape[1] + z.shape[1]},
                       "Use fewer controls or instruments.")
    q = np.linalg.qr(base)[0]

    def left(values: np.ndarray) -> np.ndarray:
        once = values - q @ (q.T @ values)
        return once - q @ (q.T @ once)

    d, y, rest = left(data.treatment.values * root[:, 0]), left(data.outcome * root[:, 0]), left(z)
    if d @ d <= EXPLAINED * data.n * np.var(data.treatment.values):
        return Refused("treatment_is_control", f"The controls explain {data.treatment.name!r} completely.",
                       {"treatment": data.treatment.name}, "Leave out the controls that determine it.")
    varies = (rest**2).sum(axis=0) > EXPLAINED * ((z - z.mean(axis=0)) ** 2).sum(axis=0)
    kept = rest[:, varies]
    kept = kept[:, independent(kept, intercept=False)] if varies.any() else kept
    if not kept.shape[1]:
        names = ", ".join(data.spec.instruments)
        return Refused("instrument_is_control", f"The controls explain the instruments ({names}) completely.",
                       {"instruments": list(data.spec.instruments)}, "Leave out the controls that determine them.")
    kept = kept / np.sqrt((kept**2).mean(axis=0))
    return Partialled(y, d, kept, base.shape[1], data.clusters)


def effective_f(made: Partialled) -> float:
    """The effective F of the instruments, robust and by cluster (Montiel Olea and Pflueger 2013, equation 3.1).

    With one instrument it is the squared robust t of the first stage.
    """
    z, d = made.instruments, made.treatment
    q, r = np.linalg.qr(z)
    along = q.T @ d
    residuals = d - q @ along
    scores = made.scores(residuals) @ np.linalg.inv(r)
    spread = made.factor * float((scores**2).sum())  # the trace of the covariance of ``along``
    return float(along @ along) / spread if spread > 0 else np.inf
