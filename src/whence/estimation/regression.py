"""Effects by linear regression: standardised over the population, with robust or cluster-robust errors."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.estimation.inference import Answer
from whence.estimation.linear_errors import (
    DRAWS,
    LINEAR_COVARIANCE,
    Linear,
    chosen,
    few_clusters,
    fit_errors,
    with_bootstrap,
)
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared
from whence.estimation.treatment import Treatment
from whence.estimation.weighting import WEIGHTS_ARE, Weighting, weighting
from whence.stats.features import Features, level_codes
from whence.stats.regress import LinearFit, ols

ROWS_PER_COLUMN = 3  # an arm with fewer rows per control column gets no interactions of its own
SHOWN = 60  # labels listed in the diagnostics

CARD = Card(
    name="regression",
    task="estimation",
    title="Linear regression with robust errors",
    summary="Least squares of the outcome on treatment and controls, averaged over the population asked for.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=(
        "Among people alike in the controls, who was treated has nothing else to do with the outcome.",
        "The outcome's mean is a linear function of the design columns (controls with their powers).",
    ),
    parameters=(
        Parameter("degree", "int", None, "Highest power of each numeric control. None: 1 in an experiment, where "
                  "any form is valid, else 2.", 1, 5, optional=True),
        Parameter("interactions", "bool", None, "Whether the effect may differ with the controls. None: yes for a "
                  "treatment with arms of at least 3 rows per column, no for a dose.", optional=True),
        LINEAR_COVARIANCE, DRAWS, WEIGHTS_ARE,
        LEVEL,
    ),
    output="Effect",
    cost="n k^2 for n rows and k design columns; interactions multiply k by the number of arms.",
    citations=(
        "Lin (2013), Agnostic notes on regression adjustments to experimental data, Annals of Applied Statistics 7",
        "MacKinnon and White (1985), Some heteroskedasticity-consistent covariance matrix estimators",
        "Cameron and Miller (2015), A practitioner's guide to cluster-robust inference",
        "Pustejovsky and Tipton (2018), Small-sample methods for cluster-robust variance estimation and hypothesis "
        "testing in fixed effects models, Journal of Business and Economic Statistics 36",
        "Roodman, MacKinnon, Nielsen and Webb (2019), Fast and wild: bootstrap inference in Stata using boottest, "
        "Stata Journal 19",
    ),
    function="whence.estimation.regression:regression",
    several_treatments=True,
)


@dataclass(frozen=True)
class _Design:
    """matrix: (n, k), intercept, controls, treatment, interactions. effects: per comparison (n, k), the
    change of the row's design when the treatment changes. first: where the treatment columns begin."""

    matrix: np.ndarray
    effects: list[np.ndarray]
    first: int


