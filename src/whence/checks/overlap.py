"""Overlap: whether both arms occur among rows of every kind, so that like is compared with like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.checks.check import Check, does_not_apply
from whence.checks.setting import Setting, inverse_weights, propensity, setting
from whence.checks.words import number, percent
from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.data.table import Table
from whence.estimation.effect import Effect
from whence.estimation.overlap import effective_size
from whence.graphs.graph import Graph

BINS = 20

CARD = Card(
    name="overlap",
    task="check",
    title="Is there someone to compare everyone with?",
    summary="The estimated probability of treatment in each arm, the range both share, and the weights it implies.",
    data_kinds=("binary", "categorical"),
    assumptions=("The treatment compares two groups.",),
    parameters=(
        Parameter("extreme", "float", 0.05, "A probability of treatment below this, or above one minus this, "
                  "is extreme.", low=0.0, high=0.5),
        Parameter("extreme_share", "float", 0.1, "Largest share of rows with an extreme probability.", 0.0, 1.0),
        Parameter("outside_share", "float", 0.05, "Largest share of rows outside the range that both arms "
                  "share.", low=0.0, high=1.0),
        Parameter("effective_share", "float", 0.3, "Smallest effective sample size of an arm after weighting, as "
                  "a share of its rows.", low=0.0, high=1.0),
        Parameter("heaviest_share", "float", 0.1, "Largest share of an arm's weight on a single row.", 0.0, 1.0),
    ),
    output="whence.checks.check.Check",
    cost="One logistic regression when the effect has no propensity scores; then linear in rows.",
    citations=(
        "Crump, R. K., Hotz, V. J., Imbens, G. W. and Mitnik, O. A. (2009). Dealing with limited overlap in "
        "estimation of average treatment effects. Biometrika 96(1).",
        "Kish, L. (1965). Survey Sampling (effective sample size).",
    ),
    function="whence.checks.overlap:overlap",
)


@dataclass(frozen=True)
class Overlap:
    """low, high: ends of the range of propensities seen in both arms. outside: share of the target rows
    beyond it. extreme: share of the target rows with an extreme propensity. effective: per arm (treated,
    control), effective sample size under the weights, and ``rows`` the actual one. heaviest: largest share
    of an arm's weight on one row.
    """

    low: float
    high: float
    outside: float
    extreme: float
    effective: tuple[float, float]
    rows: tuple[int, int]
    heaviest: float


def overlap_of(
    score: np.ndarray, treated: np.ndarray, weights: np.ndarray, target: np.ndarray, extreme: float
) -> Overlap:
    """The overlap of two arms.

    score: (n,) probability of treatment. treated: bool (n,). weights: (n,) of each row in its arm.
    target: bool (n,), rows the effect is about.
    """
    low = max(score[treated].min(), score[~treated].min())
    high = min(score[treated].max(), score[~treated].max())
    inside = (score >= low) & (score <= high)
    far = (score < extreme) | (score > 1 - extreme)
    arms = [weights[treated], weights[~treated]]
    effective = [effective_size(w) for w in arms]
    return Overlap(
        float(low), float(high), float(1 - inside[target].mean()), float(far[target].mean()),
        (effective[0], effective[1]), (len(arms[0]), len(arms[1])), max(float(w.max() / w.sum()) for w in arms),
    )


def overlap(
    table: Table, effect: Effect, *, graph: Graph | None = None, seed: int = 0,
    progress: Progress = SILENT, **params: Any,
) -> Check:
    """Compare the probability of treatment between the arms.

    Uses the effect's own propensity scores, else a logistic regression on the controls. Worry when a
    share exceeds its parameter: rows outside the range both arms share, rows with an extreme probability,
    weight on a single row (unless the arm is tiny), or when weighting leaves an arm too small an
    effective sample. For ATT and ATC only the rows the effect is about count for the first two.
    Raises ``WhenceError`` for unknown parameters and for tables that are not the effect's.
    """
    p = CARD.checked(params)
    s = setting(table, effect, parts=True)
    if not s.arms:
        return does_not_apply(CARD, "The treatment is a quantity, so there are no two groups to compare.")
    if s.randomised:
        return does_not_apply(CARD, "The treatment was assigned by chance, so everyone could have been in either.")
    if not s.labels:
        return does_not_apply(CARD, "Without controls everyone has the same probability of treatment.")
    score = propensity(s)
    found = overlap_of(score, s.treated, inverse_weights(s, score), s.target, p["extreme"])
    problems = _problems(found, p)
    numbers = _numbers(found, p)
    return Check(
        CARD.name, CARD.title, "worry" if problems else "pass",
        worry=(f"More than {percent(p['outside_share'])} of the rows outside the range that both groups share, more "
               f"than {percent(p['extreme_share'])} with a probability of treatment below {number(p['extreme'])} or "
               f"above {number(1 - p['extreme'])}, or an estimate that hangs on few rows with great weight."),
        saw=_saw(s, numbers, problems),
        cannot_show="It compares the groups on the controls we have, and trusts the fitted probabilities.",
        numbers=numbers, figure=_figure(score, s.treated),
    )


def _problems(found: Overlap, p: dict[str, Any]) -> list[str]:
    arms = list(zip(found.effective, found.rows, strict=True))
    few = any(effective < p["effective_share"] * rows for effective, rows in arms)
    heavy = found.heaviest > max(p["heaviest_share"], 5 / min(found.rows))
    tests = {
        "too many rows have no counterpart in the other group": found.outside > p["outside_share"],
        "too many probabilities are extreme": found.extreme > p["extreme_share"],
        "weighting leaves a group with few effective rows": few,
        "one row carries much of the weight": heavy,
    }
    return [words for words, failed in tests.items() if failed]


def _numbers(found: Overlap, p: dict[str, Any]) -> dict[str, Any]:
    return {
        "common_low": found.low, "common_high": found.high, "outside": found.outside,
        "inside": 1 - found.outside, "extreme_rows": found.extreme,
        "effective_treated": found.effective[0], "effective_control": found.effective[1],
        "treated": found.rows[0], "control": found.rows[1], "heaviest": found.heaviest,
        "extreme_high": 1 - p["extreme"], **p,
    }


def _saw(s: Setting, numbers: dict[str, Any], problems: list[str]) -> str:
    whom = {"ATT": "treated rows", "ATC": "untreated rows"}.get(s.data.spec.quantity, "rows")
    text = (
        f"{percent(numbers['inside'])} of the {whom} lie in the range both groups share, probabilities of treatment "
        f"from {number(numbers['common_low'])} to {number(numbers['common_high'])}; "
        f"{percent(numbers['extreme_rows'])} have an extreme probability. After weighting, the {numbers['treated']:,} "
        f"treated rows count like {number(numbers['effective_treated'])} and the {numbers['control']:,} others "
        f"{number(numbers['effective_control'])}; the heaviest row carries {percent(numbers['heaviest'])} of its "
        "group's weight."
    )
    return text + (" So " + ", and ".join(problems) + "." if problems else "")


def _figure(score: np.ndarray, treated: np.ndarray) -> dict[str, Any]:
    edges = np.linspace(0.0, 1.0, BINS + 1)
    return {
        "kind": "overlap", "edges": edges.tolist(),
        "treated": np.histogram(score[treated], edges)[0].tolist(),
        "control": np.histogram(score[~treated], edges)[0].tolist(),
    }
