"""Rosenbaum bounds: how far apart the odds of treatment within matched pairs may be before the effect is in doubt."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.checks.check import Check, does_not_apply
from whence.checks.setting import Setting, propensity, setting
from whence.checks.words import count, number, p_text, percent
from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import to_plain
from whence.data.table import Table
from whence.estimation.effect import Effect
from whence.graphs.graph import Graph
from whence.stats.pairs import pairs

SHOWN = (1.0, 1.25, 1.5, 2.0, 3.0, 5.0)
LARGEST = 1000.0
EXACT = 60  # pairs, up to which the distribution of ranks is counted out
FEWEST = 8  # pairs

CARD = Card(
    name="rosenbaum",
    task="check",
    title="How unequal could the odds of treatment be within pairs?",
    summary="Treated and untreated rows are paired; a hidden cause that shifts the odds of treatment within pairs by a "
    "factor gamma is let do its worst.",
    data_kinds=("binary", "categorical"),
    assumptions=("Within pairs, what is measured leaves the odds of treatment about equal.",),
    parameters=(
        Parameter("statistic", "choice", "wilcoxon", "Test within pairs: signed ranks, signs, or Huber's scores that "
                                                     "stop "
                  "at three medians.", choices=("wilcoxon", "sign", "huber")),
        Parameter("matching", "choice", None, "Optimal or greedy pairs by the log odds of treatment. None: optimal "
                                              "where "
                  "the groups are small.", choices=("optimal", "greedy"), optional=True),
        Parameter("caliper", "float", 0.2, "Widest gap within a pair, in standard deviations of the log odds.", 0.0,
                  open_ends=True),
        Parameter("alpha", "float", 0.05, "Level of the two-sided test.", 0.0, 1.0, open_ends=True),
        Parameter("weak", "float", 1.25, "A gamma below this worries us.", 1.0),
        Parameter("most_rows", "int", 50_000, "Beyond so many rows the pairs are not made.", 1),
    ),
    output="whence.checks.check.Check",
    cost="Rows times their logarithm for the pairs.",
    citations=(
        "Rosenbaum, P. R. (2002). Observational Studies, 2nd ed., chapter 4.",
        "Rosenbaum, P. R. (2007). Sensitivity analysis for m-estimates, tests, and confidence intervals in matched "
        "observational studies. Biometrics 63(2), 456-464.",
        "Rosenbaum, P. R. and Silber, J. H. (2009). Amplification of sensitivity analysis in matched observational "
        "studies. Journal of the American Statistical Association 104(488), 1398-1405.",
    ),
    function="whence.checks.rosenbaum:rosenbaum",
)


@dataclass(frozen=True)
class SignedScores:
    """Scores (m,) of the pairs that differ and the sum of those whose difference has the sign of the effect."""

    scores: np.ndarray
    total: float

    def p_value(self, gamma: float) -> float:
        """The largest one-sided p-value when the odds of treatment within a pair differ by at most ``gamma``.

        The score of each pair counts with chance gamma / (1 + gamma), independently (Rosenbaum 2002, section 4.3.2).
        Counted out for few pairs whose scores are multiples of one half, else by the normal distribution.
        """
        chance = gamma / (1 + gamma)
        doubled = np.round(2 * self.scores)
        if len(doubled) <= EXACT and np.abs(doubled - 2 * self.scores).max(initial=0.0) < 1e-9:
            return self._exact(doubled.astype(int), chance)
        from scipy.special import ndtr

        centre, spread = chance * self.scores.sum(), math.sqrt(chance * (1 - chance) * float(self.scores @ self.scores))
        return float(ndtr((centre - self.total) / spread))

    def _exact(self, doubled: np.ndarray, chance: float) -> float:
        distribution = np.ones(1)
        for size in doubled.tolist():
            longer = np.zeros(len(distribution) + size)
            longer[: len(distribution)] = (1 - chance) * distribution
            longer[size:] += chance * distribution
            distribution = longer
        return float(distribution[round(2 * self.total):].sum())


def signed_scores(differences: np.ndarray, statistic: str) -> SignedScores:
    """Scores of differences (m,) within pairs: ranks of their sizes, ones, or Huber's; differences of zero say nothing.
    
    """
    differences = differences[differences != 0]
    sizes = np.abs(differences)
    if statistic == "wilcoxon":
        _, place, ties = np.unique(sizes, return_inverse=True, return_counts=True)
        scores = (np.cumsum(ties) - (ties - 1) / 2)[place]  # the mean rank of those that tie
    elif statistic == "sign":
        scores = np.ones(len(sizes))
    else:
        scores = np.minimum(sizes / np.median(sizes), 3.0) if len(sizes) else sizes
    up = float(scores[differences > 0].sum())
    return SignedScores(scores, max(up, float(scores.sum()) - up))


def critical_gamma(found: SignedScores, alpha: float) -> float:
    """The largest gamma at which the two-sided p-value stays at or below ``alpha``; 1 when none does."""
    if 2 * found.p_value(1.0) > alpha:
        return 1.0
    if 2 * found.p_value(LARGEST) <= alpha:
        return LARGEST
    low, high = 1.0, LARGEST
    for _ in range(60):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if 2 * found.p_value(middle) <= alpha else (low, middle)
    return low


def rosenbaum(
    table: Table, effect: Effect, *, graph: Graph | None = None, seed: int = 0,
    progress: Progress = SILENT, **params: Any,
) -> Check:
    """Pairs by the log odds of treatment, then the largest p-value that a hidden cause could hide, gamma by gamma.

    ``numbers``: pairs, the p-value without a hidden cause, ``gamma`` at which significance is lost, and one number
    ``both`` so that a hidden cause which multiplies the odds of treatment and the odds of a positive difference by it
    does the same. Worry: gamma below ``weak``. Informational: the pairs show no difference as it is.
    Raises ``WhenceError`` for unknown parameters and for tables that are not the effect's.
    """
    p = CARD.checked(params)
    s = setting(table, effect)
    if s.randomised:
        return does_not_apply(CARD, "The treatment was assigned by chance, so nothing hidden can lie behind it.")
    if not s.arms:
        return does_not_apply(CARD, "The treatment is a dose; pairs need treated and untreated rows.")
    if s.n > p["most_rows"]:
        return does_not_apply(CARD, f"There are {s.n:,} rows; pairs are made up to most_rows={p['most_rows']:,}.")
    score = propensity(s)
    odds = np.log(score / (1 - score))
    spread = float(odds.std())
    made = pairs(odds, s.treated, p["caliper"] * spread if spread > 0 else 1.0,
                 None if p["matching"] is None else p["matching"] == "optimal")
    differences = s.outcome[made[:, 0]] - s.outcome[made[:, 1]]
    if np.count_nonzero(differences) < FEWEST:
        return does_not_apply(CARD, f"Only {count(int(np.count_nonzero(differences)), 'pair')} could be made whose "
                              "outcomes differ.")
    found = signed_scores(differences, p["statistic"])
    gamma = critical_gamma(found, p["alpha"])
    numbers = {
        "pairs": len(made), "paired": len(made) / int(min(s.treated.sum(), (~s.treated).sum())),
        "statistic": p["statistic"], "alpha": p["alpha"],
        "median_difference": float(np.median(differences)), "p_value": min(1.0, 2 * found.p_value(1.0)),
        "gamma": gamma, "both": gamma + math.sqrt(gamma * gamma - 1), "weak": p["weak"],
        "largest_imbalance": _imbalance(s, made), "effect": effect.estimate,
    }
    return _told(numbers, found)


def _imbalance(s: Setting, made: np.ndarray) -> float:
    """The largest standardised difference of a control between the two rows of the pairs."""
    x = s.controls
    if not x.shape[1]:
        return 0.0
    spread = x.std(axis=0)
    gap = np.abs((x[made[:, 0]] - x[made[:, 1]]).mean(axis=0))
    return float((gap / np.where(spread > 0, spread, 1.0)).max())


def _told(numbers: dict[str, Any], found: SignedScores) -> Check:
    gamma = numbers["gamma"]
    rows = [{"label": f"odds up to {g:g} times", "gamma": g, "largest_p_value": min(1.0, 2 * found.p_value(g))}
            for g in SHOWN]
    curve = [[g, min(1.0, 2 * found.p_value(g))] for g in np.linspace(1, max(2.0, min(2 * gamma, 20.0)), 40).tolist()]
    verdict = "informational" if gamma == 1 else "worry" if gamma < numbers["weak"] else "pass"
    return Check(
        CARD.name, CARD.title, verdict,
        worry=(f"A hidden cause that makes one row of a pair only {number(numbers['weak'])} times as likely to be "
               f"treated "
               "as the other, in odds, would be enough to lose significance."),
        saw=_saw(numbers),
        cannot_show=("It says how strong a hidden cause would have to be, not whether there is one. It is about the "
                     "rows "
                     "that could be paired, takes pairs as independent, and tests whether there is any effect; it does "
                     "not bound its size."),
        numbers=to_plain(numbers),
        figure=to_plain({"kind": "rosenbaum", "curve": curve, "alpha": numbers["alpha"], "gamma": gamma, "rows": rows}),
    )


def _saw(numbers: dict[str, Any]) -> str:
    which = {"wilcoxon": "signed ranks", "sign": "signs", "huber": "Huber's scores"}[numbers["statistic"]]
    text = (f"{count(numbers['pairs'], 'pair')} of a treated and an untreated row were made by their chance of "
            f"treatment "
            f"({percent(numbers['paired'])} of the smaller group); within them the median difference of the "
            f"outcome is {number(numbers['median_difference'])} ({which}, {p_text(numbers['p_value'])}). ")
    if numbers["gamma"] == 1:
        return text + "That is not significant as it is, so there is nothing for a hidden cause to explain."
    beyond = "more than " if numbers["gamma"] >= LARGEST else ""
    text += (f"A hidden cause would have to multiply the odds of treatment within pairs by {beyond}"
             f"{number(numbers['gamma'])} for that to be lost, or the odds of treatment and of a higher outcome both "
             f"by "
             f"{number(numbers['both'])}.")
    if numbers["largest_imbalance"] > 0.1:
        text += (f" The pairs are not alike in every control: they differ by up to "
                 f"{number(numbers['largest_imbalance'])} standard deviations.")
    return text
