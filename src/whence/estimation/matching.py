"""Nearest-neighbour matching with replacement, bias-corrected, with Abadie and Imbens' errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.errors import unknown_name
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.estimation.inference import Answer
from whence.estimation.ipw import continuous_refusal, fit_propensity
from whence.estimation.nearest import Cells, Matched, cells, match
from whence.estimation.overlap import require_overlap
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared
from whence.estimation.regression import SHOWN, dropped_controls, target_weights
from whence.stats.features import Features, level_codes
from whence.stats.logit import LogitFit
from whence.stats.regress import ols

CARD = Card(
    name="matching",
    task="estimation",
    title="Nearest-neighbour matching",
    summary="Each person is compared with the most similar people of the other arm, differences that remain between "
    "them in the controls being corrected by regression.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=(
        "Among people alike in the controls, who was treated has nothing else to do with the outcome.",
        "People of every kind in the controls could have been in either arm.",
        "The outcome changes smoothly with the controls, so that near neighbours are alike.",
    ),
    parameters=(
        Parameter("neighbours", "int", 4, "How many matches each row has (all that are equally near are taken).", 1,
                  100),
        Parameter("metric", "choice", "mahalanobis", "What near means. mahalanobis: in the controls, scaled and "
                  "uncorrelated. propensity: in the log odds of treatment.", choices=("mahalanobis", "propensity")),
        Parameter("caliper", "float", None, "Largest distance of a match: in standard deviations of the (uncorrelated) "
                  "controls, or of the log odds. Rows without a match are set aside. None: no limit.", 0.0, None,
                  optional=True, open_ends=True),
        Parameter("exact", "str", None, "Controls in which matches must be equal, names with commas between. None: no "
                  "such control.", optional=True),
        Parameter("bias_correction", "bool", True, "Whether differences in the controls that remain between matches "
                  "are corrected by regression (mahalanobis only)."),
        Parameter("degree", "int", 1, "Highest power of each numeric control in the regression and in the model of the "
                  "chance of treatment.", 1, 5),
        Parameter("variance_neighbours", "int", 2, "Neighbours within the arm from which a row's outcome variance is "
                  "estimated.", 1, 50),
        LEVEL,
    ),
    output="Effect",
    cost="A tree search for every row: n log n with few controls.",
    citations=(
        "Abadie and Imbens (2006), Large sample properties of matching estimators for average treatment effects, "
        "Econometrica 74",
        "Abadie and Imbens (2011), Bias-corrected matching estimators for average treatment effects, J. Business and "
        "Economic Statistics 29",
        "Abadie and Imbens (2016), Matching on the estimated propensity score, Econometrica 84",
    ),
    function="whence.estimation.matching:matching",
)


@dataclass(frozen=True)
class _Space:
    """Where rows are near: groups of rows with equal controls and exact columns, their points (cells, k), the
    limit of distances. fit: the propensity model, None where it could not be had. regressors: (n, k + 1)."""

    groups: Cells
    points: np.ndarray
    limit: float
    fit: LogitFit | None
    regressors: np.ndarray
    by_propensity: bool


def matching(
    data: Prepared, *, neighbours: int = 4, metric: str = "mahalanobis", caliper: float | None = None,
    exact: str | None = None, bias_correction: bool = True, degree: int = 1, variance_neighbours: int = 2,
    level: float = 0.95, seed: int = 0, progress: Progress = SILENT,
) -> Answer | Refused:
    """Matching with replacement, all ties kept with equal weights.

    With Y_i(b) the outcome of a row in arm b, or else the mean over its matches j in arm b of y_j + m_b(x_i) - m_b(x_j)
    (m_b: least squares in arm b weighted by how often its rows are used; 0 without correction), the effect is the mean
    of Y_i(1) - Y_i(0) over the people asked about (Abadie and Imbens 2011, eq. 6). Its variance, with s_i their
    weights, L_i the weight of the outcome of row i in all, and sigma_i^2 its variance from its neighbours in its own
    arm (Abadie and Imbens 2006, theorems 6 and 7, for any M, ties and weights):

        n V = mean(s^2 (Y(1) - Y(0) - effect)^2) - mean(s^2 noise) + mean(L^2 sigma^2),

    noise_i being the variance of Y_i(1) - Y_i(0) given the controls. Matching on the estimated propensity adds
    Abadie and Imbens' (2016, theorem 2) adjustment. The influence values are the linear representation
    s_i (effect(x_i) - effect) + L_i e_i, scaled to this variance.

    Refused: ``continuous_treatment``, ``no_controls``, ``clusters_not_available``, ``separation`` and
    ``no_overlap`` (without a caliper), ``several_arms`` (propensity), ``no_matches``.
    """
    refused = _cannot(data, metric)
    if refused is not None:
        return refused
    space = _space(data, metric, caliper, exact, degree)
    if isinstance(space, Refused):
        return space
    space, made, overlap = space
    t = data.treatment
    remarks, diagnostics = (), dict[str, Any]()
    if overlap is not None:
        diagnostics, remarks = overlap
    within = [match(space.points, space.groups, t.codes == arm, t.codes == arm, variance_neighbours + 1)
              for arm in range(len(t.arms))]
    across = [match(space.points, space.groups, t.codes == arm, t.codes != arm, neighbours, space.limit)
              for arm in range(len(t.arms))]
    answers = []
    for arm in range(1, len(t.arms)):
        found = _compare(data, space, (across[0], across[arm]), (within[0], within[arm]), arm, bias_correction)
        if isinstance(found, Refused):
            return found
        answers.append(found)
    if made.dropped:
        remarks = (*remarks, dropped_controls(made))
    if answers[0][2]["unmatched"]:
        remarks = (*remarks, _unmatched(data, answers[0][2]["unmatched"]))
    return Answer(
        data, estimates=np.array([a[0] for a in answers]), influence=np.column_stack([a[1] for a in answers]),
        remarks=remarks, propensity=None if space.fit is None else space.fit.probabilities[:, 1],
        diagnostics=diagnostics | {
            "matches": {t.labels[j]: a[2] for j, a in enumerate(answers)}, "degree": degree,
            "columns": made.matrix.shape[1], "controls": list(made.labels[:SHOWN]),
            "controls_dropped": list(made.dropped[:SHOWN]),
        },
    )


def _cannot(data: Prepared, metric: str) -> Refused | None:
    if not data.treatment.discrete:
        return continuous_refusal(data, "matching")
    if not data.spec.controls:
        return Refused("no_controls", "There is nothing to match on.", {"controls": []}, "Use method='difference'.")
    if data.clusters is not None or data.dependence is not None:
        return Refused(
            "clusters_not_available", "How sure a matching estimate is when rows depend on each other is not known: "
            "matches across clusters tie the clusters together.", {"cluster": data.spec.cluster},
            "Use method='regression', 'aipw', 'ipw' or 'entropy_balancing', whose errors can be clustered.",
        )
    if metric == "propensity" and len(data.treatment.arms) > 2:
        return Refused(
            "several_arms", "Matching on the propensity compares two arms; the treatment has "
            f"{len(data.treatment.arms)}.", {"arms": list(data.treatment.arms)},
            "Use metric='mahalanobis', or restrict the population to two arms.",
        )
    return None


def _space(
    data: Prepared, metric: str, caliper: float | None, exact: str | None, degree: int
) -> tuple[_Space, Features, Any] | Refused:
    """The space of matching, the controls in it, and diagnostics and remarks of overlap (None when not looked at)."""
    made = data.features(1)
    if isinstance(made, Refused):
        return made
    blocks = _exact_codes(data, exact)
    groups = cells(np.column_stack([made.matrix, *blocks]))
    fitted, overlap = fit_propensity(data, degree), None
    if not isinstance(fitted, Refused) and caliper is None:
        overlap = require_overlap(data, fitted[0].probabilities)
        if isinstance(overlap, Refused):
            return overlap
    elif isinstance(fitted, Refused) and (metric == "propensity" or (fitted.code == "separation" and caliper is None)):
        return fitted
    fit = None if isinstance(fitted, Refused) else fitted[0]
    if metric == "propensity" and fit is not None:
        odds = np.log(fit.probabilities[:, 1]) - np.log(fit.probabilities[:, 0])
        points = (odds / max(float(odds.std()), 1e-12))[groups.first, None]
    else:
        points = _uncorrelated(made.matrix, data.w)[groups.first]
    limit = np.inf if caliper is None else caliper
    if blocks:  # rows that must not meet are put farther apart than any two that may
        apart = 1 + 2 * float(np.sqrt((np.ptp(points, axis=0) ** 2).sum()))
        joint = cells(np.column_stack(blocks)).of
        points = np.column_stack([points, apart * joint[groups.first]])
        limit = min(limit, apart / 2)
    wide = made if degree == 1 else data.features(degree)
    if isinstance(wide, Refused):
        return wide
    regressors = np.column_stack([np.ones(data.n), wide.matrix])
    return _Space(groups, points, limit, fit, regressors, metric == "propensity"), made, overlap


def _exact_codes(data: Prepared, exact: str | None) -> list[np.ndarray]:
    names = sorted({name.strip() for name in (exact or "").split(",") if name.strip()})
    for name in names:
        if name not in data.spec.controls:
            raise unknown_name("control", name, data.spec.controls, code="bad_parameter")
    return [level_codes(data.table.column(name), data.rows)[0].astype(float) for name in names]


def _uncorrelated(matrix: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Columns turned into uncorrelated ones of variance 1, between which distances are Mahalanobis'."""
    if not matrix.shape[1]:
        return np.zeros((len(matrix), 1))
    centred = matrix - w @ matrix / w.sum()
    factor = np.linalg.cholesky((centred * w[:, None]).T @ centred / w.sum())
    return np.linalg.solve(factor, centred.T).T


