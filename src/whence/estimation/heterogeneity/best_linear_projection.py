"""Best linear projection of the effect on named features: which of them go with larger or smaller effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from whence.core.errors import WhenceError
from whence.core.result import Refused, Remark
from whence.estimation.effect import Comparison
from whence.estimation.heterogeneity.jointly import JointTest, jointly, said, wald
from whence.estimation.heterogeneity.scores import as_long, checked, finite
from whence.stats.regress import covariance_matrix, influence, kept_columns, ols

CITATIONS = ("Semenova and Chernozhukov (2021), Debiased machine learning of conditional average treatment effects and "
             "other causal functions, The Econometrics Journal 24(2)",)


@dataclass(frozen=True)
class Projection:
    """The linear function of the features that comes closest to the effect.

    intercept: effect where all features are zero. slopes: change of the effect per unit of each feature, the others
    held fixed; joint intervals hold together at ``level``. none: test that all slopes are zero, so that the features
    say nothing linear about the effect; None where there are too few clusters for it. errors: in words. dropped:
    features that others determine. influence: (n, 1 + slopes).
    """

    intercept: Comparison
    slopes: tuple[Comparison, ...]
    none: JointTest | None
    n: int
    level: float
    errors: str
    dropped: tuple[str, ...] = ()
    remarks: tuple[Remark, ...] = ()
    influence: np.ndarray | None = field(default=None, metadata={"plain": False}, repr=False, compare=False)

    def __str__(self) -> str:
        none = [] if self.none is None else [f"all slopes zero: p {self.none.p_value:.2g}"]
        return "\n".join([*map(said, self.slopes), *none, *(r.text for r in self.remarks)])


def best_linear_projection(
    scores: np.ndarray, features: np.ndarray, names: Sequence[str], *, weights: np.ndarray | None = None,
    clusters: np.ndarray | None = None, level: float = 0.95, seed: int = 0,
) -> Projection | Refused:
    """Least squares of doubly robust scores (n,) on features (n, k) and a constant (Semenova and Chernozhukov 2021).

    Needs no correct model: it estimates the closest line to the true effect, whatever its shape, with HC3 errors or
    errors clustered by ``clusters``. features: in their own units, named by ``names``; scores: in units of the outcome.
    Raises ``WhenceError`` (``bad_shape``, ``not_finite``, ``bad_weights``). Refused: ``too_few_rows`` (or clusters),
    ``constant_features``.
    """
    known = checked(scores, weights, clusters)
    x = finite(as_long(features, known.n, "features"), "features")
    if x.ndim != 2 or x.shape[1] != len(names):
        raise WhenceError("Features need one name for each column.", code="bad_shape", value=x.shape,
                          allowed=f"(n, {len(names)})")
    order = sorted(range(len(names)), key=lambda j: names[j])
    mean, spread = x.mean(axis=0), x.std(axis=0)
    spread = np.where(spread > 1e-12 * np.maximum(np.abs(mean), 1e-300), spread, 0.0)
    there = [j for j in order if spread[j] > 0]
    standard = (x[:, there] - mean[there]) / spread[there]
    kept = kept_columns(np.column_stack([np.ones(known.n), standard]))[1:]
    used = [j for j, keep in zip(there, kept, strict=True) if keep]
    k = 1 + len(used)
    if known.n <= k + 1 or known.units < 3:
        return Refused("too_few_rows", f"A line in {k - 1} features cannot be judged from {known.n:,} rows in "
                       f"{known.units:,} independent units.", {"rows": known.n, "features": k - 1,
                                                             "units": known.units}, "Name fewer features.")
    if not used:
        return Refused("constant_features", "None of the features differs between the rows, so the effect cannot "
                       "change with any.", {"features": list(names)}, "Name features that vary.")
    fit = ols(np.column_stack([np.ones(known.n), standard[:, kept]]), known.values, known.weights)
    back = np.diag(np.append(1.0, 1 / spread[used]))  # from standard units to those of the features
    back[0, 1:] = -mean[used] / spread[used]
    psi = influence(fit, back, "HC3", known.clusters)
    beta, covariance = back @ fit.coefficients, covariance_matrix(psi, known.clusters)
    df = float(known.n - k if known.clusters is None else known.units - 1)
    labels = [names[j] for j in used]
    none = wald(beta[1:], covariance[1:, 1:], df)
    return Projection(
        jointly(["intercept"], beta[:1], covariance[:1, :1], level, df, seed)[0],
        jointly(labels, beta[1:], covariance[1:, 1:], level, df, seed), none, known.n, level,
        "HC3" if known.clusters is None else f"clustered, {known.units:,} clusters",
        tuple(names[j] for j in order if j not in used), _remarks(none, known.units, labels), psi,
    )


def _remarks(none: JointTest | None, units: int, labels: Sequence[str]) -> tuple[Remark, ...]:
    if none is not None:
        return ()
    return (Remark("no_joint_test", f"With {units:,} clusters and {len(labels)} features there is no joint test of all "
                   "slopes; their adjusted p-values stand in for it.", tuple(labels), {"clusters": units}),)
