"""Which standard errors a least-squares estimate carries: by rows, by cluster with corrections, or by a bootstrap."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from whence.core.card import Parameter
from whence.core.errors import WhenceError
from whence.core.result import Refused, Remark
from whence.core.rng import generator
from whence.estimation.dependence import KINDS
from whence.estimation.inference import Answer, Errors
from whence.estimation.prepare import Prepared
from whence.stats.cluster_robust import bias_reduced, orthonormal
from whence.stats.regress import COVARIANCES, LinearFit, influence
from whence.stats.wild_bootstrap import WildCluster, wild_cluster

BY_CLUSTER = ("CR1", "CR2", "CR3", "wild")
FEW = 50  # clusters; with fewer, CR2 with its degrees of freedom covers where CR1 does not
FEWEST_DF = 1.0

LINEAR_COVARIANCE = Parameter(
    "covariance", "choice", None, "Standard errors. Independent rows: HC0 to HC3. Clusters: CR1; CR2 or CR3, corrected "
    "for few or unequal clusters; 'wild', the cluster bootstrap. Rows that depend on each other in another way: "
    "'two_way' (with also_cluster), 'hac' (along the spec's time), 'conley' (with latitude, longitude, distance_km). "
    f"None: HC3, or with clusters CR1, and CR2 below {FEW} of them.",
    choices=(*COVARIANCES, *BY_CLUSTER, *KINDS), optional=True,
)
DRAWS = Parameter("bootstrap_draws", "int", 9999, "Draws of the wild cluster bootstrap.", 99, 999_999)


@dataclass(frozen=True)
class Linear:
    """Least-squares estimates of ``combination @ coefficients``, one a column.

    q: (n, k), orthonormal basis of the design. direction: (n, m), in its span, so that the estimates are direction' y.
    residuals: (n,). All rows times the root of their weights.
    """

    q: np.ndarray
    direction: np.ndarray
    residuals: np.ndarray

    @staticmethod
    def of(fit: LinearFit, combination: np.ndarray) -> Linear:
        root = np.sqrt(fit.weights)
        return Linear(orthonormal(fit), root[:, None] * (fit.design @ (fit.bread @ combination.T)), root *
        fit.residuals)


def chosen(data: Prepared, asked: str | None, rows: str = "HC3") -> str:
    """The name of the covariance asked for, or the default; ``rows``: that of independent rows.

    Raises ``WhenceError`` (``no_cluster``, ``two_dependences``) for one that does not go with the spec.
    """
    if data.dependence is not None:
        return data.dependence.name
    if asked is None:
        if data.n_clusters is None:
            return rows
        return "CR2" if data.n_clusters < FEW else "CR1"
    if asked in BY_CLUSTER and data.clusters is None:
        raise WhenceError(f"covariance={asked!r} needs clusters, and the spec has none.", code="no_cluster",
        value=asked, allowed=COVARIANCES, hint="Name the column in the spec: cluster=....")
    if asked in COVARIANCES and data.clusters is not None:
        raise WhenceError(f"covariance={asked!r} takes rows as independent, but they are clustered by "
                          f"{data.spec.cluster!r}.", code="two_dependences", value=asked, allowed=BY_CLUSTER,
                          hint="Leave the covariance or the cluster out.")
    return asked


def fit_errors(
    data: Prepared, fit: LinearFit, combination: np.ndarray, name: str, counted: int, counts: np.ndarray | None = None
) -> tuple[np.ndarray, Errors] | Refused:
    """Influence values (n, m) of ``combination @ coefficients`` under the covariance ``name``, and what it is.

    counted: the columns that count in the factor of CR1. counts: of each row, when weights are frequencies. Refused:
    ``too_few_clusters``.
    """
    if name in ("CR2", "CR3"):
        return reduced(data, Linear.of(fit, combination), name)
    by_row = name if name in COVARIANCES else "HC1"
    values = influence(fit, combination, by_row, data.clusters, counted, counts)
    return values, Errors(name, described(data, name))


def reduced(data: Prepared, linear: Linear, name: str) -> tuple[np.ndarray, Errors] | Refused:
    """Influence values (n, m) under CR2, with degrees of freedom of its own, or CR3. Refused: ``too_few_clusters``."""
    assert data.clusters is not None
    found = bias_reduced(linear.q, linear.direction, linear.residuals, data.clusters, name)
    df, groups = float(found.df.min()), data.n_clusters or 0
    if df < FEWEST_DF or found.decided >= groups - 1:
        return Refused(
            "too_few_clusters", f"The {groups} clusters leave {df:.2f} degrees of freedom for the error of this "
            "effect: too few of them hold a comparison that does not rest on one cluster.",
            {"clusters": groups, "df": df, "clusters_that_decide": found.decided},
            "Use a finer cluster column, fewer controls that vary by cluster, or more clusters.",
        )
    if name == "CR3":  # the jackknife is wide already; with G - 1 it covers (MacKinnon, Nielsen and Webb 2023)
        return found.values, Errors(name, described(data, name, groups - 1))
    return found.values, Errors(name, described(data, name, df), found.df)


def with_bootstrap(answer: Answer, linear: Linear, level: float, draws: int, seed: int) -> Answer | Refused:
    """The answer with the wild cluster bootstrap's interval and p-value of its first estimate.

    Refused: ``too_few_clusters``, when no effect, however large, is rejected.
    """
    data = answer.data
    assert data.clusters is not None
    found = wild_cluster(linear.q, linear.direction[:, 0], linear.residuals, data.clusters, float(answer.estimates[0]),
                         level, draws, generator(seed, "wild"))
    made = bootstrapped(answer, found, level)
    if isinstance(made, Refused):
        return made
    fixed = Remark(
        "bootstrap_holds_fixed", "The wild cluster bootstrap draws the signs of whole clusters' residuals and holds "
        "the treatment, the controls and which rows form a cluster as they are. So its interval is about the effect "
        "among people with just these controls; that others would have been drawn is not in it, and matters only where "
        "the effect differs with the controls.", (data.spec.cluster or "",), made.diagnostics["wild_bootstrap"],
    )
    return dataclasses.replace(made, remarks=(*made.remarks, fixed))


def bootstrapped(answer: Answer, found: WildCluster, level: float, scale: float = 1.0) -> Answer | Refused:
    """The answer with the bootstrap's p-value and ``scale`` times its interval. Refused: ``too_few_clusters``, when no
    effect, however large, is rejected."""
    data = answer.data
    if found.interval is None:
        return Refused(
            "too_few_clusters", f"With {data.n_clusters} clusters the bootstrap rejects no effect, however large, at "
            f"the level {level:g}.", {"clusters": data.n_clusters, "draws": found.draws},
            "Use covariance='CR2', a finer cluster column, or more clusters.",
        )
    low, high = sorted(scale * value for value in found.interval)
    told = {"draws": found.draws, "weights": found.weights, "all_draws": found.complete}
    return dataclasses.replace(answer, interval=(low, high), p_value=found.p_value,
                               diagnostics={**answer.diagnostics, "wild_bootstrap": told})


def described(data: Prepared, name: str, df: float | None = None) -> str:
    """The covariance in words."""
    if data.dependence is not None:
        return data.dependence.words
    if name in COVARIANCES:
        return f"robust to unequal variances ({name}); rows are taken as independent"
    by = f"clustered by {data.spec.cluster!r} ({data.n_clusters:,} clusters, "
    if name == "wild":
        return by + "wild cluster bootstrap)"
    return by + (f"{name})" if df is None else f"{name}, t with {df:.1f} degrees of freedom)")


def few_clusters(data: Prepared, name: str) -> tuple[Prepared, tuple[Remark, ...]]:
    """The data without the general remark on few clusters where the errors allow for them, and what to say instead."""
    if data.n_clusters is None or data.n_clusters >= FEW or data.dependence is not None:
        return data, ()
    rest = tuple(r for r in data.remarks if r.code != "few_clusters")
    evidence, about = {"clusters": data.n_clusters, "covariance": name}, (data.spec.cluster or "",)
    if name == "CR1":
        text = (f"There are only {data.n_clusters} clusters; CR1 intervals tend to be too short with so few. "
                "covariance='CR2' or 'wild' allows for that.")
    else:
        text = (f"There are only {data.n_clusters} clusters, so errors and degrees of freedom are those made for few "
                f"({'the wild cluster bootstrap' if name == 'wild' else name}).")
    return dataclasses.replace(data, remarks=rest), (Remark("few_clusters", text, about, evidence),)