def _compare(
    data: Prepared, space: _Space, across: tuple[Matched, Matched], within: tuple[Matched, Matched], arm: int,
    correct: bool,
) -> tuple[float, np.ndarray, dict[str, Any]] | Refused:
    """Estimate, influence values (n,) and diagnostics of ``arm`` against arm 0."""
    asked = target_weights(data, arm)
    kept = across[0].found & across[1].found
    if not (asked * kept).sum():
        return Refused("no_matches", "Nobody asked about has a match within the caliper and the exact columns.",
                       {"asked": int((asked > 0).sum())}, "Use a larger caliper or fewer exact columns.")
    s = asked * kept
    s = s / s.mean()
    y = data.outcome
    # The regressions also give effect(x) of the influence values, so they are fitted even without correction.
    predicted = [_predict(data, space, m, m.received(s)) for m in across]
    lift = predicted if correct and not space.by_propensity else [np.zeros(data.n)] * 2
    potential = [m.carry(y - p) + p for m, p in zip(across, lift, strict=True)]
    gains = potential[1] - potential[0]
    estimate = float(s @ gains) / data.n
    parts = [_spread(m, y - p) for m, p in zip(within, lift, strict=True)]
    load = across[1].received(s) + s * across[1].inside - across[0].received(s) - s * across[0].inside
    variance = parts[0][0] + parts[1][0]
    noise = across[0].carry(variance, squared=True) + across[1].carry(variance, squared=True)
    total = float(np.mean(s**2 * (gains - estimate) ** 2) - np.mean(s**2 * noise) + np.mean(load**2 * variance))
    change = predicted[1] - predicted[0]
    psi = s * (change - s @ change / data.n) + load * (parts[0][1] + parts[1][1])
    if space.by_propensity and space.fit is not None:
        adjusted = _estimated_propensity(data, space, s, change, gains, estimate)
        psi, total = psi + space.fit.influence(adjusted[0]), total + adjusted[1]
    size = float(np.mean(psi**2))
    # In small samples the adjustment can exceed the variance; the influence values' own variance is never negative.
    psi = psi * np.sqrt(total / size) if total > size / 2 > 0 else psi
    return estimate, psi, _seen(data, space, across, s, asked, kept, load)


