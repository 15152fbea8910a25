"""Effects when outcomes are missing: rows with an outcome stand for those like them without, doubly robust."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.core.card import Card
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
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
from whence.estimation.ipw import continuous_refusal
from whence.estimation.missing_controls import filled, handling, required_controls
from whence.estimation.overlap import REFUSED_SHARE, WARNED_SHARE, require_overlap
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared, require_arms, satisfied
from whence.estimation.regression import dropped_controls, target_weights
from whence.estimation.treatment import code_treatment
from whence.stats.features import Features, level_codes
from whence.stats.resample import folds

LOW = 0.05  # a chance to be observed below this part of its arm's counts as none

CARD = Card(
    name="missing_outcome",
    task="estimation",
    title="AIPW with missing outcomes",
    summary="Rows without an outcome are kept: predicted outcomes by arm, corrected by residuals of the rows with one, "
    "weighted by one over the chance of the arm and of having an outcome.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=(
        "Among people alike in the controls, who was treated has nothing else to do with the outcome.",
        "People of every kind in the controls could have been in either arm.",
        "Among people alike in treatment and controls, whether the outcome is missing has nothing to do with it, and "
        "every kind of people has some chance to be observed.",
        "The learners come close enough to the outcome, or to the chances of treatment and of being observed (their "
        "errors multiply).",
    ),
    parameters=(OUTCOME_LEARNER, TREATMENT_LEARNER, N_FOLDS, N_SPLITS, CLIP, LEVEL),
    output="Effect",
    cost="n_splits x n_folds x (2 arms + 1) fits of each learner.",
    citations=(
        "Robins, Rotnitzky and Zhao (1994), Estimation of regression coefficients when some regressors are not "
        "always observed, JASA 89",
        "Bia, Huber and Laffers (2024), Double machine learning for sample selection models, J. Business and Economic "
        "Statistics 42",
    ),
    function="whence.estimation.missing_outcome:missing_outcome",
)


@dataclass(frozen=True)
class _Run:
    """outcome, propensity, observed: (n, arms), predicted outcome, chance of the arm, chance to be observed in it."""

    outcome: np.ndarray
    propensity: np.ndarray
    observed: np.ndarray
    learned: dict[str, Any]


def missing_outcome(
    data: Prepared, *, outcome_learner: Any = "auto", treatment_learner: Any = "auto", n_folds: int = 5,
    n_splits: int | None = None, clip: float = 0.01, level: float = 0.95, seed: int = 0, progress: Progress = SILENT,
) -> Answer | Refused:
    """Cross-fitted AIPW whose rows without an outcome are kept.

    With m_b(x) the outcome of those observed in arm b, e_b(x) the chance of the arm, r_b(x) = P(observed | b, x), R
    whether observed and s the people asked about, the score of the mean of arm b is (Bia, Huber and Laffers 2024,
    eq. 5)

        s m_b + D_b R h_b / r_b (y - m_b),   h_b = 1 / e_b (ATE), 1 for the arm asked about itself, e_a / e_b for the
        other (ATT, ATC).

    The treatment's learner learns r too. Refused: ``continuous_treatment``, ``small_arm``, ``no_controls``,
    ``more_features_than_rows``, ``too_few_clusters``, ``no_overlap``, ``never_observed``, ``dependence_not_available``.
    """
    if not data.treatment.discrete:
        return continuous_refusal(data, "missing_outcome")
    if data.dependence is not None:
        return Refused("dependence_not_available", "Errors along time or space are not available with missing "
            "outcomes.",
                       {}, "Use clusters.")
    if handling(data.spec) == "impute":
        return Refused("missing_controls_not_available", "Controls cannot be imputed from outcomes that are missing "
                       "too.", {"missing_controls": "impute"}, "Use missing_controls='indicator' or 'drop'.")
    data, observed = with_missing_outcomes(data)
    refused = _too_few(data, observed)
    if refused is not None:
        return refused
    designs = designs_for(data, outcome_learner, treatment_learner)
    if isinstance(designs, Refused):
        return designs
    n_folds = min(n_folds, most_folds(data.take(observed), data.treatment.codes[observed]))
    if n_folds < 2:
        return Refused("too_few_clusters", "Some arm lies in a single cluster, so it cannot be predicted from others.",
                       {"clusters": data.n_clusters}, "Use a finer cluster column.")
    runs = _runs(data, observed, designs, (outcome_learner, treatment_learner), n_folds,
                 n_splits or default_splits(data.n), seed, progress)
    return _answer(data, observed, designs[1], runs, clip)


def with_missing_outcomes(data: Prepared) -> tuple[Prepared, np.ndarray]:
    """The data with the rows whose outcome alone is missing, and which rows have one (boolean (n,)).

    Outcomes of the others hold a value that occurs, for no use.
    """
    table, spec = data.table, data.spec
    chosen = np.ones(table.n_rows, dtype=bool)
    for condition in spec.population:
        chosen &= satisfied(table.column(condition.column), condition)
    needed = [spec.treatment, *required_controls(spec), *spec.strata,
              *(c for c in (spec.cluster, spec.weights) if c is not None)]
    gaps = {name: int((table.column(name).missing & chosen).sum()) for name in needed}
    kept = chosen & table.complete(needed)
    if spec.weights is not None:
        kept &= table.numeric(spec.weights) > 0
    missing = table.column(spec.outcome).missing
    # Rows that preparation left out for another reason than their outcome stay out.
    used = np.zeros(table.n_rows, dtype=bool)
    used[data.rows] = True
    coded = code_treatment(table.column(spec.treatment), np.flatnonzero(kept), spec.contrast, spec.strategy == "rct")
    if isinstance(coded, Refused):
        raise AssertionError("more rows cannot make a treatment constant")
    whole = coded[0]
    inside = np.isin(np.array(whole.arms)[whole.codes], data.treatment.arms)
    keep = (used | missing)[kept] & inside
    rows = np.flatnonzero(kept)[keep]
    arms = {arm: j for j, arm in enumerate(data.treatment.arms)}
    codes = np.array([arms.get(arm, -1) for arm in whole.arms])[whole.codes[keep]]
    observed = used[rows]
    outcome = np.full(len(rows), data.outcome[0])
    outcome[observed] = data.outcome
    weights = None if spec.weights is None else table.numeric(spec.weights)[rows]
    return dataclasses.replace(
        data, rows=rows, outcome=outcome, designs={},
        treatment=dataclasses.replace(data.treatment, codes=codes, values=codes.astype(float)),
        weights=None if weights is None else weights / weights.mean(),
        clusters=None if spec.cluster is None else level_codes(table.column(spec.cluster), rows)[0],
        remarks=(*(r for r in data.remarks if r.code not in ("rows_dropped", "controls_filled")),
                 *_said(data, chosen, rows, observed, gaps), *filled(table, spec, rows)),
    ), observed


def _said(
    data: Prepared, chosen: np.ndarray, rows: np.ndarray, observed: np.ndarray, gaps: dict[str, int]
) -> list[Remark]:
    outcome, lost = data.spec.outcome, int(chosen.sum()) - len(rows)
    said = [Remark(
        "outcomes_missing", f"{(~observed).sum():,} of the {len(rows):,} rows used have no {outcome}; rows like them "
        "that do stand for them." if not observed.all() else f"No row used lacks {outcome}.", (outcome,),
        {"missing": int((~observed).sum()), "observed": int(observed.sum()), "used": len(rows)},
    )]
    if lost:
        gaps = {name: k for name, k in gaps.items() if k}
        worst = ", ".join(f"{name} ({k:,})" for name, k in sorted(gaps.items(), key=lambda g: (-g[1], g[0]))[:5])
        said.append(Remark(
            "rows_dropped", f"{lost:,} of {chosen.sum():,} rows are left out"
            + (f" for missing values: {worst}." if worst else "."), tuple(gaps),
            {"dropped": lost, "used": len(rows), "missing": gaps},
        ))
    return said


def _too_few(data: Prepared, observed: np.ndarray) -> Refused | None:
    enough = require_arms(data.take(observed), SMALLEST_ARM)
    if isinstance(enough, Refused):
        return enough
    if not data.spec.controls:
        return Refused("no_controls", "Without controls there is nothing from which missing outcomes could be told.",
                       {"controls": []}, "Use method='difference', or name controls.")
    sizes = np.bincount(data.treatment.codes[observed], minlength=len(data.treatment.arms))
    if sizes.min() < SMALLEST_ARM:
        arm = data.treatment.arms[int(sizes.argmin())]
        return Refused(
            "small_arm", f"Only {sizes.min()} of the rows with {data.treatment.name} = {arm} have an outcome.",
            {"observed": dict(zip(data.treatment.arms, sizes.tolist(), strict=True)), "needed": SMALLEST_ARM},
            "Leave this arm out by a population condition.",
        )
    return None


def _runs(
    data: Prepared, observed: np.ndarray, designs: dict[int, Features], given: tuple[Any, Any], n_folds: int,
    n_splits: int, seed: int, progress: Progress,
) -> list[_Run]:
    t, arms = data.treatment, len(data.treatment.arms)
    smallest = int((1 - 1 / n_folds) * np.bincount(t.codes[observed]).min())
    for_outcome = chosen_learners(designs, given[0], smallest)
    for_chance = classifiers(chosen_learners(designs, given[1], smallest))
    classify = outcome_classifies(data, for_outcome)
    progress.begin("cross-fitting", n_splits * n_folds * (arms * len(for_outcome) + (arms + 1) * len(for_chance)))
    runs = []
    try:
        for split in range(n_splits):
            engine = engine_of(data, designs, folds(n_folds, 2 * t.codes + observed, data.clusters, seed, split), seed,
                               progress)
            chance = engine.fit(for_chance, t.codes, classes=arms)
            outcome, seen, learned = [], [], {"treatment": {"stack": chance.stack, "loss": chance.loss}}
            for arm in range(arms):
                inside = t.codes == arm
                mean = predicted_outcome(engine, data.outcome, for_outcome, classify, inside & observed)
                outcome.append(mean.predictions)
                learned[f"outcome, {t.name} = {t.arms[arm]}"] = {"stack": mean.stack, "loss": mean.loss}
                seen.append(np.ones(data.n))
                if not observed[inside].all():
                    found = engine.fit(for_chance, observed.astype(np.int64), inside, classes=2)
                    seen[-1] = found.predictions[:, 1]
                    learned[f"observed, {t.name} = {t.arms[arm]}"] = {"stack": found.stack, "loss": found.loss}
            runs.append(_Run(np.column_stack(outcome), chance.predictions, np.column_stack(seen), learned))
    finally:
        progress.end()
    return runs


def _answer(
    data: Prepared, observed: np.ndarray, controls: Features, runs: list[_Run], clip: float
) -> Answer | Refused:
    t, arms = data.treatment, range(1, len(data.treatment.arms))
    share = np.bincount(t.codes, weights=data.w, minlength=len(t.arms)) / data.n
    lowest = np.maximum(np.minimum(clip, share / 10), 1e-12)
    overlap = require_overlap(data, np.mean([run.propensity for run in runs], axis=0), lowest)
    if isinstance(overlap, Refused):
        return overlap
    diagnostics, remarks = overlap
    chance = np.mean([run.observed for run in runs], axis=0)
    unseen = _unseen(data, observed, chance)
    if isinstance(unseen, Refused):
        return unseen
    if controls.dropped:
        remarks = (*remarks, dropped_controls(controls))
    scored = []
    for run in runs:
        pairs = [_score(data, observed, run, arm, lowest, max(clip, 1e-6)) for arm in arms]
        scored.append((np.array([e for e, _ in pairs]), np.column_stack([psi for _, psi in pairs])))
    estimates, influence, by_split = combined(data, scored)
    return Answer(
        data, estimates=estimates, influence=influence, remarks=(*remarks, *unseen),
        diagnostics=diagnostics | by_split | {
            "missing_outcomes": {arm: int((~observed & (t.codes == j)).sum()) for j, arm in enumerate(t.arms)},
            "lowest_chance_observed": {arm: float(chance[:, j].min()) for j, arm in enumerate(t.arms)},
            "learned": runs[0].learned, "n_splits": len(runs),
        },
    )


def _score(
    data: Prepared, observed: np.ndarray, run: _Run, arm: int, lowest: np.ndarray, clip: float
) -> tuple[float, np.ndarray]:
    """Estimate and influence values (n,) of ``arm`` against arm 0, for one split."""
    e, r = np.maximum(run.propensity, lowest), np.maximum(run.observed, clip)
    asked = {"ATT": arm, "ATC": 0}.get(data.spec.quantity)
    s = target_weights(data, arm)
    size = 1.0 if asked is None else float(data.w @ (data.treatment.codes == asked)) / data.n
    means = []
    for b in (arm, 0):
        h = 1 / e[:, b] if asked is None else (e[:, asked] / e[:, b] if asked != b else np.ones(data.n)) / size
        corrected = data.w * (data.treatment.codes == b) * observed * h / r[:, b] * (data.outcome - run.outcome[:, b])
        means.append(s * run.outcome[:, b] + corrected)
    score = means[0] - means[1]
    estimate = float(score.mean())
    return estimate, score - s * estimate


def _unseen(data: Prepared, observed: np.ndarray, chance: np.ndarray) -> tuple[Remark, ...] | Refused:
    """Whether some of the people asked about have no chance of an outcome, in the arms first compared."""
    t = data.treatment
    lost = np.zeros(data.n, dtype=bool)
    for b in (0, 1):
        lost |= chance[:, b] < LOW * (data.w @ (observed & (t.codes == b)) / (data.w @ (t.codes == b)))
    share = float(target_weights(data, 1) @ lost) / data.n
    evidence = {"share": share, "rows": int(lost.sum())}
    if share > REFUSED_SHARE:
        return Refused(
            "never_observed", f"{share:.0%} of those asked about have almost no chance that {data.spec.outcome!r} is "
            "observed, so nobody can stand for them.", evidence,
            "Ask about a population in which the outcome is observed.",
        )
    if share <= WARNED_SHARE:
        return ()
    return (Remark(
        "rarely_observed", f"{share:.1%} of those asked about have almost no chance that {data.spec.outcome} is "
        "observed; what is said of them is mostly prediction.", (data.spec.outcome,), evidence,
    ),)
