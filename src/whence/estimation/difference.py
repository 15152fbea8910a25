"""Difference in means between arms, with Neyman's conservative variance."""

from __future__ import annotations

import dataclasses

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused
from whence.estimation.dependence import KINDS
from whence.estimation.inference import Answer
from whence.estimation.linear_errors import FEW, chosen, few_clusters, fit_errors
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared
from whence.stats.regress import ols

CARD = Card(
    name="difference",
    task="estimation",
    title="Difference in means",
    summary="The mean outcome of the treated minus that of the controls, without adjustment.",
    data_kinds=("continuous", "count", "binary", "ordinal"),
    assumptions=("Who was treated was decided by chance, or by nothing that also affects the outcome.",),
    parameters=(
        Parameter("covariance", "choice", None, "With clusters: CR1, CR2 or CR3, the latter two corrected for few or "
                  "unequal clusters; 'two_way', 'hac' and 'conley' as for every method. None: CR1, and CR2 below "
                  f"{FEW} clusters; Neyman's variance for independent rows.", choices=("CR1", "CR2", "CR3", *KINDS),
                  optional=True),
        LEVEL,
    ),
    output="Effect",
    cost="One pass over the rows.",
    citations=(
        "Neyman (1923), On the application of probability theory to agricultural experiments",
        "Welch (1947), The generalization of Student's problem when several population variances are involved",
        "Bell and McCaffrey (2002), Bias reduction in standard errors for linear regression with multi-stage samples",
    ),
    function="whence.estimation.difference:difference",
)


def difference(
    data: Prepared, *, covariance: str | None = None, level: float = 0.95, seed: int = 0, progress: Progress = SILENT,
) -> Answer | Refused:
    """Means by arm and their differences from the control arm.

    Rows independent: HC2 influence values, whose squares add up to Neyman's s1^2 / n1 + s0^2 / n0, and
    Welch's degrees of freedom. Clusters: those of the regression on the arms, CR1 with G / (G - 1) * (n - 1) /
    (n - arms) and t with G - 1, or CR2 with its own degrees of freedom below 50 clusters. With weights, means
    are weighted and a row's leverage is its share of its arm's weight.

    Refused: ``continuous_treatment``, ``too_few_clusters``.
    """
    t, n = data.treatment, data.n
    if not t.discrete:
        return Refused(
            "continuous_treatment", f"{t.name!r} is a dose with {len(np.unique(t.values)):,} values, not two groups.",
            {"column": t.name, "values": len(np.unique(t.values))},
            "Use method='regression', or read the table with this column as categorical.", "difference",
        )
    k = len(t.arms)
    means, sizes, variances = np.zeros(k), np.zeros(k), np.zeros(k)
    influence = np.zeros((n, k))
    for arm in range(k):
        inside = t.codes == arm
        share = data.w[inside] / data.w[inside].sum()
        means[arm] = share @ data.outcome[inside]
        deviation = data.outcome[inside] - means[arm]
        influence[inside, arm] = n * share * deviation / np.sqrt(1 - share)
        sizes[arm] = inside.sum()
        variances[arm] = (influence[inside, arm] ** 2).sum() / n**2
    by_arm = {a: {"n": int(s), "mean": float(m)} for a, s, m in zip(t.arms, sizes, means, strict=True)}
    answer = Answer(
        data, estimates=means[1:] - means[0], influence=influence[:, 1:] - influence[:, [0]],
        df=_welch(variances, sizes), diagnostics={"arms": by_arm}, common=True,
    )
    return answer if data.clusters is None else _clustered(answer, covariance)


def _clustered(answer: Answer, covariance: str | None) -> Answer | Refused:
    """The same differences as coefficients of a regression on the arms, with its errors by cluster."""
    data, k = answer.data, len(answer.data.treatment.arms)
    name = chosen(data, covariance)
    data, said = few_clusters(data, name)
    fit = ols((data.treatment.codes[:, None] == np.arange(k)).astype(float), data.outcome, data.weights)
    contrasts = np.column_stack([-np.ones(k - 1), np.eye(k - 1)])
    errors = fit_errors(data, fit, contrasts, name, k)
    if isinstance(errors, Refused):
        return errors
    return dataclasses.replace(answer, data=data, influence=errors[0], errors=errors[1], remarks=said)


def _welch(variances: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Welch-Satterthwaite degrees of freedom of each arm against the first; variances are of the means."""
    terms = variances**2 / (sizes - 1)
    total = variances[1:] + variances[0]
    below = terms[1:] + terms[0]
    return np.where(below > 0, total**2 / np.where(below > 0, below, 1.0), sizes[1:] + sizes[0] - 2)