def _predict(data: Prepared, space: _Space, m: Matched, used: np.ndarray) -> np.ndarray:
    """Least squares (n,) of the outcome in the arm, rows weighted by how often they are used (Abadie et al. 2004)."""
    rows = m.inside & (used > 0)
    if rows.sum() <= space.regressors.shape[1] + 1:
        rows = m.inside
    weights = np.where(used[rows] > 0, used[rows], 1e-6)
    return space.regressors @ ols(space.regressors[rows], data.outcome[rows], weights / weights.mean()).coefficients


def _spread(within: Matched, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Variance (n,) of the values of rows inside from their neighbours, and a residual with that square (2006, eq. 14).
    """
    others = np.where(within.inside, within.counts[within.query] - 1.0, 1.0)
    alone = others <= 0
    others = np.where(alone, 1.0, others)
    mean = (within.carry(values) * (others + 1) - values) / others  # the row itself is among its neighbours
    residual = np.where(within.inside & ~alone, np.sqrt(others / (others + 1)) * (values - mean), 0.0)
    return residual**2, residual


def _estimated_propensity(
    data: Prepared, space: _Space, s: np.ndarray, change: np.ndarray, gains: np.ndarray, estimate: float
) -> tuple[np.ndarray, float]:
    """What estimating the propensity adds: the combination ((1, k)) of its coefficients, and to the variance.

    Abadie and Imbens (2016), theorem 2: - c' I^-1 c + d' I^-1 d, with c the covariance of the estimate and the score,
    and d the derivative of the effect by the coefficients; covariances given the propensity from two neighbours.
    """
    fit = space.fit
    assert fit is not None
    p, x, w, codes = fit.probabilities[:, 1], fit.design, data.w, data.treatment.codes
    quantity = data.spec.quantity
    h = {"ATE": np.ones(data.n), "ATT": p, "ATC": 1 - p}[quantity]
    slope = {"ATE": 0.0, "ATT": 1.0, "ATC": -1.0}[quantity] * p * (1 - p)
    size = float(w @ h)
    everyone = np.ones(data.n, dtype=bool)
    c = (w * slope * (gains - estimate)) @ x
    for arm, chance in ((0, 1 - p), (1, p)):
        near = match(space.points, space.groups, codes == arm, everyone, 2)
        count = np.maximum(near.counts[near.query], 2)
        scaled = w * p * (1 - p) * h / chance * count / (count - 1)
        mean_y = near.carry(data.outcome)
        c += np.array([scaled @ (near.carry(column * data.outcome) - near.carry(column) * mean_y) for column in x.T])
    d = (w * slope * (change - s @ change / data.n)) @ x
    c, d = c / size, d / size
    inverse = data.n * np.linalg.pinv(fit.information, hermitian=True)
    return -(c - d)[None, :], float(d @ inverse @ d - c @ inverse @ c)


def _seen(
    data: Prepared, space: _Space, across: tuple[Matched, Matched], s: np.ndarray, asked: np.ndarray,
    kept: np.ndarray, load: np.ndarray,
) -> dict[str, Any]:
    """What the matches are like: how near, how often used, how alike the two sides are before and after."""
    x = space.regressors[:, 1:]
    scale = np.where(x.std(axis=0) > 0, x.std(axis=0), 1.0)
    sides = [m.inside for m in across]
    before = np.abs(data.w[sides[1]] @ x[sides[1]] / data.w[sides[1]].sum()
                    - data.w[sides[0]] @ x[sides[0]] / data.w[sides[0]].sum()) / scale
    after = np.abs(load @ x) / data.n / scale
    far = np.concatenate([m.distance[m.query[(m.query >= 0) & (s > 0)]] for m in across])
    used = np.concatenate([m.received((s > 0).astype(float))[m.inside] for m in across])
    return {
        "matched": int(((asked > 0) & kept).sum()), "unmatched": int(((asked > 0) & ~kept).sum()),
        "median_distance": float(np.median(far)), "largest_distance": float(far.max()),
        "most_times_used": float(used.max()), "largest_difference_before": float(before.max(initial=0.0)),
        "largest_difference_after": float(after.max(initial=0.0)),
    }


def _unmatched(data: Prepared, count: int) -> Remark:
    return Remark(
        "unmatched", f"{count:,} of the rows asked about have no match near enough and are set aside; the effect is "
        "about the rest.", (data.treatment.name,), {"unmatched": count, "rows": data.n},
    )
