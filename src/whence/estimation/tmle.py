"""Targeted maximum likelihood: predicted outcomes moved just enough that their average is right for the effect."""

from __future__ import annotations

from typing import Any

import numpy as np

from whence.core.card import Card
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused
from whence.estimation.aipw import elements
from whence.estimation.inference import Answer
from whence.estimation.interactive import (
    CLIP,
    N_FOLDS,
    N_SPLITS,
    OUTCOME_LEARNER,
    TREATMENT_LEARNER,
    Nuisances,
    combined,
    interactive,
)
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared
from whence.estimation.sensitivity_elements import median_elements

EDGE = 5e-4  # predictions, on the scale from 0 to 1, are kept this far off its ends
FARTHEST = 40.0  # a shift of the log odds beyond this changes nothing
STEPS = 100

CARD = Card(
    name="tmle",
    task="estimation",
    title="Targeted maximum likelihood, cross-fitted",
    summary="Predicts the outcome in each arm, shifts the predictions so that those of the arm are right on average "
    "when weighted to everybody, and averages them; never leaves the range of the outcome.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=(
        "Among people alike in the controls, who was treated has nothing else to do with the outcome.",
        "People of every kind in the controls could have been in either arm.",
        "The learners come close enough to the outcome and propensity functions (their errors multiply).",
    ),
    parameters=(OUTCOME_LEARNER, TREATMENT_LEARNER, N_FOLDS, N_SPLITS, CLIP, LEVEL),
    output="Effect",
    cost="As aipw, whose fits it shares: n_splits x n_folds x (arms + 1) fits of each learner.",
    citations=(
        "van der Laan and Rubin (2006), Targeted maximum likelihood learning, International J. of Biostatistics 2",
        "Gruber and van der Laan (2010), A targeted maximum likelihood estimator of a causal effect on a bounded "
        "continuous outcome, International J. of Biostatistics 6",
        "Zheng and van der Laan (2011), Cross-validated targeted minimum-loss-based estimation, in Targeted Learning",
    ),
    function="whence.estimation.tmle:tmle",
)


def tmle(
    data: Prepared, *, outcome_learner: Any = "auto", treatment_learner: Any = "auto", n_folds: int = 5,
    n_splits: int | None = None, clip: float = 0.01, level: float = 0.95, seed: int = 0, progress: Progress = SILENT,
) -> Answer | Refused:
    """Cross-validated TMLE of the ATE, ATT or ATC for treatments with two or more arms.

    The outcome is scaled to [0, 1] by its smallest and largest value seen. With Q_b the predicted outcome in arm b and
    e_b its chance, from other folds, the fluctuation is logit Q_b* = logit Q_b + epsilon_b, where epsilon_b makes the
    residuals of arm b average to zero under the clever covariate as weights: 1 / e_b for the ATE, e_a / e_b for what
    the people in arm a would have had in arm b. All folds share one epsilon. The effect is the mean of Q_a* - Q_0*
    over the people asked about (ATT, ATC: of their own outcome less Q*); its influence values are those of AIPW at
    Q*. Chances below ``clip`` are raised to it, and how many is said.

    Refused: those of ``interactive``.
    """
    made = interactive(data, outcome_learner, treatment_learner, n_folds, n_splits, clip, seed, progress)
    if isinstance(made, Refused):
        return made
    data = made.data
    scored, shifts = [], []
    for run in made.runs:
        pairs = [_targeted(data, run, arm) for arm in range(1, len(data.treatment.arms))]
        scored.append((np.array([p[0] for p in pairs]), np.column_stack([p[1] for p in pairs])))
        shifts.append(pairs[0][2])
    estimates, influence, by_split = combined(data, scored)
    diagnostics: dict[str, Any] = {**made.diagnostics, **by_split, "shifts": shifts}
    if data.spec.quantity == "ATE" and len(data.treatment.arms) == 2:
        diagnostics["omitted_variable"] = median_elements(
            [elements(data, run, psi[:, 0]) for run, (_, psi) in zip(made.runs, scored, strict=True)])
    return Answer(data, estimates=estimates, influence=influence, remarks=made.remarks,
                  propensity=made.propensity[:, 1], diagnostics=diagnostics, common=data.spec.quantity == "ATE")


def _targeted(data: Prepared, run: Nuisances, arm: int) -> tuple[float, np.ndarray, dict[str, float]]:
    """Estimate, influence values (n,) and shifts of ``arm`` against arm 0, for one split."""
    quantity, codes, w = data.spec.quantity, data.treatment.codes, data.w
    low, high = float(data.outcome.min()), float(data.outcome.max())
    y = (data.outcome - low) / (high - low)
    # Whose mean it is (everybody's or one arm's), and which arms' predictions it takes.
    about = {"ATE": np.ones(data.n), "ATT": codes == arm, "ATC": codes == 0}[quantity].astype(float)
    predicted = {"ATE": (arm, 0), "ATT": (0,), "ATC": (arm,)}[quantity]
    size = float(w @ about) / data.n
    level, psi, shifts = np.zeros(data.n), np.zeros(data.n), {}
    for b in predicted:
        asked = {"ATE": np.ones(data.n), "ATT": run.propensity[:, arm], "ATC": run.propensity[:, 0]}[quantity]
        weight = np.where(codes == b, asked / run.propensity[:, b], 0.0)
        sign = 1.0 if b == arm else -1.0
        q, shifts[data.treatment.arms[b]] = fluctuate((run.outcome[:, b] - low) / (high - low), y, w * weight)
        level += sign * q
        psi += sign * weight * (y - q)
    if quantity != "ATE":
        level += y if quantity == "ATT" else -y
    estimate = float(w @ (about * level)) / data.n / size
    influence = w * (about * (level - estimate) + psi) / size
    return estimate * (high - low), influence * (high - low), shifts


def fluctuate(predicted: np.ndarray, outcome: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, float]:
    """Predictions (n,) shifted on the log odds so that sum weights (outcome - prediction) = 0, and the shift.

    predicted, outcome: (n,), on [0, 1]. weights: (n,), not negative, some positive. Newton's method kept inside a
    bracket that shrinks: the sum falls as the shift grows.
    """
    from scipy.special import expit, logit

    start = logit(np.clip(predicted, EDGE, 1 - EDGE))
    use = weights > 0
    at, y, w = start[use], outcome[use], weights[use] / weights[use].sum()
    low, high, shift = -FARTHEST, FARTHEST, 0.0
    for _ in range(STEPS):
        q = expit(at + shift)
        gap = float(w @ (y - q))
        low, high = (shift, high) if gap > 0 else (low, shift)
        slope = float(w @ (q * (1 - q)))
        new = shift + gap / slope if slope > 0 else np.inf
        new = new if low < new < high else (low + high) / 2
        if abs(new - shift) < 1e-13 * max(1.0, abs(shift)) or gap == 0:
            break
        shift = new
    return expit(start + shift), shift
