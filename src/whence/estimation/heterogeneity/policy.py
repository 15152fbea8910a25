"""Whom to treat: a small tree learned from doubly robust scores, and its gain among people it was not learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

import numpy as np

from whence.core.errors import WhenceError
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.estimation.effect import Comparison
from whence.estimation.heterogeneity.jointly import jointly, said
from whence.estimation.heterogeneity.policy_tree import CUTS, Node, in_words, policy_tree, treated
from whence.estimation.heterogeneity.ranking import fold_codes
from whence.estimation.heterogeneity.scores import Scores, as_long, checked, finite, group_means
from whence.estimation.heterogeneity.sequential import by_earlier_folds
from whence.stats.regress import covariance_matrix
from whence.stats.resample import folds as make_folds

CITATIONS = ("Zhou, Athey and Wager (2023), Offline multi-action policy learning: generalization and optimization, "
             "Operations Research 71(1)",
             "Athey and Wager (2021), Policy learning with observational data, Econometrica 89(1)",
             "Wager (2024), Sequential validation of treatment heterogeneity, arXiv 2405.05534")
FEWEST = 40  # rows in a fold
MOST_COLUMNS = 100
UNITLESS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Policy:
    """A rule for whom to treat and its value, per person of the whole group, in units of the outcome.

    tree: fitted to all rows; ``rule`` says it in words, ``share`` is the part of people it treats. The values are of
    trees fitted in the same way to earlier folds, on the people of the next: against_nobody (gain over treating
    nobody), against_everybody, and everybody_against_nobody, with joint intervals that hold together. in_sample: gain
    over nobody that the best tree for the very people judged would have had; it flatters. regret_at_most: how much
    more that is than ``against_nobody``: on average no less than what the rules learned fall short of the best tree of
    this depth. cost: of treating one person. n: rows all in all; judged: rows the values come from. treats: boolean
    (n,), of ``tree``. units: of columns. switches: columns of 0 and 1.
    """

    tree: Node
    rule: str
    share: float
    against_nobody: Comparison
    against_everybody: Comparison
    everybody_against_nobody: Comparison
    in_sample: float
    regret_at_most: float
    depth: int
    cost: float
    prefer: str
    n: int
    judged: int
    folds: int
    level: float
    units: Mapping[str, str] = field(default_factory=dict)
    switches: tuple[str, ...] = ()
    remarks: tuple[Remark, ...] = ()
    treats: np.ndarray | None = field(default=None, metadata={"plain": False}, repr=False, compare=False)

    def __str__(self) -> str:
        values = (self.against_nobody, self.against_everybody, self.everybody_against_nobody)
        return "\n".join([f"{self.rule} ({self.share:.0%} of people)", *map(said, values),
                          *(r.text for r in self.remarks)])


def policy(
    scores: np.ndarray, columns: np.ndarray, names: Sequence[str], *, depth: int = 2, cost: float = 0.0,
    prefer: Literal["higher", "lower"] = "higher", units: Mapping[str, str] = UNITLESS,
    folds: np.ndarray | None = None, weights: np.ndarray | None = None, clusters: np.ndarray | None = None,
    cuts: int = CUTS, smallest: int | None = None, level: float = 0.95, seed: int = 0, progress: Progress = SILENT,
) -> Policy | Refused:
    """The tree of ``depth`` 0, 1 or 2 with the greatest gain, and its value from held-out people.

    scores: doubly robust, (n,). columns: (n, k), numbers by which people may be told apart, named and with ``units``.
    cost: of treating one person, in units of the outcome. prefer: which outcomes are good. folds: int (n,), learned
    from in their order; five are drawn when there are none. cuts: quantiles at which a column may be split.
    smallest: rows in a leaf, 1 in 50 by default. Errors clustered by ``clusters``.

    Raises ``WhenceError`` (``bad_depth``, ``bad_prefer``, ``bad_cost``, ``bad_cuts``, ``bad_shape``, ``not_finite``,
    ``bad_weights``, ``clusters_split``). Refused: ``too_few_rows``, ``too_many_columns`` (the search goes through all
    pairs of them).
    """
    _check(depth, prefer, cost, cuts)
    known = checked(scores, weights, clusters)
    x = finite(as_long(columns, known.n, "columns"), "columns")
    if x.ndim != 2 or x.shape[1] != len(names) or len(set(names)) != len(names):
        raise WhenceError("Columns need one name each, all different.", code="bad_shape", value=x.shape,
                          allowed=f"(n, {len(names)})")
    if folds is None:
        folds = make_folds(5, np.zeros(known.n, dtype=np.int64), known.clusters, seed, "policy") if known.n else None
    fold = fold_codes(known, folds)
    few = _out_of_reach(known, fold, len(names))
    if few is not None:
        return few
    gains = (known.values if prefer == "higher" else -known.values) - cost

    def learn(rows: np.ndarray) -> Node:
        leaf = max(1, len(rows) // 50) if smallest is None else smallest
        return policy_tree(gains[rows], x[rows], names, depth=depth, weights=known.weights[rows], cuts=cuts,
                           smallest=leaf)

    out = by_earlier_folds(lambda old, new: treated(learn(old), x[new], names), fold, progress)
    treats = out.priorities > 0
    own, gained = known.take(out.rows), gains[out.rows]
    values = _values(treats, gained, own, level, seed)
    best = treated(learn(out.rows), x[out.rows], names)
    # Cuts differ a little from fold to fold, so that a tree learned elsewhere can be the better one here.
    in_sample = max(float(own.weights @ np.where(best, gained, 0.0) / own.weights.sum()), values[0].estimate)
    tree = learn(np.arange(known.n))
    everybody = treated(tree, x, names)
    switches = tuple(sorted(n for j, n in enumerate(names) if np.isin(x[:, j], (0.0, 1.0)).all()))
    return Policy(
        tree, in_words(tree, units, switches), float(known.weights @ everybody / known.weights.sum()), *values,
        in_sample, in_sample - values[0].estimate, depth, float(cost), prefer, known.n, own.n,
        len(np.unique(out.folds)), level, dict(units), switches, (), everybody,
    )


def _check(depth: int, prefer: str, cost: float, cuts: int) -> None:
    if depth not in (0, 1, 2):
        raise WhenceError("A policy tree has a depth of 0, 1 or 2.", code="bad_depth", value=depth, allowed=("0, 1, 2"))
    if prefer not in ("higher", "lower"):
        raise WhenceError("'prefer' says whether higher or lower outcomes are good.", code="bad_prefer", value=prefer,
                          allowed=("higher", "lower"))
    if not np.isfinite(cost):
        raise WhenceError("The cost of treating one person must be a number.", code="bad_cost", value=cost,
                          allowed="finite numbers, in units of the outcome")
    if not 1 <= cuts <= 512:
        raise WhenceError("A column may be split at 1 to 512 places.", code="bad_cuts", value=cuts, allowed="1 to 512")


def _out_of_reach(known: Scores, fold: np.ndarray, columns: int) -> Refused | None:
    if columns > MOST_COLUMNS:
        return Refused("too_many_columns", f"The search goes through all pairs of columns, and there are {columns:,}.",
                       {"columns": columns, "most": MOST_COLUMNS}, "Name the columns that a rule may use.")
    sizes = np.bincount(fold) if len(fold) else np.zeros(0, dtype=np.int64)
    if len(sizes) >= 2 and sizes.min() >= FEWEST and known.units >= 2 * len(sizes):
        return None
    return Refused("too_few_rows", f"A rule is learned from some folds and judged on others: at least two folds of "
                   f"{FEWEST} rows are needed, and two clusters in each.",
                   {"rows": known.n, "folds": len(sizes), "units": known.units}, "Use more data, or fewer folds.")


def _values(
    treats: np.ndarray, gained: np.ndarray, own: Scores, level: float, seed: int
) -> tuple[Comparison, Comparison, Comparison]:
    """The rule against nobody and against everybody, and everybody against nobody."""
    parts = [np.where(treats, gained, 0.0), np.where(treats, 0.0, -gained), gained]
    found = [group_means(part, np.zeros(own.n, dtype=np.int64), 1, own) for part in parts]
    psi = np.column_stack([influence for _, influence in found])
    df = float(own.units - 1)
    labels = ["the rule against nobody", "the rule against everybody", "everybody against nobody"]
    first, second, third = jointly(labels, np.array([means[0] for means, _ in found]),
                                   covariance_matrix(psi, own.clusters), level, df, seed)
    return first, second, third
