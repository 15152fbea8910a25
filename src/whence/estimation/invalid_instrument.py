"""The average effect with an instrument that affects the outcome itself: by how much it makes the treatment vary."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.estimation.crossfit import CrossFitter
from whence.estimation.effect import summarise
from whence.estimation.inference import Answer
from whence.estimation.interactive import (
    CLIP,
    N_FOLDS,
    N_SPLITS,
    OUTCOME_LEARNER,
    SMALLEST_ARM,
    TREATMENT_LEARNER,
    chosen_learners,
    classifiers,
    combined,
    default_splits,
    designs_for,
    engine_of,
    most_folds,
    outcome_classifies,
    predicted_outcome,
)
from whence.estimation.iv import STRONG
from whence.estimation.late import binary_instrument
from whence.estimation.overlap import require_overlap
from whence.estimation.parameters import LEVEL
from whence.estimation.partially_linear import several_arms
from whence.estimation.prepare import Prepared, require_arms
from whence.estimation.regression import dropped_controls
from whence.stats.features import Features
from whence.stats.learners import Learner
from whence.stats.regress import covariance_matrix
from whence.stats.resample import folds

FEWEST_F = 10.0  # of the instrument's effect on the treatment's variance
ONE_SIDED, NEARLY_ONE_SIDED = 0.05, 0.15  # an arm's variance of the treatment, as a part of its variance overall
REFUSED_SHARE, WARNED_SHARE = 0.5, 0.05  # of rows whose difference of variances is raised

CARD = Card(
    name="invalid_instrument",
    task="estimation",
    title="Average effect with an instrument that has an effect of its own",
    summary="Compares how treatment and outcome vary together at both values of the instrument with how much the "
    "treatment varies there; what the instrument does to the outcome by itself drops out.",
    data_kinds=("binary", "categorical", "ordinal", "count", "continuous"),
    assumptions=(
        "Given the controls, the instrument is as good as chosen by chance; it may affect the outcome by itself.",
        "Given the controls, the effect of the treatment is the same whatever is hidden and whatever the instrument "
        "says, and the instrument's own effect is the same whatever is hidden.",
        "What is hidden adds to the treatment alike at both values of the instrument, which also means that the "
        "treatment varies at both.",
        "The instrument changes how much the treatment varies, among people of every kind in the controls.",
        "The learners come close enough to outcome, treatment and instrument given the controls.",
    ),
    parameters=(
        OUTCOME_LEARNER, TREATMENT_LEARNER, N_FOLDS, N_SPLITS, CLIP,
        Parameter("least_change", "float", 0.1, "Smallest difference between the treatment's variances at the two "
                  "values of the instrument that is divided by, as a part of the treatment's variance; smaller ones "
                  "are raised to it.", 0.0, 0.5, open_ends=True),
        LEVEL,
    ),
    output="Effect",
    cost="n_splits x n_folds x 7 fits of the learners (9 for a dose).",
    citations=(
        "Tchetgen Tchetgen, Sun and Walter (2021), The GENIUS approach to robust Mendelian randomization inference, "
        "Statistical Science 36",
        "Sun, Cui and Tchetgen Tchetgen (2022), Selective machine learning of the average treatment effect with an "
        "invalid instrumental variable, Journal of Machine Learning Research 23",
        "Lewbel (2012), Using heteroscedasticity to identify and estimate mismeasured and endogenous regressor models, "
        "Journal of Business and Economic Statistics 30",
    ),
    function="whence.estimation.invalid_instrument:invalid_instrument",
    strategies=("iv",),
    quantities=("ATE",),
    relaxes=True,
)


@dataclass(frozen=True)
class _Nuisances:
    """Of one split, out of fold; columns: the instrument's two values. chance: (n,), of its second value. outcome,
    treatment: (n, 2), means. together, variance: (n, 2), covariance of treatment and outcome, variance of treatment."""

    chance: np.ndarray
    outcome: np.ndarray
    treatment: np.ndarray
    together: np.ndarray
    variance: np.ndarray


def invalid_instrument(
    data: Prepared, *, outcome_learner: Any = "auto", treatment_learner: Any = "auto", n_folds: int = 5,
    n_splits: int | None = None, clip: float = 0.01, least_change: float = 0.1, level: float = 0.95, seed: int = 0,
    progress: Progress = SILENT,
) -> Answer | Refused:
    """Cross-fitted estimate of E[beta(X)], beta(x) = (c_1 - c_0) / (v_1 - v_0), for an instrument z of two values.

    With c_z(x) = Cov(A, Y | z, x), v_z(x) = Var(A | z, x), residuals a = A - E[A | z, x] and r = Y - E[Y | z, x], the
    chance f of the row's own z and omega = c_z - beta v_z (the same for both z), the score is

        (2 z - 1) / (f (v_1 - v_0)) * (a r - beta a^2 - omega) + beta

    (the influence function of the additive model of Sun, Cui and Tchetgen Tchetgen 2022). All functions of x are
    learned on other folds; |v_1 - v_0| is kept from zero. The instrument's own effect on the outcome comes with it.

    Refused: ``several_arms``, ``several_instruments``, ``instrument_not_binary``, ``instrument_constant``,
    ``small_arm``, ``more_features_than_rows``, ``too_few_clusters``, ``no_overlap``, ``one_sided_uptake`` (no variance
    of the treatment at one value of the instrument), ``weak_heteroscedasticity``.
    """
    if len(data.treatment.arms) > 2:
        return several_arms(data)
    coded = binary_instrument(data)
    if isinstance(coded, Refused):
        return coded
    by = require_arms(dataclasses.replace(data, treatment=coded, spec=data.spec.replace(quantity="ATE")), SMALLEST_ARM)
    if isinstance(by, Refused):
        return by
    refused = _one_sided(data, coded.codes)
    if refused is not None:
        return refused
    designs = designs_for(data, outcome_learner, treatment_learner)
    if isinstance(designs, Refused):
        return designs
    n_folds = min(n_folds, most_folds(by, coded.codes))
    if n_folds < 2:
        return Refused("too_few_clusters", "One value of the instrument lies in a single cluster, so it cannot be "
                       "predicted from others.", {"clusters": data.n_clusters}, "Use a finer cluster column.")
    runs = _runs(by, data.treatment.values / data.treatment.step, designs, (outcome_learner, treatment_learner),
                 n_folds, n_splits or default_splits(data.n), seed, progress)
    return _answer(data, by, designs[1], runs, clip, least_change, level)


def _one_sided(data: Prepared, z: np.ndarray) -> Refused | None:
    """Why an arm of the instrument without variance in the treatment makes the estimate meaningless."""
    spread = _spreads(data, z)
    name, instrument = data.treatment.name, data.spec.instruments[0]
    if min(spread) > ONE_SIDED:
        return None
    arm = int(np.argmin(spread))
    return Refused(
        "one_sided_uptake", f"At one value of {instrument!r} the treatment {name!r} hardly varies ({spread[arm]:.1%} "
        "of its variance). What is hidden would then move the treatment at one value of the instrument only, which "
        "this method takes not to be so: it would compare treated and untreated at the other, confounded as they are.",
        {"variance_by_instrument": spread, "limit": ONE_SIDED},
        "If the instrument affects the outcome only through the treatment, use method='late' or 'iv'.",
    )


def _spreads(data: Prepared, z: np.ndarray) -> list[float]:
    """The treatment's variance at each value of the instrument, as a part of its variance overall."""
    a, w = data.treatment.values, data.w

    def variance(inside: np.ndarray) -> float:
        mean = np.average(a[inside], weights=w[inside])
        return float(np.average((a[inside] - mean) ** 2, weights=w[inside]))

    whole = variance(np.ones(data.n, dtype=bool))
    return [variance(z == arm) / whole for arm in (0, 1)]