def regression(
    data: Prepared, *, degree: int | None = None, interactions: bool | None = None, covariance: str | None = None,
    bootstrap_draws: int = 9999, weights_are: str = "sampling", level: float = 0.95, seed: int = 0,
    progress: Progress = SILENT,
) -> Answer | Refused:
    """Standardisation (g-computation) with a linear model.

    With interactions the outcome model is fitted by arm, which for the ATE in an experiment is Lin's
    (2013) estimator; without them the effect is the treatment's coefficient. For a dose: the average
    slope per unit, times the contrast's step. The influence values include the sampling of the controls
    (the population is the one the rows come from), so that

        psi_i = n c'(X'X)^-1 x_i e_i + (d_i'b - estimate) * target_i,   c = mean over the target of d_i,

    with d_i the change of the row's design and e_i the residual with its small-sample factor. Several treatments enter
    side by side, each comparison with the others held fixed. Refused:
    ``more_features_than_rows``, ``treatment_determined``, ``small_arm``, ``too_few_clusters``, ``weights_not_counts``.
    """
    weights, name = weighting(data, weights_are), chosen(data, covariance)
    if isinstance(weights, Refused):
        return weights
    degree = degree or (1 if data.spec.strategy == "rct" else 2)
    controls = data.features(degree)
    if isinstance(controls, Refused):
        return controls
    k, remarks = controls.matrix.shape[1], []
    if interactions is None:
        interactions, said = _default_interactions(data, k)
        remarks += said
    elif interactions and _smallest_arm(data) < k + 2:
        return _small_arm(data, k)
    design = _design(data, controls, interactions)
    if data.n <= design.matrix.shape[1]:
        return _too_many(data, design)
    fit = ols(design.matrix, data.outcome, weights.fit)
    there = fit.kept[design.first : design.first + len(design.effects)]
    if not there.all():
        return _determined(data, controls, int(np.argmin(there)))
    remarks += _left_out(data, controls, fit)
    data, said = few_clusters(data, name)
    means, columns = _standardised(data, design, fit, weights)
    errors = fit_errors(data, fit, means, name, fit.rank - nested_columns(data, controls), weights.counts)
    if isinstance(errors, Refused):
        return errors
    psi = errors[0] + columns
    if weights.counts is not None and data.clusters is None and data.dependence is None:
        psi = psi / np.sqrt(weights.counts)[:, None]  # copies of a row are independent of each other
    estimates = means @ fit.coefficients
    diagnostics = {
        "r_squared": fit.r_squared, "columns": fit.rank, "residual_df": int(weights.rows) - fit.rank, "degree": degree,
        "interactions": interactions, "covariance": name, "largest_leverage": float(fit.leverage.max()),
        "controls": list(controls.labels[:SHOWN]), "controls_dropped": list(controls.dropped[:SHOWN]),
        **({} if data.weights is None else {"weights_are": weights_are}),
    }
    answer = Answer(data, estimates, psi, np.full(len(estimates), weights.rows - fit.rank), diagnostics,
                    (*remarks, *said), errors=errors[1], common=data.spec.quantity == "ATE",
                    labels=tuple(t.name for t in data.treatments) if data.others else None)
    return answer if name != "wild" else with_bootstrap(answer, Linear.of(fit, means), level, bootstrap_draws, seed)


def _too_many(data: Prepared, design: _Design) -> Refused:
    return Refused(
        "more_features_than_rows", f"The model has {design.matrix.shape[1]} columns for {data.n} rows.",
        {"columns": design.matrix.shape[1], "rows": data.n}, "Use fewer controls, degree=1 or interactions=False.",
    )


def _left_out(data: Prepared, controls: Features, fit: LinearFit) -> list[Remark]:
    """Remarks on the interactions and controls that the data cannot tell apart."""
    lost = int((~fit.kept).sum())
    said = [Remark(
        "interactions_dropped", f"{lost} interaction(s) cannot be told apart in the data and are left out; "
        "there the effect is taken to be the same as elsewhere.", (data.treatment.name,), {"columns": lost},
    )] if lost else []
    return [*said, dropped_controls(controls)] if controls.dropped else said


def effect_weights(data: Prepared, degree: int) -> np.ndarray:
    """(n, comparisons): the effects of ``regression`` with this degree are these weights times the outcome."""
    controls = data.features(degree)
    if isinstance(controls, Refused):
        raise AssertionError("regression refuses these controls")
    design = _design(data, controls, _default_interactions(data, controls.matrix.shape[1])[0])
    fit = ols(design.matrix, data.outcome, data.weights)
    means = np.array([target_weights(data, j + 1) @ change / data.n for j, change in enumerate(design.effects)])
    return data.w[:, None] * (design.matrix @ (fit.bread @ means.T))


def _standardised(
    data: Prepared, design: _Design, fit: LinearFit, weights: Weighting
) -> tuple[np.ndarray, np.ndarray]:
    """The mean change of the design (m, k) over the population, and what sampling that population adds to the influence
    values (n, m)."""
    means, columns = [], []
    for j, change in enumerate(design.effects):
        target = target_weights(data, j + 1, weights.population)
        means.append(target @ change / data.n)
        columns.append(target * (change @ fit.coefficients - means[-1] @ fit.coefficients))
    return np.array(means), np.column_stack(columns)


def target_weights(data: Prepared, arm: int, population: np.ndarray | None = None) -> np.ndarray:
    """Weights (n,), mean 1, of the population asked for: everyone (ATE), the treated (ATT) or the controls (ATC).

    population: (n,), mean 1, of everyone; the data's weights when not given."""
    quantity = data.spec.quantity
    everyone = data.w if population is None else population
    if quantity == "ATE" or not data.treatment.discrete:
        return everyone
    inside = everyone * (data.treatment.codes == (arm if quantity == "ATT" else 0))
    return inside / inside.mean()


