"""Adjusted difference of restricted mean survival times, doubly robust with censoring weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.data.table import CODED, NUMERIC
from whence.estimation.inference import Answer, cluster_factor
from whence.estimation.interactive import (
    CLIP,
    N_FOLDS,
    N_SPLITS,
    TREATMENT_LEARNER,
    chosen_learners,
    classifiers,
    combined,
    default_splits,
    designs_for,
    engine_of,
    most_folds,
)
from whence.estimation.overlap import require_overlap
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared, require_arms
from whence.estimation.survival import Curves, Durations, kaplan_meier_area, scores
from whence.estimation.treatment import affirmative
from whence.stats.features import Features, plain
from whence.stats.resample import folds

SMALLEST_ARM = 10
FEWEST_EVENTS = 5  # of an arm up to the horizon
AT_RISK = 0.1  # share of each arm that must still be observed at the horizon, where none is given
EVENTS_PER_COLUMN = 5  # below which squares of controls are left out
LOW, WARNED, REFUSED = 0.05, 0.02, 0.25  # chance to be observed until the horizon that counts as none, shares of rows

# Powers beyond the first run away at the edge, where one row would then decide the answer.
DEGREE = Parameter("degree", "int", 1, "Highest power of each numeric control in the hazards.", 1, 5)
CARD = Card(
    name="restricted_mean",
    task="estimation",
    title="Restricted mean survival time",
    summary="Difference of the mean times until an event, counted up to a horizon, where some times were cut off: "
    "predicted by arm, corrected by weights for treatment and for being cut off.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=(
        "Among people alike in the controls, who was treated has nothing else to do with the time until the event.",
        "Among people alike in the controls and the treatment, when a time was cut off has nothing to do with when the "
        "event would have come.",
        "People of every kind in the controls could have been in either arm, and could have been observed until the "
        "horizon.",
        "Either hazards of the event, or both the chances of treatment and the hazards of being cut off, are close to "
        "the fitted ones (Cox regressions by arm; their errors multiply).",
    ),
    parameters=(TREATMENT_LEARNER, DEGREE, N_FOLDS, N_SPLITS, CLIP, LEVEL),
    output="Effect",
    cost="n_splits x n_folds x (2 Cox regressions for each arm and one fit of each learner); rows x 400 numbers.",
    citations=(
        "Westling, Luedtke, Gilbert and Carone (2024), Inference for treatment-specific survival curves using machine "
        "learning, Journal of the American Statistical Association 119",
        "Cui, Kosorok, Sverdrup, Wager and Zhu (2023), Estimating heterogeneous treatment effects with right-censored "
        "data via causal survival forests, Journal of the Royal Statistical Society B 85",
        "Royston and Parmar (2013), Restricted mean survival time, BMC Medical Research Methodology 13",
    ),
    function="whence.estimation.restricted_mean:restricted_mean",
    strategies=("rct", "adjustment"),
    quantities=("RMST",),
    roles=("event",),
)


@dataclass(frozen=True)
class _Run:
    """Of one split, out of fold, by arm (n, arms): predicted mean times, additions of the rows' own arms (n,), chances
    of each arm, and of being observed until the horizon."""

    mean: np.ndarray
    added: np.ndarray
    chance: np.ndarray
    observed: np.ndarray


def restricted_mean(
    data: Prepared, *, treatment_learner: Any = "auto", degree: int = 1, n_folds: int = 5, n_splits: int | None = None,
    clip: float = 0.01, level: float = 0.95, seed: int = 0, progress: Progress = SILENT,
) -> Answer | Refused:
    """Difference of E[min(T, horizon)] between each later arm and the first.

    Without controls: differences of the areas under Kaplan and Meier's curves, with Greenwood's variance. With
    controls: the mean of m_b(x) + 1{arm = b} / P(b | x) times the row's addition (``survival.scores``), all from other
    folds; splits are combined by the median. Without a horizon it is the last time at which a tenth of each arm is
    observed.

    Refused: ``event_not_binary``, ``negative_times``, ``horizon_not_positive``, ``horizon_beyond_follow_up``,
    ``everyone_censored``, ``too_few_events``, ``small_arm``, ``continuous_treatment``, ``no_overlap``,
    ``no_overlap_of_censoring``, ``too_few_clusters``, ``more_features_than_rows``.
    """
    enough = require_arms(data, SMALLEST_ARM)
    if isinstance(enough, Refused):
        return enough
    data = enough
    made = durations(data)
    if isinstance(made, Refused):
        return made
    d, remarks = made
    few = _events(data, d)
    if isinstance(few, Refused):
        return few
    evidence = {"horizon": d.horizon, "events": few, "cut_off": float(data.w @ ~d.event) / data.n}
    controls = data.features(1)
    if isinstance(controls, Refused):
        return controls
    if not controls.labels:
        return _unadjusted(data, d, remarks, evidence)
    n_folds = min(n_folds, most_folds(data, data.treatment.codes))
    if n_folds < 2:
        return Refused("too_few_clusters", "Some arm lies in a single cluster, so it cannot be predicted from others.",
                       {"clusters": data.n_clusters}, "Use a finer cluster column.")
    columns = _columns(data, degree, min(few.values()))
    designs = designs_for(data, treatment_learner)
    for design in (columns, designs):
        if isinstance(design, Refused):
            return design
    n_splits = n_splits or default_splits(data.n)
    runs = _runs(data, d, columns, designs, treatment_learner, n_folds, n_splits, clip, seed, progress)  # pyright: ignore
    seen = _overlap(data, runs, clip)
    if isinstance(seen, Refused):
        return seen
    diagnostics, said = seen
    estimates, influence, by_split = combined(data, [_scored(data, run, clip) for run in runs])
    means = {arm: float(data.w @ np.mean([run.mean[:, b] for run in runs], axis=0)) / data.n
             for b, arm in enumerate(data.treatment.arms)}
    return Answer(
        data, estimates, influence, remarks=(*remarks, *said), common=True,
        propensity=np.mean([run.chance for run in runs], axis=0)[:, 1],
        diagnostics={**evidence, "degree": degree, "n_folds": n_folds, "n_splits": n_splits, "predicted_means": means,
                     **diagnostics, **by_split},
    )


def durations(data: Prepared) -> tuple[Durations, list[Remark]] | Refused:
    """Times, events and the horizon, checked."""
    spec, remarks, time = data.spec, [], data.outcome
    name = spec.event or ""
    column = data.table.column(name)
    if column.kind in CODED and column.levels is not None and len(column.levels) == 2:
        yes = affirmative(list(column.levels))
        event = column.values[data.rows] == yes
        if {str(v) for v in column.levels} != {"0", "1"}:
            remarks.append(Remark("event_coded", f"{name} = {plain(column.levels[yes])} counts as the event, "
                                  f"{plain(column.levels[1 - yes])} as a time cut off.", (name,),
                                  {"event": plain(column.levels[yes])}))
    elif column.kind in NUMERIC and np.isin(column.values[data.rows], (0, 1)).all():
        event = column.values[data.rows] == 1
    else:
        return Refused("event_not_binary", f"The column {name!r} must say whether the event happened (1) or the time "
                       "was cut off (0).", {"column": name, "kind": column.kind}, "Make such a column of 0 and 1; of "
                       "several kinds of events, choose one and say what the others are.")
    if (time < 0).any():
        return Refused("negative_times", f"{int((time < 0).sum()):,} values of {spec.outcome!r} are negative; it must "
                       "be the time from the start until the event or until it was cut off.",
                       {"rows": int((time < 0).sum())}, "Correct the times, or measure them from each row's start.")
    if not event.any():
        return Refused("everyone_censored", f"Every time was cut off: {name!r} says of no row that the event happened.",
                       {"rows": data.n}, "Check how the column is coded; without events nothing is seen of their "
                       "times.")
    found = _horizon(data, time, event)
    if isinstance(found, Refused):
        return found
    horizon, said = found
    return Durations(time, event, horizon, data.w), [*remarks, *said]


def _horizon(data: Prepared, time: np.ndarray, event: np.ndarray) -> tuple[float, list[Remark]] | Refused:
    """The spec's horizon, or the last time at which a tenth of each arm is still observed."""
    t, asked = data.treatment, data.spec.horizon
    if asked is None:
        share = min(float(np.quantile(time[t.codes == b], 1 - AT_RISK, method="lower")) for b in range(len(t.arms)))
        if share <= 0:
            return Refused("horizon_not_positive", "Most times are 0, so there is no follow-up to speak of.",
                           {"horizon": share}, "Check the times, or state a horizon.")
        return share, [Remark("horizon_chosen", f"Times count up to {share:.4g}, until when a tenth of each arm is "
                              "observed; horizon= states another.", (data.spec.outcome,), {"horizon": share})]
    if not asked > 0 or not np.isfinite(asked):
        return Refused("horizon_not_positive", f"The horizon must be a positive time, not {asked:g}.",
                       {"horizon": float(asked)}, "State a time within the follow-up.")
    for b, arm in enumerate(t.arms):
        inside = t.codes == b
        last = float(time[inside].max())
        if asked > last and not event[inside][time[inside] == last].all():
            return Refused("horizon_beyond_follow_up", f"Nobody with {t.name} = {arm} was observed after {last:.4g}, "
                           f"so what happens until {asked:.4g} is not known.", {"horizon": asked, "last": last},
                           f"State a horizon of at most {last:.4g}.")
    return float(asked), []


