"""The partially linear model with instruments, by double machine learning: controls in any shape, one slope."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.core.card import Card
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.estimation.anderson_rubin import anderson_rubin
from whence.estimation.inference import Answer
from whence.estimation.interactive import N_FOLDS, N_SPLITS, combined
from whence.estimation.iv import STRONG
from whence.estimation.parameters import LEVEL
from whence.estimation.partialled import Partialled, effective_f
from whence.estimation.partially_linear import (
    EXPLAINED,
    OUTCOME_LEARNER,
    TREATMENT_LEARNER,
    Residuals,
    Run,
    residuals,
    several_arms,
)
from whence.estimation.prepare import Prepared
from whence.stats.features import features, independent

CARD = Card(
    name="partially_linear_iv",
    task="estimation",
    title="Partially linear model with instruments, by double machine learning",
    summary="Takes out of outcome, treatment and instruments what the controls predict, by any learner, and compares "
    "what is left of outcome and treatment along what is left of the instruments.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=(
        "Given the controls, the instruments are as good as chosen by chance, and they affect the outcome only through "
        "the treatment.",
        "The effect is linear in the treatment and the same for everybody; if it is not, the answer is an average over "
        "those whose treatment the instruments move.",
        "The learners come close enough to outcome, treatment and instruments given the controls.",
    ),
    parameters=(OUTCOME_LEARNER, TREATMENT_LEARNER, N_FOLDS, N_SPLITS, LEVEL),
    output="Effect",
    cost="n_splits x n_folds x (2 + instruments) fits of each learner.",
    citations=(
        "Chernozhukov et al. (2018), Double/debiased machine learning, Econometrics Journal 21 (section 4.2)",
        "Anderson and Rubin (1949), Estimation of the parameters of a single equation in a complete system of "
        "stochastic equations, Annals of Mathematical Statistics 20",
    ),
    function="whence.estimation.partially_linear_iv:partially_linear_iv",
    strategies=("iv",),
    quantities=("ATE", "LATE"),
)


def partially_linear_iv(
    data: Prepared, *, outcome_learner: Any = "auto", treatment_learner: Any = "auto", n_folds: int = 5,
    n_splits: int | None = None, level: float = 0.95, seed: int = 0, progress: Progress = SILENT,
) -> Answer | Refused:
    """Two-stage least squares of the outcome on the treatment, all less their cross-fitted predictions.

    With u, v and z what the controls leave of outcome, treatment and instruments, the score is (u - theta v) z
    (Chernozhukov et al. 2018, eq. 4.8; several z are weighed by the first stage). Errors are robust or by cluster.
    Below an effective F of 23.1 the interval is that of Anderson and Rubin, the median of its ends over splits.

    Refused: ``several_arms``, ``weak_instrument``, ``instrument_is_control`` and those of ``partially_linear``.
    """
    t = data.treatment
    if len(t.arms) > 2:
        return several_arms(data)
    coded = features(data.table, data.spec.instruments, data.rows, 1)
    if isinstance(coded, Refused):
        return coded
    parts = {t.name: t.values} | dict(zip(coded.labels, coded.matrix.T, strict=True))
    made = residuals(data, parts, outcome_learner, treatment_learner, n_folds, n_splits, seed, progress)
    if isinstance(made, Refused):
        return made
    stages = [_stage(data, run, level) for run in made.runs]
    found = [stage for stage in stages if stage is not None]
    if len(found) < len(stages):
        names = ", ".join(data.spec.instruments)
        return Refused("instrument_is_control", f"The controls explain the instruments ({names}) completely.",
                       {"instruments": list(data.spec.instruments)}, "Leave out the controls that determine them.")
    strength = float(np.median([s.strength for s in found]))
    if np.median([s.ends is None for s in found]) > 0:
        return weak_instrument(data, strength)
    return _answer(data, made, found, strength)


@dataclass(frozen=True)
class _Stage:
    """One split: estimate, influence (n,), effective F, ends of the Anderson-Rubin interval (None: no end), its
    p-value of no effect, and the least-squares slope."""

    estimate: float
    influence: np.ndarray
    strength: float
    ends: tuple[float, float] | None
    p_value: float
    least_squares: float


def _stage(data: Prepared, run: Run, level: float) -> _Stage | None:
    root = np.sqrt(data.w)
    y, d = root * run.outcome, root * run.others[:, 0] / data.treatment.step
    z = root[:, None] * run.others[:, 1:][:, np.array(run.left[1:]) > EXPLAINED]
    z = z[:, independent(z, intercept=False)] if z.shape[1] else z
    if not z.shape[1]:
        return None
    made = Partialled(y, d, z / np.sqrt((z**2).mean(axis=0)), np.empty((data.n, 0)), data.clusters)
    q = np.linalg.qr(made.instruments)[0]
    fitted = q @ (q.T @ d)
    slope = float(fitted @ d) / data.n
    estimate = float(fitted @ y) / data.n / slope
    ar = anderson_rubin(made, level)
    ends = None if ar.unbounded else ar.interval or (estimate, estimate)
    return _Stage(estimate, fitted * (y - estimate * d) / slope, effective_f(made), ends, ar.p_value,
                  float(d @ y / (d @ d)))


def weak_instrument(data: Prepared, strength: float) -> Refused:
    """Effects of any size agree with the data."""
    names = ", ".join(data.spec.instruments)
    return Refused(
        "weak_instrument", f"The data do not show that {names} moves {data.treatment.name!r} (F {strength:.2f}): "
        "effects of any size agree with them.", {"effective_f": strength, "instruments": list(data.spec.instruments)},
        "More rows, or an instrument that moves the treatment more, are needed.",
    )


def _answer(data: Prepared, made: Residuals, found: list[_Stage], strength: float) -> Answer:
    estimates, influence, by_split = combined(data, [(np.array([s.estimate]), s.influence[:, None]) for s in found])
    low, high = (float(np.median([s.ends[side] for s in found if s.ends is not None])) for side in (0, 1))
    p_value = float(np.median([s.p_value for s in found]))
    slope = float(np.median([s.least_squares for s in found]))
    weak = strength < STRONG
    remarks = made.remarks
    if weak:
        remarks += (Remark(
            "weak_instruments", f"The instruments are weak: effective F {strength:.1f}, below {STRONG}; the estimate "
            f"leans towards plain regression ({slope:.4g}). The interval is that of Anderson and Rubin, which is right "
            "for weak instruments too.", data.spec.instruments, {"effective_f": strength, "strong": STRONG}),)
    remarks += local_effect(data)
    return Answer(
        data, estimates, influence, remarks=remarks, interval=(low, high) if weak else None,
        p_value=p_value if weak else None, diagnostics=by_split | {
            "n_folds": made.n_folds, "n_splits": len(made.runs), "learned": made.runs[0].learned,
            "effective_f": strength, "least_squares": slope, "anderson_rubin": [low, high],
            "anderson_rubin_p": p_value, "controls_dropped": list(made.dropped[:60]),
        })


def local_effect(data: Prepared) -> tuple[Remark, ...]:
    """Said when everybody's effect was asked for."""
    if data.spec.quantity != "ATE":
        return ()
    name = data.treatment.name
    return (Remark("local_effect", f"The effect is that of those whose {name} the instruments move (LATE); it is "
                   "everybody's only if the effect is the same for all.", (name,)),)