def _runs(
    by: Prepared, a: np.ndarray, designs: dict[int, Features], given: tuple[Any, Any], n_folds: int, n_splits: int,
    seed: int, progress: Progress,
) -> list[_Nuisances]:
    rows = int((1 - 1 / n_folds) * int(np.bincount(by.treatment.codes).min()))
    for_outcome, for_treatment = (chosen_learners(designs, learner, rows) for learner in given)
    numbers = for_outcome if all(m.numbers is not None for m in for_outcome) else chosen_learners(
        designs, "linear", rows)
    taken = dataclasses.replace(by, outcome=a)
    plan = (for_outcome, for_treatment, numbers, outcome_classifies(by, for_outcome),
            outcome_classifies(taken, for_treatment))
    progress.begin("cross-fitting", n_splits * n_folds * (4 * len(for_outcome) + 5 * len(for_treatment)))
    try:
        return [_run(by, a, engine_of(by, designs, folds(n_folds, by.treatment.codes, by.clusters, seed, split), seed,
                                      progress), plan) for split in range(n_splits)]
    finally:
        progress.end()


def _run(by: Prepared, a: np.ndarray, engine: CrossFitter, plan: tuple) -> _Nuisances:
    for_outcome, for_treatment, numbers, classify, two = plan
    z = by.treatment.codes

    def mean(learners: tuple[Learner, ...], target: np.ndarray, classes: bool, arm: int) -> np.ndarray:
        if engine.designs[1].shape[1]:
            return predicted_outcome(engine, target, learners, classes, z == arm).predictions
        return _fold_means(engine, target, z == arm)

    if engine.designs[1].shape[1]:
        chance = engine.fit(classifiers(for_treatment), z, classes=2).predictions[:, 1]
    else:
        chance = _fold_means(engine, z.astype(float), np.ones(by.n, dtype=bool))
    outcome = np.column_stack([mean(for_outcome, by.outcome, classify, arm) for arm in (0, 1)])
    treatment = np.column_stack([mean(for_treatment, a, two, arm) for arm in (0, 1)])
    # The targets below are products of out-of-fold residuals; what a fold's rows add to them is of second order.
    left, rest = (a[:, None] - treatment), (by.outcome[:, None] - outcome)
    together = np.column_stack([mean(numbers, left[:, arm] * rest[:, arm], False, arm) for arm in (0, 1)])
    if np.isin(a, (0.0, 1.0)).all():
        variance = treatment * (1 - treatment)
    else:
        variance = np.column_stack([np.maximum(mean(numbers, left[:, arm] ** 2, False, arm), 0.0) for arm in (0, 1)])
    return _Nuisances(chance, outcome, treatment, together, variance)