def _events(data: Prepared, d: Durations) -> dict[str, int] | Refused:
    """Events up to the horizon by arm."""
    t = data.treatment
    found = {arm: int((d.event & (d.time <= d.horizon) & (t.codes == b)).sum()) for b, arm in enumerate(t.arms)}
    if min(found.values()) >= FEWEST_EVENTS:
        return found
    fewest = min(found, key=lambda arm: found[arm])
    return Refused("too_few_events", f"Up to {d.horizon:.4g} the event happened to {found[fewest]} rows with {t.name} "
                   f"= {fewest}; {FEWEST_EVENTS} are needed to say how times vary.", {"events": found,
                   "needed": FEWEST_EVENTS, "horizon": d.horizon}, "State a later horizon, or use more rows.")


def _unadjusted(data: Prepared, d: Durations, remarks: list[Remark], evidence: dict[str, Any]) -> Answer:
    """Differences of areas under Kaplan and Meier's curves."""
    codes = data.treatment.codes
    areas, moved = zip(*(kaplan_meier_area(d, codes == b) for b in range(len(data.treatment.arms))), strict=True)
    scaled = [d.weights * m * data.n / d.weights[codes == b].sum() for b, m in enumerate(moved)]
    influence = np.column_stack([one - scaled[0] for one in scaled[1:]]) * cluster_factor(data.clusters)
    means = dict(zip(data.treatment.arms, areas, strict=True))
    return Answer(data, np.array(areas[1:]) - areas[0], influence, remarks=tuple(remarks), common=True,
                  diagnostics={**evidence, "means": means})


