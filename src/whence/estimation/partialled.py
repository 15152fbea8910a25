"""Outcome, treatment and instruments with the controls taken out of them, and how strong the instruments are."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from whence.core.result import Refused
from whence.estimation.prepare import Prepared
from whence.stats.covariance import Dependence
from whence.stats.features import features, independent
from whence.stats.regress import cluster_sums

EXPLAINED = 1e-8  # a share of what a column varies, below which the controls explain it all


@dataclass(frozen=True)
class Partialled:
    """Outcome, treatment (n,) and instruments (n, L) as the controls leave them, rows scaled by the root of their
    weights (Frisch, Waugh and Lovell). base: (n, columns), an orthonormal basis of the controls, intercept included.
    clusters: int (n,) or None. dependence: of the rows, where it is more than clusters. others: (n, m - 1), treatments
    besides the first."""

    outcome: np.ndarray
    treatment: np.ndarray
    instruments: np.ndarray
    base: np.ndarray
    clusters: np.ndarray | None
    dependence: Dependence | None = None
    others: np.ndarray | None = None

    @property
    def treatments(self) -> np.ndarray:
        """All treatments, (n, m)."""
        return self.treatment[:, None] if self.others is None else np.column_stack([self.treatment, self.others])

    @property
    def slopes(self) -> int:
        """The number of treatments."""
        return 1 if self.others is None else 1 + self.others.shape[1]

    @property
    def columns(self) -> int:
        return self.base.shape[1]

    @property
    def factor(self) -> float:
        """Of robust variances: n / (n - k) (HC1), or by G clusters G / (G - 1) (n - 1) / (n - k) (CR1)."""
        n, k = len(self.outcome), self.columns + self.slopes
        if self.clusters is None:
            return n / (n - k)
        groups = len(np.unique(self.clusters))
        return groups / (groups - 1) * (n - 1) / (n - k)

    @property
    def df(self) -> float:
        """Degrees of freedom of a robust variance: n - k, or G - 1 with clusters, or those of the dependence."""
        if self.dependence is not None:
            return self.dependence.df
        if self.clusters is None:
            return float(len(self.outcome) - self.columns - self.slopes)
        return len(np.unique(self.clusters)) - 1.0

    def products(self, scores: np.ndarray) -> np.ndarray:
        """(m, m) for scores (n, m): the covariance of their sums, rows, clusters or neighbours taken together, with the
        factor for small samples."""
        if self.dependence is not None:
            return self.factor * self.dependence.products(scores)
        sums = scores if self.clusters is None else cluster_sums(scores, self.clusters)
        return self.factor * sums.T @ sums

    def left(self, values: np.ndarray) -> np.ndarray:
        """What the controls leave of values (n,) or (n, m) already times the root of the weights."""
        once = values - self.base @ (self.base.T @ values)
        return once - self.base @ (self.base.T @ once)


def partialled(data: Prepared) -> Partialled | Refused:
    """Takes intercept and controls out of outcome, treatments and instruments by least squares.

    Instruments that others explain are left out, columns with levels enter as indicators. Refused:
    ``instrument_is_control``, ``treatment_is_control``, ``too_few_rows``, ``too_few_instruments`` (for several
    treatments), and those of the design columns.
    """
    controls = data.features()
    columns = features(data.table, data.spec.instruments, data.rows, 1)
    for step in (controls, columns):
        if isinstance(step, Refused):
            return step
    root = np.sqrt(data.w)[:, None]
    base = np.column_stack([np.ones(data.n), controls.matrix]) * root  # pyright: ignore[reportAttributeAccessIssue]
    base = base[:, independent(base, intercept=False)]
    z = columns.matrix * root  # pyright: ignore[reportAttributeAccessIssue]
    if data.n <= base.shape[1] + z.shape[1] + len(data.treatments):
        return Refused("too_few_rows", f"{data.n:,} rows are too few for {base.shape[1]:,} control columns and "
                       f"{z.shape[1]} instruments.", {"rows": data.n, "columns": base.shape[1] + z.shape[1]},
                       "Use fewer controls or instruments.")
    d, y = data.treatment.values * root[:, 0], data.outcome * root[:, 0]
    made = Partialled(y, d, z, np.linalg.qr(base)[0], data.clusters, data.dependence)
    d, y, rest = made.left(d), made.left(y), made.left(z)
    others = made.left(np.column_stack([t.values for t in data.others]) * root) if data.others else None
    for t, left in zip(data.treatments, (d, *(() if others is None else others.T)), strict=True):
        if left @ left <= EXPLAINED * data.n * np.var(t.values):
            return Refused("treatment_is_control", f"The controls explain {t.name!r} completely.",
                           {"treatment": t.name}, "Leave out the controls that determine it.")
    varies = (rest**2).sum(axis=0) > EXPLAINED * ((z - z.mean(axis=0)) ** 2).sum(axis=0)
    kept = rest[:, varies]
    kept = kept[:, independent(kept, intercept=False)] if varies.any() else kept
    if not kept.shape[1]:
        names = ", ".join(data.spec.instruments)
        return Refused("instrument_is_control", f"The controls explain the instruments ({names}) completely.",
                       {"instruments": list(data.spec.instruments)}, "Leave out the controls that determine them.")
    if kept.shape[1] < len(data.treatments):
        return Refused("too_few_instruments", f"{len(data.treatments)} treatments need as many instruments that go "
                       f"their own ways given the controls, and there are {kept.shape[1]}.",
                       {"instruments": kept.shape[1], "treatments": [t.name for t in data.treatments]},
                       "Name more instruments, or one treatment at a time.")
    kept = kept / np.sqrt((kept**2).mean(axis=0))
    return replace(made, outcome=y, treatment=d, instruments=kept, others=others)


def effective_f(made: Partialled) -> float:
    """The effective F of the instruments, robust and by cluster (Montiel Olea and Pflueger 2013, equation 3.1).

    With one instrument it is the squared robust t of the first stage.
    """
    z, d = made.instruments, made.treatment
    q = np.linalg.qr(z)[0]
    along = q.T @ d
    residuals = d - q @ along
    spread = float(np.trace(made.products(q * residuals[:, None])))  # of the covariance of ``along``
    return float(along @ along) / spread if spread > 0 else np.inf
