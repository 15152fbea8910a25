"""Mediation: how much of an effect goes through mediators and how much past them, doubly robust and cross-fitted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.estimation.frontdoor import LOW, REFUSED_SHARE, WARNED_SHARE, constant_mediator
from whence.estimation.inference import Answer
from whence.estimation.interactive import (
    CLIP,
    N_FOLDS,
    N_SPLITS,
    OUTCOME_LEARNER,
    SMALLEST_ARM,
    TREATMENT_LEARNER,
    combined,
    default_splits,
    most_folds,
)
from whence.estimation.mediation_levels import Level, other_levels, stated_level, too_rare, two_values
from whence.estimation.mediation_scores import Natural, Run, basis, lowest, planned, runs_of
from whence.estimation.overlap import require_overlap
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared, require_arms
from whence.identification.mediated import NAMES

CARD = Card(
    name="mediation",
    task="estimation",
    title="Doubly robust mediation analysis",
    summary="Natural and controlled, direct and indirect effects and their interaction by cross-fitted learners, "
    "corrected so that errors in one of them do little harm.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=(
        "Among people alike in the controls, who was treated has nothing else to do with the mediators or the outcome.",
        "Among people alike in the controls and the treatment, nothing hidden affects both the mediators and the "
        "outcome, not even in an experiment, and no common cause of theirs follows from the treatment.",
        "The mediators were settled before the outcome; the data do not show the order.",
        "For natural effects: what the mediators would be under one value of the treatment and how the outcome would "
        "respond under the other are unrelated among people alike in the controls (no experiment can test this).",
        "Every value of the mediators could occur under both values of the treatment.",
        "The learners come close enough to the functions they stand for (their errors multiply).",
    ),
    parameters=(
        OUTCOME_LEARNER, TREATMENT_LEARNER, N_FOLDS, N_SPLITS, CLIP,
        Parameter("mediator_level", "str", None, "Values at which the mediators are set for the controlled effect, "
                  "such as 0, or m1=0, m2=low. None: of a single mediator of two values the one that means no, else "
                  "the commonest.", optional=True),
        LEVEL,
    ),
    output="Effect",
    cost="n_splits x n_folds x (8 + 3 for each level of a controlled effect) fits of each learner.",
    citations=(
        "Tchetgen Tchetgen and Shpitser (2012), Semiparametric theory for causal mediation analysis: efficiency "
        "bounds, multiple robustness and sensitivity analysis, Annals of Statistics 40",
        "VanderWeele (2014), A unification of mediation and interaction: a four-way decomposition, Epidemiology 25",
        "Pearl (2001), Direct and indirect effects, Uncertainty in Artificial Intelligence 17",
        "Fieller (1954), Some problems in interval estimation, Journal of the Royal Statistical Society B 16",
    ),
    function="whence.estimation.mediation:mediation",
    strategies=("rct", "adjustment"),
    quantities=("NDE", "NIE", "TDE", "TIE", "CDE"),
)
TOTAL, MEDIATED, REFERENCE = "total effect", "mediated interaction", "reference interaction"
# Of the natural parts: weights on total, NDE and TDE.
PARTS = {"NDE": (0, 1, 0), "TIE": (1, -1, 0), "TDE": (0, 0, 1), "NIE": (1, 0, -1)}


def mediation(
    data: Prepared, *, outcome_learner: Any = "auto", treatment_learner: Any = "auto", n_folds: int = 5,
    n_splits: int | None = None, clip: float = 0.01, mediator_level: str | None = None, level: float = 0.95,
    seed: int = 0, progress: Progress = SILENT,
) -> Answer | Refused:
    """The part of an effect that was asked for, and with it the decompositions it belongs to.

    A natural quantity comes with all four, the total effect and the mediated interaction (NDE + TIE = TDE + NIE =
    total, TIE - NIE = mediated interaction), and, where there is one mediator of two values or a stated level, with
    the controlled direct effect there and the reference interaction: total = CDE + reference interaction + mediated
    interaction + NIE (VanderWeele 2014). The CDE, which assumes less, comes with those at the mediator's other levels.
    The parts add up exactly; their influence values give the joint covariance. Scores: see ``mediation_scores.basis``.

    Refused: ``small_arm``, ``mediator_constant``, ``mediator_level_rare``, ``no_overlap`` (controls that tell the arms
    apart), ``positivity`` (mediators that do), ``too_few_clusters``, ``more_features_than_rows``. Raises
    ``WhenceError`` (``bad_level``).
    """
    enough = require_arms(data, SMALLEST_ARM)
    if isinstance(enough, Refused):
        return enough
    data = enough
    constant = constant_mediator(data)
    if constant is not None:
        return constant
    chosen = _levels(data, mediator_level)
    if isinstance(chosen, Refused):
        return chosen
    levels, remarks = chosen
    n_folds = min(n_folds, most_folds(data, data.treatment.codes))
    if n_folds < 2:
        return Refused("too_few_clusters", "Some arm lies in a single cluster, so it cannot be predicted from others.",
                       {"clusters": data.n_clusters}, "Use a finer cluster column.")
    plan = planned(data, outcome_learner, treatment_learner, n_folds, data.spec.quantity != "CDE", levels)
    if isinstance(plan, Refused):
        return plan
    runs = runs_of(data, plan, n_folds, n_splits or default_splits(data.n), seed, progress)
    seen = _overlap(data, runs, levels, clip)
    if isinstance(seen, Refused):
        return seen
    diagnostics, said = seen
    estimates, influence, by_split = combined(data, [basis(data, run, plan, clip) for run in runs])
    labels, weights = _comparisons(data, levels)
    shares = _proportion(estimates, influence, data, level) if plan.natural else ({}, ())
    arms = {"comparison": data.treatment.labels[0], "mediators": sorted(data.spec.mediators)}
    named = {"levels": [one.words for one in levels], "n_folds": n_folds, "n_splits": len(runs)}
    return Answer(
        data, estimates=weights @ estimates, influence=influence @ weights.T, labels=tuple(labels),
        remarks=(*remarks, *said, *shares[1]),
        propensity=None if runs[0].natural is None else np.mean([_of(run).share for run in runs], axis=0)[:, 1],
        diagnostics={**arms, **named, **diagnostics, **shares[0], "first_by_split": by_split["estimates_by_split"]},
    )


def _of(run: Run) -> Natural:
    assert run.natural is not None
    return run.natural


def _levels(data: Prepared, stated: str | None) -> tuple[tuple[Level, ...], list[Remark]] | Refused:
    """The values of the mediators for which controlled effects are wanted and can be had, the asked one first."""
    natural = data.spec.quantity != "CDE"
    if natural and stated is None and not two_values(data):
        return (), []
    first = stated_level(data, stated)
    rare = too_rare(data, first)
    if rare is not None and (stated is not None or not natural):
        return rare
    if rare is not None:
        return (), [Remark("no_four_way", f"{rare.reason} So the controlled effect, and what it is part of, are left "
                           "out.", tuple(sorted(data.spec.mediators)), rare.evidence)]
    if natural:
        return (first,), []
    said = []
    if stated is None:
        said.append(Remark("level_chosen", f"The mediators are set to {first.words}; mediator_level= chooses other "
                           "values.", tuple(sorted(data.spec.mediators)), {"level": first.words}))
    return (first, *(one for one in other_levels(data, first) if too_rare(data, one) is None)), said


def _comparisons(data: Prepared, levels: tuple[Level, ...]) -> tuple[list[str], np.ndarray]:
    """Labels (m,) and their weights (m, basis) on total, NDE, TDE and the controlled effects; the asked one first."""
    controlled = [f"{NAMES['CDE']}, {level.words}" for level in levels]
    if data.spec.quantity == "CDE":
        return controlled, np.eye(len(levels))
    zeros = (0,) * len(levels)
    rows = {NAMES[part]: (*weights, *zeros) for part, weights in PARTS.items()}
    rows |= {TOTAL: (1, 0, 0, *zeros), MEDIATED: (0, -1, 1, *zeros)}
    if levels:
        rows |= {controlled[0]: (0, 0, 0, 1), REFERENCE: (0, 1, 0, -1)}
    asked = NAMES[data.spec.quantity]
    labels = [asked, *(label for label in rows if label != asked)]
    return labels, np.array([rows[label] for label in labels], dtype=float)


def _overlap(
    data: Prepared, runs: list[Run], levels: tuple[Level, ...], clip: float
) -> tuple[dict[str, Any], tuple[Remark, ...]] | Refused:
    """Diagnostics and remarks on overlap: of the arms given the controls, given the mediators too, and of levels."""
    t, names = data.treatment, ", ".join(sorted(data.spec.mediators))
    found: dict[str, Any] = {}
    remarks: tuple[Remark, ...] = ()
    if runs[0].natural is not None:
        share = np.mean([_of(run).share for run in runs], axis=0)
        seen = require_overlap(replace(data, spec=data.spec.replace(quantity="ATE")), share, lowest(data, clip))
        if isinstance(seen, Refused):
            return replace(seen, remedy="Ask about a narrower population, or leave out controls that only decide the "
                           "treatment.")
        found, remarks = seen
        shares = np.bincount(t.codes, data.w, len(t.arms)) / data.n
        given = np.mean([_of(run).given for run in runs], axis=0)
        lacking = float(data.w @ (given[:, :2] < LOW * shares[:2]).any(axis=1)) / data.n
        told = _lacking(lacking, f"the values of {names} almost never occur under the other value of {t.name}",
                        f"so what {names} do there cannot be told from what {t.name} does", t.name)
        if isinstance(told, Refused):
            return told
        found["share_without_counterpart"], remarks = lacking, (*remarks, *told)
    for j, level in enumerate(levels):
        chance = np.mean([run.controlled[j].chance for run in runs], axis=0)
        cells = np.array([data.w @ (level.inside & (t.codes == b)) for b in (0, 1)]) / data.n
        lacking = float(data.w @ (chance < LOW * cells).any(axis=1)) / data.n
        told = _lacking(lacking, f"there is almost no chance of {level.words} under one of the values of {t.name}",
                        "so nobody shows what the treatment does there", t.name)
        if isinstance(told, Refused):
            return told
        remarks = (*remarks, *told)
    return found, remarks


def _lacking(share: float, what: str, why: str, name: str) -> tuple[Remark, ...] | Refused:
    evidence: Mapping[str, Any] = {"share_without_counterpart": share, "limit": REFUSED_SHARE}
    text = f"For {share:.0%} of the rows {what}"
    if share > REFUSED_SHARE:
        return Refused("positivity", f"{text}, {why}.", evidence, "Choose mediators that the treatment moves less, "
                       "other values to set them to, or a narrower population.")
    if share > WARNED_SHARE:
        return (Remark("weak_overlap", f"{text}; few rows weigh much there.", (name,), evidence),)
    return ()


def _proportion(
    estimates: np.ndarray, influence: np.ndarray, data: Prepared, level: float
) -> tuple[dict[str, Any], tuple[Remark, ...]]:
    """TIE over total with Fieller's interval, or a remark where the total is too near to zero for one."""
    from whence.estimation.inference import summaries

    weights = np.array([[1, 0, 0], [1, -1, 0]], dtype=float)
    pair = Answer(data, weights @ estimates[:3], influence[:, :3] @ weights.T)
    total, through = summaries(pair, level)
    half = (total.interval[1] - total.interval[0]) / 2
    factor = half / total.standard_error if total.standard_error > 0 else 0.0
    ends = fieller(through.estimate, total.estimate, pair.covariance[[1, 1, 0], [1, 0, 0]], factor)
    share = through.estimate / total.estimate if total.estimate != 0 else None
    found = {"proportion_mediated": {"estimate": share, "interval": ends, "level": level, "kind": "Fieller"}}
    name = (data.spec.treatment,)
    if ends is None:
        return found, (Remark("proportion_unbounded", "The total effect may be zero, so the share of it that goes "
                              "through the mediators has no interval: read the parts themselves.", name, found),)
    if share is not None and not 0 <= share <= 1:
        return found, (Remark("parts_oppose", f"The parts have opposite signs, so {share:.0%} of the total is no "
                              "share: read the parts themselves.", name, found),)
    return found, ()


def fieller(top: float, bottom: float, covariance: np.ndarray, factor: float) -> tuple[float, float] | None:
    """The ratios r for which top - r bottom is within ``factor`` standard errors of zero, where they are an interval.

    covariance: variance of the top, covariance, variance of the bottom. None where the bottom is within ``factor``
    errors of zero, so that no ratio far out can be excluded (Fieller 1954).
    """
    square = factor * factor
    a = bottom * bottom - square * float(covariance[2])
    b = top * bottom - square * float(covariance[1])
    c = top * top - square * float(covariance[0])
    if a <= 0:
        return None
    root = math.sqrt(max(b * b - a * c, 0.0))
    return (b - root) / a, (b + root) / a