def _columns(data: Prepared, degree: int, events: int) -> Features | Refused:
    """Columns of the controls for the hazards; without squares where there are few events."""
    made = data.features(degree)
    if degree > 1 and (isinstance(made, Refused) or events < EVENTS_PER_COLUMN * made.matrix.shape[1]):
        made = data.features(1)
    return made


def _runs(
    data: Prepared, d: Durations, columns: Features, designs: dict[int, Features], learner: Any, n_folds: int,
    n_splits: int, clip: float, seed: int, progress: Progress,
) -> list[_Run]:
    codes, arms = data.treatment.codes, len(data.treatment.arms)
    rows = int((1 - 1 / n_folds) * int(np.bincount(codes).min()))
    learners = classifiers(chosen_learners(designs, learner, rows))
    progress.begin("cross-fitting", n_splits * n_folds * (arms + len(learners)))
    runs = []
    try:
        for split in range(n_splits):
            fold = folds(n_folds, codes + arms * d.event, data.clusters, seed, split)
            chance = engine_of(data, designs, fold, seed, progress).fit(learners, codes, classes=arms).predictions
            mean, observed, added = np.zeros((data.n, arms)), np.zeros((data.n, arms)), np.zeros(data.n)
            for k in range(n_folds):
                inside = np.flatnonzero(fold == k)
                for b in range(arms):
                    curves = Curves.of(columns.matrix, d, (fold != k) & (codes == b))
                    found = scores(curves, columns.matrix, d, inside, max(clip, LOW))
                    mean[inside, b], observed[inside, b] = found[0], found[2]
                    own = codes[inside] == b
                    added[inside[own]] = found[1][own]
                    progress.step()
            runs.append(_Run(mean, added, chance, observed))
        return runs
    finally:
        progress.end()


def _scored(data: Prepared, run: _Run, clip: float) -> tuple[np.ndarray, np.ndarray]:
    """Estimates (m,) and influence values (n, m) of one split."""
    codes = data.treatment.codes
    floor = _lowest(data, clip)
    values = np.column_stack([run.mean[:, b] + (codes == b) / np.maximum(run.chance[:, b], floor[b]) * run.added
                              for b in range(len(data.treatment.arms))])
    gaps = values[:, 1:] - values[:, [0]]
    estimates = data.w @ gaps / data.n
    return estimates, data.w[:, None] * (gaps - estimates)


def _lowest(data: Prepared, clip: float) -> np.ndarray:
    shares = np.bincount(data.treatment.codes, data.w, len(data.treatment.arms)) / data.n
    return np.maximum(np.minimum(clip, shares / 10), 1e-12)


def _overlap(data: Prepared, runs: list[_Run], clip: float) -> tuple[dict[str, Any], tuple[Remark, ...]] | Refused:
    """Whether everybody could have been in each arm, and observed until the horizon."""
    seen = require_overlap(data, np.mean([run.chance for run in runs], axis=0), _lowest(data, clip))
    if isinstance(seen, Refused):
        return replace(seen, remedy="Ask about a narrower population, or leave out controls that only decide the "
                       "treatment.")
    found, remarks = seen
    observed = np.mean([run.observed for run in runs], axis=0)[:, :2]
    lacking = float(data.w @ (observed < LOW).any(axis=1)) / data.n
    found["share_hardly_observed"] = lacking
    text = f"{lacking:.0%} of the rows have almost no chance of being observed until the horizon"
    if lacking > REFUSED:
        return Refused("no_overlap_of_censoring", f"{text}, so nobody shows what happens to people like them.",
                       {"share": lacking, "limit": REFUSED}, "State an earlier horizon.")
    if lacking > WARNED:
        remarks = (*remarks, Remark("hardly_observed", f"{text}; few rows weigh much there.", (data.spec.outcome,),
                                    {"share": lacking}))
    return found, remarks
