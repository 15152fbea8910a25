"""Entropy balancing: weights as even as can be, under which the arms agree in the controls' moments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.estimation.inference import Answer, cluster_factor
from whence.estimation.ipw import continuous_refusal
from whence.estimation.overlap import FEWEST, WARNED_PART, effective_size
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared
from whence.estimation.regression import SHOWN, dropped_controls, target_weights
from whence.stats.features import Features, independent

ITERATIONS = 60
BALANCED = 1e-8  # largest difference of means left, in standard deviations
FULL_LEVERAGE = 0.99

CARD = Card(
    name="entropy_balancing",
    task="estimation",
    title="Entropy balancing",
    summary="Differences of means after weighting each arm to have exactly the controls' moments of the people asked "
    "about, with weights as even as can be; right when the log odds of treatment or the outcome are linear in the "
    "moments balanced.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=(
        "Among people alike in the controls, who was treated has nothing else to do with the outcome.",
        "People of every kind in the controls could have been in either arm.",
        "The log odds of treatment, or the outcome in each arm, are linear in the moments balanced.",
    ),
    parameters=(
        Parameter("moments", "choice", "variances", "What is made equal. means: of each control. variances: means and "
                  "variances. interactions: also the means of all products of two controls.",
                  choices=("means", "variances", "interactions")),
        LEVEL,
    ),
    output="Effect",
    cost="A few Newton steps of n k^2 for n rows and k moments.",
    citations=(
        "Hainmueller (2012), Entropy balancing for causal effects, Political Analysis 20",
        "Zhao and Percival (2017), Entropy balancing is doubly robust, Journal of Causal Inference 5",
    ),
    function="whence.estimation.entropy_balancing:entropy_balancing",
)


@dataclass(frozen=True)
class Balanced:
    """weights: (n,), of the rows given, summing to n. iterations: Newton steps. problem: None, ``"infeasible"`` when no
    weights balance, or ``"no_convergence"``."""

    weights: np.ndarray
    iterations: int
    problem: str | None = None


def entropy_balancing(
    data: Prepared, *, moments: str = "variances", level: float = 0.95, seed: int = 0, progress: Progress = SILENT
) -> Answer | Refused:
    """Differences of means of arms weighted to the moments of the people asked about.

    Everyone (ATE), the treated (ATT) or the controls (ATC) give the moments m = mean_s(c), s their weights. The weights
    of arm b are v_i proportional to w_i exp(lambda_b' (c_i - m)), which makes mean_v(c) = m (Hainmueller 2012, eq. 4 to
    8). The influence values are those of the stacked estimating equations of m, lambda and the mean, in which the
    weights' own error is that of a weighted regression of the outcome on the moments:

        psi_i = v_i (y_i - mu - beta' (c_i - m)) / sqrt(1 - h_i) + s_i beta' (c_i - m),
        beta = mean(v (c - m)(c - m)')^-1 mean(v (c - m)(y - mu)),

    the mean being consistent when the log odds of the arm, or its outcomes, are linear in c (Zhao and Percival 2017,
    theorem 1). h_i is the row's leverage in that regression, as in HC2; with clusters G / (G - 1) stands for it.

    Refused: ``continuous_treatment``, ``more_features_than_rows``, ``balance_infeasible``, ``no_overlap``.
    """
    if not data.treatment.discrete:
        return continuous_refusal(data, "entropy_balancing")
    made = moment_columns(data, moments)
    if isinstance(made, Refused):
        return made
    t = data.treatment
    aims = [arm if data.spec.quantity == "ATT" else 0 for arm in range(1, len(t.arms))]
    means: dict[tuple[int, int], tuple[float, np.ndarray, dict[str, Any]]] = {}
    for comparison, aim in enumerate(aims, 1):
        for arm in (comparison, 0):
            if (aim, arm) not in means:
                found = _arm(data, made, aim, arm)
                if isinstance(found, Refused):
                    return found
                means[aim, arm] = found
    pairs = [(means[aim, j], means[aim, 0]) for j, aim in enumerate(aims, 1)]
    balance = {t.labels[j]: {t.arms[j + 1]: a[2], t.arms[0]: b[2]} for j, (a, b) in enumerate(pairs)}
    refusal = _handful(data, balance[t.labels[0]])
    if refusal is not None:
        return refusal
    remarks = _weak(data, balance)
    if made.dropped:
        remarks = (*remarks, dropped_controls(made))
    return Answer(
        data, estimates=np.array([a[0] - b[0] for a, b in pairs]),
        influence=np.column_stack([a[1] - b[1] for a, b in pairs]) * cluster_factor(data.clusters), remarks=remarks,
        diagnostics={"balance": balance, "moments": moments, "columns": made.matrix.shape[1],
                     "degree": 1 if moments == "means" else 2, "controls": list(made.labels[:SHOWN]),
                     "controls_dropped": list(made.dropped[:SHOWN])},
    )


def moment_columns(data: Prepared, moments: str) -> Features | Refused:
    """The columns whose means are balanced: controls, their squares, and their products if asked for."""
    made = data.features(1 if moments == "means" else 2)
    if isinstance(made, Refused):
        return made
    smallest = int(np.bincount(data.treatment.codes).min())
    if moments == "interactions":
        made = _with_products(made)
    if made.matrix.shape[1] + 1 >= smallest:
        return Refused(
            "more_features_than_rows", f"There are {made.matrix.shape[1]} moments to balance and {smallest:,} rows in "
            "the smallest arm.", {"columns": made.matrix.shape[1], "smallest_arm": smallest},
            "Use moments='means' or fewer controls.",
        )
    return made


def _with_products(made: Features) -> Features:
    """Products of two columns of different controls added, those that follow from others left out."""
    plain = [j for j, label in enumerate(made.labels) if "^" not in label[len(made.sources[j]):]]
    pairs = [(i, j) for k, i in enumerate(plain) for j in plain[k + 1:] if made.sources[i] != made.sources[j]]
    products = [made.matrix[:, i] * made.matrix[:, j] for i, j in pairs]
    matrix = np.column_stack([made.matrix, *products])
    labels = (*made.labels, *(f"{made.labels[i]} x {made.labels[j]}" for i, j in pairs))
    sources = (*made.sources, *(made.sources[i] for i, _ in pairs))
    keep = independent(matrix)
    return Features(
        matrix[:, keep], tuple(label for label, k in zip(labels, keep, strict=True) if k),
        tuple(source for source, k in zip(sources, keep, strict=True) if k),
        (*made.dropped, *(label for label, k in zip(labels, keep, strict=True) if not k)),
    )


def _arm(
    data: Prepared, made: Features, aim: int, arm: int
) -> tuple[float, np.ndarray, dict[str, Any]] | Refused:
    """Mean of ``arm`` over the people asked about (for the ATT, arm ``aim``), its influence values (n,), and what the
    weights rest on."""
    target = target_weights(data, aim)
    aimed = target @ made.matrix / data.n
    away = made.matrix - aimed
    scale = np.sqrt(data.w @ (made.matrix - data.w @ made.matrix / data.n) ** 2 / data.n)
    away = away / np.where(scale > 0, scale, 1.0)
    inside = data.treatment.codes == arm
    asked = {"ATT": aim, "ATC": 0}.get(data.spec.quantity)
    before = data.w[inside] @ away[inside] / data.w[inside].sum()
    if asked == arm:  # its own mean: nothing to balance
        found = Balanced(data.w[inside] / data.w[inside].mean(), 0)
    else:
        found = balance(away[inside], data.w[inside])
    if found.problem is not None:
        return _infeasible(data, made, away[inside], before, arm, found)
    v = np.zeros(data.n)
    v[inside] = found.weights * data.n / inside.sum()
    mean = float(v @ data.outcome) / data.n
    psi = _influence(data, away, v, target, mean, balanced=asked != arm)
    after = v @ away / data.n
    seen = {
        "rows": int(inside.sum()), "effective_size": effective_size(v[inside]), "iterations": found.iterations,
        "largest_weight_share": float(v.max() / v.sum()),
        "largest_imbalance_before": float(np.abs(before).max(initial=0.0)),
        "largest_imbalance_after": float(np.abs(after).max(initial=0.0)),
    }
    return mean, psi, seen


def _influence(
    data: Prepared, away: np.ndarray, v: np.ndarray, target: np.ndarray, mean: float, balanced: bool
) -> np.ndarray:
    """Influence values (n,) of a weighted mean; ``balanced`` when its weights were found by balancing."""
    own = v * (data.outcome - mean)
    if not balanced or not away.shape[1]:
        return own
    moment = (away * v[:, None]).T @ away / data.n
    beta = np.linalg.pinv(moment, hermitian=True) @ (away.T @ own) / data.n
    leverage = v / data.n * (1 + np.einsum("ij,ij->i", away @ np.linalg.pinv(moment, hermitian=True), away))
    fitted = away @ beta
    room = 1.0 if data.clusters is not None else np.sqrt(1 - np.minimum(leverage, FULL_LEVERAGE))
    return (own - v * fitted) / room + target * fitted


def balance(away: np.ndarray, base: np.ndarray) -> Balanced:
    """Weights closest to ``base`` (n,) in relative entropy under which the mean of every column of ``away`` is zero.

    away: (n, k), columns of about unit scale. Newton on the dual, log sum q exp(away lambda) with q the base
    weights as shares, by halving. Its minimum is minus the entropy distance of the weights found, never below
    log min q; a value below that proves that no weights balance.
    """
    n, k = away.shape
    q = base / base.sum()
    floor = float(np.log(q.min())) - 1e-9
    lam, eta = np.zeros(k), np.zeros(n)
    value, p, step = 0.0, q, 0
    for step in range(ITERATIONS + 1):
        gradient = p @ away
        if np.abs(gradient).max(initial=0.0) < BALANCED:
            return Balanced(p * n, step)
        hessian = (away * p[:, None]).T @ away - np.outer(gradient, gradient)
        move = -np.linalg.lstsq(hessian, gradient, rcond=1e-13)[0]
        size = 1.0
        while size > 1e-8:
            trial = eta + size * (away @ move)
            trial_value, trial_p = _log_mean(q, trial)
            if trial_value <= value + 1e-4 * size * float(gradient @ move):
                break
            size /= 2
        else:
            break
        lam, eta, value, p = lam + size * move, trial, trial_value, trial_p
        if value < floor:
            return Balanced(p * n, step, "infeasible")
    if np.abs(p @ away).max(initial=0.0) < 100 * BALANCED:
        return Balanced(p * n, step)
    return Balanced(p * n, step, "no_convergence")


def _log_mean(q: np.ndarray, eta: np.ndarray) -> tuple[float, np.ndarray]:
    """log sum q exp(eta) and the shares q exp(eta) / sum."""
    top = float(eta.max())
    raised = q * np.exp(eta - top)
    total = float(raised.sum())
    return top + float(np.log(total)), raised / total


def _infeasible(
    data: Prepared, made: Features, away: np.ndarray, before: np.ndarray, arm: int, found: Balanced
) -> Refused:
    """No weights of this arm give the moments asked for; the moments beyond its own range by themselves are named."""
    t = data.treatment
    beyond = [made.labels[j] for j in range(away.shape[1]) if away[:, j].min() >= 0 or away[:, j].max() <= 0]
    whom = {"ATT": "the treated", "ATC": "the controls"}.get(data.spec.quantity, "everyone")
    named = (f": {', '.join(beyond[:3])} lies beyond all of them" if beyond
             else ", although each moment by itself could be met")
    left = found.weights @ away / len(away)
    return Refused(
        "balance_infeasible", f"No weights of the {len(away):,} rows with {t.name} = {t.arms[arm]} give the moments of "
        f"{whom}{named}.",
        {"arm": t.arms[arm], "moments": made.matrix.shape[1], "beyond": beyond[:10], "proved": found.problem ==
         "infeasible", "largest_imbalance_before": float(np.abs(before).max()),
         "largest_imbalance_left": float(np.abs(left).max())},
        "Ask about a narrower population, use moments='means' or fewer controls, or merge rare levels.",
    )


def _handful(data: Prepared, seen: dict[str, dict[str, Any]]) -> Refused | None:
    for arm, s in seen.items():
        if s["effective_size"] < FEWEST and s["rows"] >= 25:
            return Refused(
                "no_overlap", f"The {s['rows']:,} rows with {data.treatment.name} = {arm} weigh like "
                f"{s['effective_size']:.1f} once they balance: the answer would hang on a handful of people.", seen,
                "Ask about a narrower population, use moments='means', or leave out controls that only decide the "
                "treatment.",
            )
    return None


def _weak(data: Prepared, balance_by: dict[str, dict[str, dict[str, Any]]]) -> tuple[Remark, ...]:
    remarks = []
    for label, arms in balance_by.items():
        for arm, s in arms.items():
            if s["effective_size"] < WARNED_PART * s["rows"]:
                remarks.append(Remark(
                    "weak_overlap", f"{label}: the {s['rows']:,} rows with {data.treatment.name} = {arm} weigh like "
                    f"{s['effective_size']:,.0f} once they balance.", (data.treatment.name,), s,
                ))
    return tuple(remarks)