def _fold_means(engine: CrossFitter, target: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Without controls: the weighted mean on the rows of ``train`` outside each fold."""
    out = np.empty(len(target))
    for fold in range(engine.count):
        rows = train & (engine.folds != fold)
        out[engine.folds == fold] = np.average(target[rows], weights=engine.weights[rows])
    return out


@dataclass(frozen=True)
class _Scored:
    """Of one split: estimate and influence (n,) of the treatment's effect, of the instrument's own and of what it does
    to the treatment's variance (columns of (n, 3)). raised: boolean (n,), rows whose change of variance was raised."""

    estimates: np.ndarray
    influence: np.ndarray
    raised: np.ndarray


def _scored(by: Prepared, a: np.ndarray, run: _Nuisances, clip: float, least: float) -> _Scored:
    z, rows = by.treatment.codes, np.arange(by.n)
    f = np.clip(run.chance, clip, 1 - clip)
    own = np.where(z == 1, 1 / f, -1 / (1 - f))  # (2 z - 1) / f(z | x)
    change = run.variance[:, 1] - run.variance[:, 0]
    raised = np.abs(change) < least
    side = 1.0 if float(by.w @ change) >= 0 else -1.0
    bounded = np.where(raised, side * least, change)
    beta = (run.together[:, 1] - run.together[:, 0]) / bounded
    apart = run.together - beta[:, None] * run.variance
    omega = (1 - f) * apart[:, 1] + f * apart[:, 0]  # the same for both values, but for what was raised
    left, rest = a - run.treatment[rows, z], by.outcome - run.outcome[rows, z]
    push = own / bounded * (left * rest - beta * left**2 - omega)
    taken, given = (m[:, 1] - m[:, 0] for m in (run.treatment, run.outcome))
    direct = given + own * rest - beta * (taken + own * left) - taken * push
    spread = change + own * (left**2 - run.variance[rows, z])
    scores = by.w[:, None] * np.column_stack([push + beta, direct, spread])
    estimates = scores.mean(axis=0)
    return _Scored(estimates, scores - by.w[:, None] * estimates, raised)


def _answer(
    data: Prepared, by: Prepared, controls: Features, runs: list[_Nuisances], clip: float, least_change: float,
    level: float,
) -> Answer | Refused:
    chance = np.median([run.chance for run in runs], axis=0)
    overlap = require_overlap(by, np.column_stack([1 - chance, chance]), clip)
    name = data.spec.instruments[0]
    if isinstance(overlap, Refused):
        return Refused(overlap.code, f"Of the instrument {name!r}: {overlap.reason}", overlap.evidence,
                       "Ask about a narrower population, or leave out controls that only decide the instrument.")
    a = data.treatment.values / data.treatment.step
    whole = float(data.w @ (a - data.w @ a / data.n) ** 2) / data.n
    found = [_scored(by, a, run, clip, least_change * whole) for run in runs]
    share = float(np.mean([data.w @ s.raised / data.n for s in found]))
    estimates, influence, _ = combined(data, [(s.estimates, s.influence) for s in found])
    errors = np.sqrt(np.diagonal(covariance_matrix(influence, data.clusters)))
    strength = float((estimates[2] / errors[2]) ** 2) if errors[2] > 0 else np.inf
    evidence = {"f": strength, "change_of_variance": float(estimates[2]), "share_raised": share,
                "variance_by_instrument": _spreads(data, by.treatment.codes)}
    if strength < FEWEST_F or share > REFUSED_SHARE:
        return Refused(
            "weak_heteroscedasticity", f"The data do not show well enough that {name!r} changes how much "
            f"{data.treatment.name!r} varies (F {strength:.1f}; for {share:.0%} of the rows the change is too small to "
            "divide by), and only that could tell the effect.", evidence,
            "More rows are needed, or an instrument that spreads or narrows the treatment more.")
    _, _, by_split = combined(data, [(s.estimates[:1], s.influence[:, :1]) for s in found])
    own = summarise(float(estimates[1]), float(errors[1]), level,
                    None if data.n_clusters is None else data.n_clusters - 1.0)
    remarks = [*overlap[1], *_remarks(data, evidence, float(estimates[1]), own[0])]
    if controls.dropped:
        remarks.append(dropped_controls(controls))
    return Answer(data, estimates[:1], influence[:, :1], remarks=tuple(remarks), diagnostics={
        **by_split, "n_splits": len(runs), "heteroscedasticity": evidence, "own_effect": {
            "estimate": float(estimates[1]), "standard_error": float(errors[1]), "interval": list(own[0]),
            "p_value": own[1]}})


def _remarks(data: Prepared, found: dict[str, Any], own: float, ends: tuple[float, float]) -> list[Remark]:
    name, treatment, outcome = data.spec.instruments[0], data.treatment.name, data.spec.outcome
    said = [Remark(
        "own_effect", f"By itself, and not through {treatment}, {name} moves {outcome} by {own:.3g} (interval "
        f"{ends[0]:.3g} to {ends[1]:.3g}); methods for valid instruments take that to be zero.", (name,),
        {"estimate": own, "interval": list(ends)})]
    if found["f"] < STRONG:
        said.append(Remark("weak_heteroscedasticity", f"{name} changes the variance of {treatment} only weakly (F "
                           f"{found['f']:.1f}, below {STRONG}); the interval may be too short.", (name,), dict(found)))
    if found["share_raised"] > WARNED_SHARE:
        said.append(Remark("change_raised", f"For {found['share_raised']:.0%} of the rows {name} changes the variance "
                           f"of {treatment} so little that a larger change was divided by; their part of the answer "
                           "leans towards zero.", (name,), dict(found)))
    if min(found["variance_by_instrument"]) < NEARLY_ONE_SIDED:
        said.append(Remark("nearly_one_sided", f"At one value of {name} {treatment} varies little, which leaves little "
                           "room there for hidden causes; the assumption that they add alike at both values is then "
                           "strong.", (name,), dict(found)))
    return said
