"""Cross-fitted nuisances and scores of natural and controlled effects."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from whence.core.progress import Progress
from whence.core.result import Refused
from whence.estimation.crossfit import CrossFitter
from whence.estimation.interactive import (
    chosen_learners,
    classifiers,
    designs_for,
    engine_of,
    outcome_classifies,
    predicted_outcome,
)
from whence.estimation.mediation_levels import Level
from whence.estimation.prepare import Prepared
from whence.stats.features import Features
from whence.stats.learners import Learner
from whence.stats.resample import folds


@dataclass(frozen=True)
class Plan:
    """The designs (by degree) of the controls, and of mediators and controls together, with the learners on each.

    natural: whether natural effects are wanted. levels: for the controlled ones.
    """

    whole: Prepared
    controls: dict[int, Features]
    both: dict[int, Features]
    outcome: tuple[Learner, ...]
    outcome_given: tuple[Learner, ...]
    classify: bool
    treatment: tuple[Learner, ...]
    treatment_given: tuple[Learner, ...]
    through: tuple[Learner, ...]
    natural: bool
    levels: tuple[Level, ...]

    @property
    def fits(self) -> int:
        """Fits of one fold."""
        natural = 2 * len(self.outcome) + 2 * len(self.outcome_given) + 2 * len(self.through) \
            + len(self.treatment) + len(self.treatment_given)
        return natural * self.natural + len(self.levels) * (len(self.treatment) + 2 * len(self.outcome))


@dataclass(frozen=True)
class Controlled:
    """With the mediators at one level. outcome: (n, 2), E[Y | b, level, C]. chance: (n, 2), P(b, level | C)."""

    outcome: np.ndarray
    chance: np.ndarray


@dataclass(frozen=True)
class Natural:
    """Out of fold, for the two arms compared. alone: (n, 2), E[Y | b, C]. outcome: (n, 2), E[Y | a, M, C]. share: (n,
    arms), P(b | C). given: (n, arms), P(b | M, C). through: (n, 2), E[ E[Y | 1 - b, M, C] | b, C ]."""

    alone: np.ndarray
    outcome: np.ndarray
    share: np.ndarray
    given: np.ndarray
    through: np.ndarray


@dataclass(frozen=True)
class Run:
    """The nuisances of one split."""

    natural: Natural | None
    controlled: tuple[Controlled, ...]


def planned(data: Prepared, outcome: Any, treatment: Any, n_folds: int, natural: bool, levels: tuple[Level, ...]
            ) -> Plan | Refused:
    """The designs and learners. Refused: ``more_features_than_rows``."""
    spec = data.spec
    wide = spec.replace(quantity="ATE", controls=(*spec.controls, *spec.mediators), mediators=())
    whole = replace(data, spec=wide, designs={})
    controls, both = designs_for(data, outcome, treatment), designs_for(whole, outcome, treatment)
    for design in (controls, both):
        if isinstance(design, Refused):
            return design
    assert isinstance(controls, dict)
    assert isinstance(both, dict)
    rows = int((1 - 1 / n_folds) * int(np.bincount(data.treatment.codes).min()))
    alone, given = (chosen_learners(design, outcome, rows) for design in (controls, both))
    through = alone
    if any(learner.numbers is None for learner in through):  # a mean of probabilities is no class
        through = chosen_learners(controls, "linear", rows)
    return Plan(whole, controls, both, alone, given, outcome_classifies(data, given),
                classifiers(chosen_learners(controls, treatment, rows)),
                classifiers(chosen_learners(both, treatment, rows)), through, natural, levels)


def runs_of(data: Prepared, plan: Plan, n_folds: int, n_splits: int, seed: int, progress: Progress) -> list[Run]:
    """The nuisances of every split; folds hold their share of each arm and, in it, of the first level."""
    strata = data.treatment.codes
    if plan.levels:
        strata = strata + len(data.treatment.arms) * plan.levels[0].inside
    progress.begin("cross-fitting", n_splits * n_folds * plan.fits)
    try:
        runs = []
        for split in range(n_splits):
            fold = folds(n_folds, strata, data.clusters, seed, split)
            narrow = engine_of(data, plan.controls, fold, seed, progress)
            wide = engine_of(plan.whole, plan.both, fold, seed, progress)
            natural = _natural(data, plan, narrow, wide) if plan.natural else None
            runs.append(Run(natural, tuple(_controlled(data, plan, narrow, level) for level in plan.levels)))
        return runs
    finally:
        progress.end()


def _natural(data: Prepared, plan: Plan, narrow: CrossFitter, wide: CrossFitter) -> Natural:
    codes, arms = data.treatment.codes, len(data.treatment.arms)
    outcome = np.column_stack([
        predicted_outcome(wide, data.outcome, plan.outcome_given, plan.classify, codes == a).predictions
        for a in (0, 1)])
    alone = np.column_stack([
        predicted_outcome(narrow, data.outcome, plan.outcome, plan.classify, codes == b).predictions for b in (0, 1)])
    # The targets are out-of-fold predictions themselves: their errors enter multiplied by those of the chances of
    # treatment alone, so what a fold's own rows add to them is of second order.
    through = np.column_stack([
        narrow.fit(plan.through, outcome[:, 1 - b], codes == b).predictions for b in (0, 1)])
    share = narrow.fit(plan.treatment, codes, classes=arms).predictions
    given = wide.fit(plan.treatment_given, codes, classes=arms).predictions
    return Natural(alone, outcome, share, given, through)


def _controlled(data: Prepared, plan: Plan, narrow: CrossFitter, level: Level) -> Controlled:
    arms = len(data.treatment.arms)
    cell = data.treatment.codes + arms * ~level.inside  # the cells of the level come first
    chance = narrow.fit(plan.treatment, cell, classes=2 * arms).predictions[:, :2]
    outcome = np.column_stack([
        predicted_outcome(narrow, data.outcome, plan.outcome, plan.classify, cell == b).predictions for b in (0, 1)])
    return Controlled(outcome, chance)


def basis(data: Prepared, run: Run, plan: Plan, clip: float) -> tuple[np.ndarray, np.ndarray]:
    """Estimates (m,) and influence values (n, m) of one split: total, NDE and TDE, then one CDE per level.

    With pi_b = P(b | C), lambda_b = P(b | M, C), mu_a = E[Y | a, M, C] and k = E[mu_a | b, C], the score of
    E[Y(a, M(b))], a other than b, is (Tchetgen Tchetgen and Shpitser 2012, theorem 1, the ratio of densities of the
    mediators by Bayes' rule)

        1{A = a} lambda_b / (lambda_a pi_b) (Y - mu_a) + 1{A = b} / pi_b (mu_a - k) + k,

    and that of E[Y(b)] and of a controlled mean is that of augmented inverse probability weighting.
    """
    scores = []
    codes, y = data.treatment.codes, data.outcome
    if run.natural is not None:
        n, floor = run.natural, lowest(data, clip)
        share, given = np.maximum(n.share, floor), np.maximum(n.given, floor)
        own = [n.alone[:, b] + (codes == b) / share[:, b] * (y - n.alone[:, b]) for b in (0, 1)]
        crossed = []
        for b in (0, 1):
            a, k = 1 - b, n.through[:, b]
            ratio = given[:, b] / (given[:, a] * share[:, b])
            crossed.append((codes == a) * ratio * (y - n.outcome[:, a])
                           + (codes == b) / share[:, b] * (n.outcome[:, a] - k) + k)
        scores += [own[1] - own[0], crossed[0] - own[0], own[1] - crossed[1]]
    for level, found in zip(plan.levels, run.controlled, strict=True):
        means = []
        for b in (0, 1):
            inside = level.inside & (codes == b)
            chance = np.maximum(found.chance[:, b], max(min(clip, float(data.w @ inside) / data.n / 10), 1e-12))
            means.append(found.outcome[:, b] + inside / chance * (y - found.outcome[:, b]))
        scores.append(means[1] - means[0])
    values = np.column_stack(scores)
    estimates = data.w @ values / data.n
    return estimates, data.w[:, None] * (values - estimates)


def lowest(data: Prepared, clip: float) -> np.ndarray:
    """The smallest chance of each arm used in weights, (arms,)."""
    shares = np.bincount(data.treatment.codes, data.w, len(data.treatment.arms)) / data.n
    return np.maximum(np.minimum(clip, shares / 10), 1e-12)