def nested_columns(data: Prepared, controls: Features) -> int:
    """Dummies of categories that lie within one cluster each; they do not count in CR1's factor."""
    if data.clusters is None:
        return 0
    nested = 0
    for name in sorted(set(controls.sources)):
        labels = [label for label, source in zip(controls.labels, controls.sources, strict=True) if source == name]
        if not labels[0].startswith(f"{name}="):
            continue
        codes, _ = level_codes(data.table.column(name), data.rows)
        pairs = np.unique(np.column_stack([codes, data.clusters]), axis=0)
        nested += len(labels) if len(pairs) == len(np.unique(codes)) else 0
    return nested


def dropped_controls(controls: Features) -> Remark:
    """The remark on design columns that add nothing."""
    return Remark(
        "controls_dropped", "Left out because they are constant or follow from other controls: "
        + ", ".join(controls.dropped[:8]) + ("..." if len(controls.dropped) > 8 else "") + ".",
        controls.dropped, {"dropped": list(controls.dropped)},
    )


def _design(data: Prepared, controls: Features, interactions: bool) -> _Design:
    n, x = data.n, controls.matrix
    centred = x - np.average(x, axis=0, weights=data.w) if x.size else x
    blocks = [block for t in data.treatments for block in _changes(t)]
    base = np.column_stack([np.ones(n), centred])
    extra = [block * centred for block in blocks] if interactions else []
    matrix = np.column_stack([base, *blocks, *extra])
    first, k = base.shape[1], centred.shape[1]
    effects = []
    for j in range(len(blocks)):
        change = np.zeros_like(matrix)
        change[:, first + j] = 1.0
        if interactions:
            start = first + len(blocks) + j * k
            change[:, start : start + k] = centred
        effects.append(change)
    return _Design(matrix, effects, first)


def _changes(t: Treatment) -> list[np.ndarray]:
    """One column (n, 1) per comparison of the treatment."""
    if t.discrete:
        return [(t.codes == j).astype(float)[:, None] for j in range(1, len(t.arms))]
    return [(t.values / t.step)[:, None]]


def _smallest_arm(data: Prepared) -> int:
    """Rows in the smallest arm of any treatment; no limit where there are doses alone."""
    return min((int(np.bincount(t.codes).min()) for t in data.treatments if t.discrete), default=sys.maxsize)


def _default_interactions(data: Prepared, k: int) -> tuple[bool, list[Remark]]:
    t = data.treatment
    if not all(each.discrete for each in data.treatments) or k == 0:
        return False, []
    smallest = _smallest_arm(data)
    if smallest >= ROWS_PER_COLUMN * (k + 1):
        return True, []
    return False, [Remark(
        "no_interactions", f"The smallest arm has {smallest:,} rows for {k} control columns, too few for a model "
        "of its own; the effect is taken to be the same for everyone.",
        (t.name,), {"smallest_arm": smallest, "columns": k},
    )]


def _small_arm(data: Prepared, k: int) -> Refused:
    t = min((t for t in data.treatments if t.discrete), key=lambda t: int(np.bincount(t.codes).min()))
    sizes = dict(zip(t.arms, np.bincount(t.codes).tolist(), strict=True))
    return Refused(
        "small_arm", f"With interactions each arm needs more rows than the {k + 1} columns of its model.",
        {"sizes": sizes, "columns": k + 1}, "Use interactions=False, degree=1 or fewer controls.",
    )


def _determined(data: Prepared, controls: Features, comparison: int) -> Refused:
    """comparison: the one whose column follows from those before it."""
    columns, name, what = list(controls.labels), data.treatment.name, "The controls determine"
    if data.others:
        name = data.treatments[comparison].name
        columns = [*(t.name for t in data.treatments if t.name != name), *columns]
        what = f"The other treatments{' and the controls' if controls.labels else ''} determine"
    return Refused(
        "treatment_determined", f"{what} {name!r} exactly: no two rows alike in "
        "them differ in treatment.", {"columns": columns[:20], "rows": data.n},
        "Remove the controls that decide the treatment, if they are not common causes; otherwise no adjustment "
        "can separate the two.",
    )
