"""What every learner of effects starts from: people, what is expected of each of them, and a doubly robust score."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from whence.core.card import Parameter
from whence.core.progress import Progress
from whence.core.result import Refused, Remark
from whence.core.rng import generator
from whence.estimation.crossfit import CrossFitter, Nuisance
from whence.estimation.interactive import chosen_learners, designs_for, engine_of, interactive
from whence.estimation.prepare import Prepared
from whence.stats.features import Features
from whence.stats.learners import NAMES, Learner
from whence.stats.resample import folds

FEWEST = 100  # rows

EFFECT_LEARNER = Parameter("effect_learner", "choice", "auto", "Learner of the effect, or an object with fit and "
                           "predict. auto: linear, quadratic and boosting, stacked.", choices=NAMES)

Designs = Mapping[int, np.ndarray]


@dataclass(frozen=True)
class Sample:
    """People whose effects are looked for, with what other folds say of each.

    data: two arms. narrow: the same with the columns by which effects may differ as its controls. fold: int (n,).
    outcome: (n, 2), expected in either arm. chance: (n,), of treatment, clipped. scores: (n,), doubly robust: their
    mean over any group estimates its average effect. diagnostics, remarks: of overlap and what was learned.
    """

    data: Prepared
    narrow: Prepared
    fold: np.ndarray
    outcome: np.ndarray
    chance: np.ndarray
    scores: np.ndarray
    diagnostics: Mapping[str, Any]
    remarks: tuple[Remark, ...]
    seed: int
    progress: Progress

    @property
    def n(self) -> int:
        return self.data.n

    @property
    def treated(self) -> np.ndarray:
        """1 or 0, float (n,)."""
        return (self.data.treatment.codes == 1).astype(float)

    @property
    def expected(self) -> np.ndarray:
        """The outcome (n,) expected of people alike, some of whom are treated."""
        return self.chance * self.outcome[:, 1] + (1 - self.chance) * self.outcome[:, 0]

    @property
    def whole(self) -> bool:
        """Whether effects may differ by everything that is adjusted for."""
        return set(self.narrow.spec.controls) == set(self.data.spec.controls)

    def designs(self, *learners: Any) -> dict[int, Features] | Refused:
        """Those of the columns by which effects may differ, as these learners want them."""
        return designs_for(self.narrow, *learners)

    def engine(self, designs: dict[int, Features], weights: np.ndarray | None = None) -> CrossFitter:
        """Cross-fitting on these designs and the folds of the sample."""
        made = engine_of(self.narrow, designs, self.fold, self.seed, self.progress)
        return made if weights is None else dataclasses.replace(made, weights=weights)


@dataclass(frozen=True)
class Fitted:
    """Effects of people by one learner.

    effects: (n,), each by a fit that did not see the row, nor its fold or cluster; errors: (n,), or None for a method
    without them. at: effects and errors of other people from their designs by degree, by a fit on all rows.
    designs: those that ``at`` wants, of the rows. importance: by column, summing to 1, or to 0 where nothing matters.
    """

    sample: Sample
    effects: np.ndarray
    errors: np.ndarray | None
    at: Callable[[Designs], tuple[np.ndarray, np.ndarray | None]]
    designs: dict[int, Features]
    importance: Mapping[str, float]
    remarks: tuple[Remark, ...] = ()
    diagnostics: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """One regression: its predictions out of fold, and for other people by a fit on all rows that it learned from."""

    engine: CrossFitter
    learners: tuple[Learner, ...]
    target: np.ndarray
    train: np.ndarray
    classify: bool
    found: Nuisance

    @property
    def out_of_fold(self) -> np.ndarray:
        """(n,), a mean or the probability of 1."""
        return self.found.predictions[:, 1] if self.classify else self.found.predictions

    def at(self, new: Designs) -> np.ndarray:
        """The same mixture of learners, fitted to all rows in ``train``."""
        total, w = np.zeros(len(next(iter(new.values())))), self.engine.weights[self.train]
        for learner in self.learners:
            share = self.found.stack[learner.name]
            x, target = self.engine.designs[learner.degree][self.train], self.target[self.train]
            seed = int(generator(self.engine.seed, "learner", learner.name, "all").integers(2**31))
            if share <= 0:
                continue
            if self.classify:
                assert learner.classes is not None
                total += share * learner.classes(x, target, 2, w, new[learner.degree], seed)[:, 1]
            else:
                assert learner.numbers is not None
                total += share * learner.numbers(x, target, w, new[learner.degree], seed)
        return total


def stage(
    engine: CrossFitter, learners: tuple[Learner, ...], target: np.ndarray, train: np.ndarray | None = None,
    classify: bool = False,
) -> Stage:
    """Fit ``target`` (n,) out of fold on the rows in ``train``; as a probability of 1 with ``classify``."""
    train = np.ones(len(target), dtype=bool) if train is None else train
    target = target.astype(np.int64) if classify else target.astype(float)
    found = engine.fit(learners, target, train, classes=2 if classify else None)
    return Stage(engine, learners, target, train, classify, found)


def sample(
    data: Prepared, by: tuple[str, ...], outcome_learner: Any, treatment_learner: Any, n_folds: int, clip: float,
    seed: int, progress: Progress,
) -> Sample | Refused:
    """The nuisances of ``interactive``, cross-fitted once, and the scores that follow.

    With m_a(x) the outcome expected in arm a and e(x) the chance of treatment, the score is
    m_1 - m_0 + a (y - m_1) / e - (1 - a) (y - m_0) / (1 - e) (Robins, Rotnitzky and Zhao 1994).
    Refused: ``too_few_rows`` and those of ``interactive``.
    """
    if data.n < FEWEST:
        return Refused("too_few_rows", f"{data.n:,} rows are too few to say how an effect differs between people.",
                       {"rows": data.n, "needed": FEWEST}, "Ask for the average effect: whence.estimate.")
    made = interactive(data, outcome_learner, treatment_learner, n_folds, 1, clip, seed, progress)
    if isinstance(made, Refused):
        return made
    run, data = made.runs[0], made.data
    fold = folds(made.diagnostics["n_folds"], data.treatment.codes, data.clusters, seed, 0)
    chance = run.propensity[:, 1] / run.propensity.sum(axis=1)
    gaps = data.outcome[:, None] - run.outcome
    treated = data.treatment.codes == 1
    scores = run.outcome[:, 1] - run.outcome[:, 0] + np.where(treated, gaps[:, 1] / chance, -gaps[:, 0] / (1 - chance))
    narrow = data
    if set(by) != set(data.spec.controls):
        narrow = dataclasses.replace(data, spec=data.spec.replace(controls=by), designs={})
    return Sample(data, narrow, fold, run.outcome, chance, scores, made.diagnostics, made.remarks, seed, progress)


def effect_stage(s: Sample, learner: Any, target: np.ndarray, weights: np.ndarray | None = None) -> Stage | Refused:
    """The regression of a made-up outcome (n,) whose mean given the columns is the effect."""
    designs = s.designs(learner)
    if isinstance(designs, Refused):
        return designs
    rows = int((1 - 1 / (s.fold.max() + 1)) * s.n)
    return stage(s.engine(designs, weights), chosen_learners(designs, learner, rows), target)


def needs_everything(s: Sample, name: str) -> Refused | None:
    """Why a method that sees effects only as differences of outcomes cannot let them differ by some columns alone."""
    if s.whole:
        return None
    return Refused("by_not_used", f"The method {name!r} lets effects differ by everything that is adjusted for, not by "
                   "some columns alone.", {"by": list(s.narrow.spec.controls), "controls": list(s.data.spec.controls)},
                   "Use method='dr_learner', 'r_learner' or 'causal_forest', or leave 'by' out.")
