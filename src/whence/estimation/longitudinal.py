"""Treatments at several times: everybody always treated against nobody ever, sequentially doubly robust."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from whence.core.card import Card
from whence.core.errors import WhenceError
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.estimation.crossfit import CrossFitter
from whence.estimation.inference import Answer
from whence.estimation.interactive import (
    CLIP,
    N_FOLDS,
    N_SPLITS,
    OUTCOME_LEARNER,
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
from whence.estimation.overlap import effective_size
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared
from whence.estimation.treatment import Treatment, code_treatment
from whence.stats.features import Features
from whence.stats.learners import Learner
from whence.stats.resample import folds

FEWEST = 20  # rows that follow a regime to its end
PERIODS = (2, 5)
LOW, WARNED, REFUSED = 0.02, 0.02, 0.25  # part of a period's share that counts as no chance, shares of rows
WARNED_PART = 0.1  # effective rows as a part of those that follow a regime

CARD = Card(
    name="longitudinal",
    task="estimation",
    title="Sequentially doubly robust effect of treatments in turn",
    summary="Everybody treated at every time against nobody ever, where what is measured in between follows from "
    "earlier treatments and decides later ones: regressions backwards in time, each corrected by weights.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=(
        "At each time, among people alike in what was measured before and in earlier treatments, who was treated has "
        "nothing else to do with the outcome.",
        "At each time, people of every kind who had followed a regime so far could have gone on and could have left.",
        "At each time the learners come close enough to the regression or to the chance of treatment (their errors "
        "multiply).",
    ),
    parameters=(OUTCOME_LEARNER, TREATMENT_LEARNER, N_FOLDS, N_SPLITS, CLIP, LEVEL),
    output="Effect",
    cost="n_splits x n_folds x 4 x periods fits of each learner.",
    citations=(
        "Luedtke, Sofrygin, van der Laan and Carone (2017), Sequential double robustness in right-censored "
        "longitudinal models, arXiv 1705.02459",
        "Diaz, Williams, Hoffman and Schenck (2023), Nonparametric causal effects based on longitudinal modified "
        "treatment policies, Journal of the American Statistical Association 118",
        "Bang and Robins (2005), Doubly robust estimation in missing data and causal inference models, Biometrics 61",
    ),
    function="whence.estimation.longitudinal:longitudinal",
    strategies=("longitudinal",),
    quantities=("ATE",),
    roles=("histories",),
)


@dataclass(frozen=True)
class _Period:
    """One time. treatment: coded. past: the data with all that was measured before it as controls; designs: of it, by
    degree, with the learners on them."""

    treatment: Treatment
    past: Prepared
    designs: dict[int, Features]
    outcome: tuple[Learner, ...]
    chance: tuple[Learner, ...]


def longitudinal(
    data: Prepared, *, outcome_learner: Any = "auto", treatment_learner: Any = "auto", n_folds: int = 5,
    n_splits: int | None = None, clip: float = 0.01, level: float = 0.95, seed: int = 0, progress: Progress = SILENT,
) -> Answer | Refused:
    """The mean outcome if everybody were treated at every time, less that if nobody ever were.

    Of a regime a_1 .. a_T let Q_{T+1} = Y, and backwards in time let Q_t be the regression of D_{t+1} on everything
    measured before treatment t, among those who followed the regime up to and including t, with D_{T+1} = Y and

        D_t = Q_t + 1{A_t = a_t} / g_t (D_{t+1} - Q_t),  g_t the chance of a_t among those who followed it so far.

    The mean of D_1 is right if, at each time, Q_t or g_t is (Luedtke et al. 2017, section 4). Folds keep clusters
    whole; splits are combined by the median. ``histories[t]``: what was measured between treatment t - 1 and t; the
    first entry, like the controls, before the first.

    Refused: ``periods_out_of_range``, ``treatment_not_binary``, ``regime_not_followed``, ``positivity``,
    ``too_few_clusters``, ``more_features_than_rows``. Raises ``WhenceError`` (``bad_histories``).
    """
    coded = _coded(data)
    if isinstance(coded, Refused):
        return coded
    path = np.column_stack([t.codes for t in coded])
    followed = {arm: np.cumprod(path == arm, axis=1).astype(bool) for arm in (0, 1)}
    lacking = _not_followed(coded, followed)
    if lacking is not None:
        return lacking
    ends = followed[1][:, -1] + 2 * followed[0][:, -1]
    n_folds = min(n_folds, *(most_folds(data, (ends == k).astype(np.int64)) for k in (1, 2)))
    if n_folds < 2:
        return Refused("too_few_clusters", "A regime is followed in a single cluster, so it cannot be predicted from "
                       "others.", {"clusters": data.n_clusters}, "Use a finer cluster column.")
    rows = int((1 - 1 / n_folds) * min(int(followed[arm][:, -1].sum()) for arm in (0, 1)))
    periods = _periods(data, coded, outcome_learner, treatment_learner, rows)
    if isinstance(periods, Refused):
        return periods
    n_splits = n_splits or default_splits(data.n)
    progress.begin("cross-fitting", n_splits * n_folds * sum(2 * (len(p.outcome) + len(p.chance)) for p in periods))
    try:
        runs = [_run(data, periods, followed, folds(n_folds, ends, data.clusters, seed, split), clip, seed, progress)
                for split in range(n_splits)]
    finally:
        progress.end()
    seen = _overlap(data, periods, followed, np.mean([chances for _, chances in runs], axis=0), clip)
    if isinstance(seen, Refused):
        return seen
    diagnostics, said = seen
    scored = []
    for means, _ in runs:
        gap = means[1] - means[0]
        scored.append((np.array([data.w @ gap / data.n]), (data.w * (gap - data.w @ gap / data.n))[:, None]))
    estimates, influence, by_split = combined(data, scored)
    regimes = {name: float(data.w @ np.mean([means[arm] for means, _ in runs], axis=0)) / data.n
               for arm, name in ((1, "always"), (0, "never"))}
    first = coded[0]
    return Answer(
        data, estimates, influence, remarks=said, labels=(f"always {first.arms[1]} vs always {first.arms[0]}",),
        diagnostics={"periods": [t.name for t in coded], "means": regimes, "n_folds": n_folds, "n_splits": n_splits,
                     **diagnostics, **by_split},
    )


def _coded(data: Prepared) -> list[Treatment] | Refused:
    """The treatments in turn, each of the same two values."""
    spec = data.spec
    low, high = PERIODS
    if not low <= len(spec.treatments) <= high:
        return Refused("periods_out_of_range", f"The spec names {len(spec.treatments)} treatments in turn; between "
                       f"{low} and {high} can be followed.", {"treatments": list(spec.treatments)},
                       "With one use strategy='adjustment'; of many keep the times that matter, or join some.")
    if len(spec.histories) != len(spec.treatments):
        raise WhenceError(
            f"There are {len(spec.treatments)} treatments and {len(spec.histories)} groups of columns measured before "
            "each.", code="bad_histories", value=[list(names) for names in spec.histories],
            allowed="one group of columns for each treatment, which may be empty",
            hint="histories=((), ('x2',)) says that x2 was measured between the first and the second treatment.")
    found = []
    for name in spec.treatments:
        made = code_treatment(data.table.column(name), data.rows, spec.contrast)
        if isinstance(made, Refused):
            return made
        t = made[0]
        if len(t.arms) != 2:
            what = f"has {len(t.arms)} values" if t.discrete else "is a dose"
            return Refused("treatment_not_binary", f"The treatment {name!r} {what}; at each time it must be given or "
                           "not.", {"treatment": name, "arms": list(t.arms)}, "Make columns of 0 and 1.")
        found.append(t)
    return found


def _not_followed(coded: Sequence[Treatment], followed: dict[int, np.ndarray]) -> Refused | None:
    """``regime_not_followed`` where too few rows keep to a regime, with how many do after each time."""
    names = [t.name for t in coded]
    counts = {coded[0].arms[arm]: dict(zip(names, kept.sum(axis=0).tolist(), strict=True))
              for arm, kept in followed.items()}
    for arm in (1, 0):
        size = int(followed[arm][:, -1].sum())
        if size < FEWEST:
            value = coded[0].arms[arm]
            return Refused("regime_not_followed", f"Only {size} rows have {value} at every one of {', '.join(names)}, "
                           "so what would happen if everybody did is not seen.",
                           {"followed_after": counts, "needed": FEWEST}, "Use fewer times, or more rows.")
    return None


def _periods(data: Prepared, coded: Sequence[Treatment], outcome: Any, treatment: Any, rows: int
             ) -> list[_Period] | Refused:
    spec, made, known = data.spec, [], data.spec.controls
    for t, names in zip(coded, spec.histories, strict=True):
        known = (*known, *names)
        past = replace(data, designs={}, spec=spec.replace(
            strategy="adjustment", treatments=(t.name,), histories=(), controls=known))
        designs = designs_for(past, outcome, treatment)
        if isinstance(designs, Refused):
            return designs
        made.append(_Period(t, past, designs, chosen_learners(designs, outcome, rows),
                            classifiers(chosen_learners(designs, treatment, rows))))
    return made


def _run(
    data: Prepared, periods: Sequence[_Period], followed: dict[int, np.ndarray], fold: np.ndarray, clip: float,
    seed: int, progress: Progress,
) -> tuple[dict[int, np.ndarray], np.ndarray]:
    """Of one split: D_1 by regime, (n,) each, and the chances g, (2, n, periods)."""
    engines = [engine_of(p.past, p.designs, fold, seed, progress) for p in periods]
    means, chances = {}, np.ones((2, data.n, len(periods)))
    for arm in (0, 1):
        ahead = data.outcome
        for k in reversed(range(len(periods))):
            period, engine = periods[k], engines[k]
            before = followed[arm][:, k - 1] if k else np.ones(data.n, dtype=bool)
            chance = engine.fit(period.chance, period.treatment.codes, before, 2).predictions[:, arm]
            chances[arm, :, k] = chance
            # Later predictions are out of fold themselves; what a fold's own rows add to them is of second order.
            expected = _regressed(data, period, engine, ahead, followed[arm][:, k], k == len(periods) - 1)
            floor = max(min(clip, float((period.treatment.codes[before] == arm).mean()) / 10), 1e-12)
            stays = period.treatment.codes == arm
            ahead = expected + stays / np.maximum(chance, floor) * (ahead - expected)
        means[arm] = ahead
    return means, chances


def _regressed(data: Prepared, period: _Period, engine: CrossFitter, target: np.ndarray, train: np.ndarray, last: bool
               ) -> np.ndarray:
    """The regression of what is ahead, (n,): of a binary outcome itself as a probability."""
    learners = period.outcome
    if last:
        return predicted_outcome(engine, target, learners, outcome_classifies(data, learners), train).predictions
    if any(learner.numbers is None for learner in learners):  # what is ahead of an earlier time is no class
        learners = chosen_learners(period.designs, "linear", int(train.sum()))
    return engine.fit(learners, target, train).predictions


def _overlap(
    data: Prepared, periods: Sequence[_Period], followed: dict[int, np.ndarray], chances: np.ndarray, clip: float
) -> tuple[dict[str, Any], tuple[Remark, ...]] | Refused:
    """Whether those who followed a regime so far could go on, by time; and how many rows its weights are worth."""
    found: dict[str, Any] = {"share_without_counterpart": {}, "effective_rows": {}}
    remarks: list[Remark] = []
    for arm in (1, 0):
        weight = np.array(data.w)
        for k, period in enumerate(periods):
            t = period.treatment
            before = followed[arm][:, k - 1] if k else np.ones(data.n, dtype=bool)
            chance, w = chances[arm][before, k], data.w[before]
            share = float(w @ (t.codes[before] == arm) / w.sum())
            lacking = float(w @ (chance < LOW * share) / w.sum())
            found["share_without_counterpart"][f"{t.name} = {t.arms[arm]}"] = lacking
            text = (f"Of those who always had {t.arms[arm]} before, {lacking:.0%} have almost no chance of {t.name} = "
                    f"{t.arms[arm]}" if k else f"{lacking:.0%} of the rows have almost no chance of {t.name} = "
                    f"{t.arms[arm]}")
            if lacking > REFUSED:
                return Refused("positivity", f"{text}, so nobody shows what it would do to them.", dict(found),
                               "Ask about a narrower population or fewer times, or leave out what only decides the "
                               "treatment.")
            if lacking > WARNED:
                remarks.append(Remark("weak_overlap", f"{text}; few rows weigh much there.", (t.name,),
                                      {"share": lacking}))
            weight = weight * (t.codes == arm) / np.maximum(chances[arm][:, k], max(clip, 1e-12))
        size, rows = effective_size(weight), int(followed[arm][:, -1].sum())
        value = periods[0].treatment.arms[arm]
        found["effective_rows"][f"always {value}"] = size
        if size < WARNED_PART * rows:
            remarks.append(Remark("few_effective_rows", f"The {rows:,} rows that always have {value} weigh like "
                                  f"{size:,.0f}.", tuple(p.treatment.name for p in periods), {"effective": size}))
    return found, tuple(remarks)
