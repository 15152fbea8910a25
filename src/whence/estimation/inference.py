"""From influence values to standard errors, intervals, p-values and joint tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from whence.core.result import Remark
from whence.estimation.effect import summarise
from whence.estimation.prepare import Prepared
from whence.stats.regress import covariance_matrix


@dataclass(frozen=True)
class Errors:
    """Which standard errors an answer carries, where they are not the plain ones of rows or clusters.

    name: of the covariance, e.g. ``"CR2"``. words: for a reader. df: (m,), degrees of freedom of the t reference, or
    None for those of the answer.
    """

    name: str
    words: str
    df: np.ndarray | None = None


@dataclass(frozen=True)
class Answer:
    """What an estimator hands back, one column per comparison.

    data: the rows it used (some may have been set aside since ``prepare``). estimates: (m,). influence:
    (n, m), small-sample factors included, so that the covariance of the estimates is
    sums.T @ sums / n**2 over rows or clusters. products: (m, m), this sums.T @ sums, where a method has it without
    the rows' values; influence can then be that of the first comparison alone, (n, 1). df: degrees of freedom
    of the t reference, (m,), or None for the normal. propensity: (n,), probability of the treatment value asked for.
    labels: (m,), what each comparison compares, when it is not the treatment's arms. interval, p_value: of the first
    comparison, for a method that has its own. errors: which standard errors these are, when the method has a choice.
    common: the comparisons with the first arm are averages over the same people, so that their differences are effects
    too.
    """

    data: Prepared
    estimates: np.ndarray
    influence: np.ndarray
    df: np.ndarray | None = None
    diagnostics: Mapping[str, Any] = field(default_factory=dict)
    remarks: tuple[Remark, ...] = ()
    propensity: np.ndarray | None = None
    labels: tuple[str, ...] | None = None
    interval: tuple[float, float] | None = None
    p_value: float | None = None
    errors: Errors | None = None
    common: bool = False
    products: np.ndarray | None = None

    @cached_property
    def covariance(self) -> np.ndarray:
        """Covariance (m, m) of the estimates: rows independent, clustered, or dependent as the data say."""
        data = self.data
        if self.products is not None:
            return self.products / len(self.influence) ** 2
        if data.dependence is None:
            return covariance_matrix(self.influence, data.clusters)
        return data.dependence.products(self.influence) / len(self.influence) ** 2


@dataclass(frozen=True)
class Summary:
    """One estimate with its standard error, interval and p-value."""

    estimate: float
    standard_error: float
    interval: tuple[float, float]
    p_value: float


def summaries(answer: Answer, level: float) -> list[Summary]:
    """One ``Summary`` per comparison. With clusters the reference is t with G - 1 degrees of freedom."""
    errors = np.sqrt(np.diagonal(covariance_of(answer)))
    found = []
    for j, (estimate, error) in enumerate(zip(answer.estimates.tolist(), errors.tolist(), strict=True)):
        found.append(Summary(estimate, error, *summarise(estimate, error, level, degrees_of_freedom(answer, j))))
    return found


def covariance_of(answer: Answer) -> np.ndarray:
    """Covariance (m, m) of the estimates; read only."""
    return answer.covariance


def degrees_of_freedom(answer: Answer, comparison: int = 0) -> float | None:
    """Those of the errors or the dependence; else G - 1 with clusters, the estimator's own, or None for the normal."""
    if answer.errors is not None and answer.errors.df is not None:
        return float(answer.errors.df[comparison])
    if answer.data.dependence is not None:
        return answer.data.dependence.df
    if answer.data.n_clusters is not None:
        return answer.data.n_clusters - 1.0
    return None if answer.df is None else float(answer.df[comparison])


def cluster_factor(clusters: np.ndarray | None) -> float:
    """sqrt(G / (G - 1)) for estimators without regression degrees of freedom; 1 without clusters."""
    if clusters is None:
        return 1.0
    groups = len(np.unique(clusters))
    return float(np.sqrt(groups / (groups - 1)))


def joint_test(answer: Answer) -> dict[str, float]:
    """Wald test that all comparisons are zero: F with m and G - 1 under clusters, else chi-squared with m."""
    from scipy.special import chdtrc, fdtrc

    clusters, covariance = answer.data.clusters, covariance_of(answer)
    statistic = float(answer.estimates @ np.linalg.pinv(covariance, hermitian=True) @ answer.estimates)
    m = int(np.linalg.matrix_rank(covariance, hermitian=True))
    if m == 0:
        return {"statistic": 0.0, "df": 0, "p_value": 1.0}
    if clusters is None:
        return {"statistic": statistic, "df": m, "p_value": float(chdtrc(m, statistic))}
    groups = answer.data.n_clusters or 0
    return {"statistic": statistic / m, "df": m, "df_denominator": groups - 1,
            "p_value": float(fdtrc(m, groups - 1, statistic / m))}
