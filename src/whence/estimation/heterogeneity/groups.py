"""Effects of groups of people: sorted by fitted effects (GATES), or by the levels of a column, and who they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from whence.core.errors import WhenceError
from whence.core.result import Refused, Remark
from whence.estimation.effect import Comparison
from whence.estimation.heterogeneity.jointly import JointTest, jointly, said, wald
from whence.estimation.heterogeneity.ranking import fold_codes
from whence.estimation.heterogeneity.scores import Scores, as_long, checked, finite, group_means
from whence.stats.regress import covariance_matrix

CITATIONS = ("Chernozhukov, Demirer, Duflo and Fernández-Val (2025), Fisher-Schultz Lecture: Generic machine learning "
             "inference on heterogeneous treatment effects in randomized experiments, Econometrica 93(4)",
             "Wager (2024), Sequential validation of treatment heterogeneity, arXiv 2405.05534")
FEWEST = 10  # rows in a group


@dataclass(frozen=True)
class Groups:
    """Average effects of groups of people sorted by their fitted effects, the least affected first.

    groups: with joint intervals that hold together at ``level``. top_against_bottom: last group less the first; zero
    when the order says nothing. equal: test that all groups have the same effect. rearranged: the estimates sorted, as
    they should be when the order is right; ``in_order``: whether they already are. shares: of the weight, by group.
    n: rows in groups. folds: that were sorted each by its own fit. codes: int (n,) for all rows given, -1 for those
    left out.
    """

    groups: tuple[Comparison, ...]
    top_against_bottom: Comparison
    equal: JointTest | None
    rearranged: tuple[float, ...]
    in_order: bool
    shares: tuple[float, ...]
    n: int
    folds: int
    level: float
    remarks: tuple[Remark, ...] = ()
    codes: np.ndarray | None = field(default=None, metadata={"plain": False}, repr=False, compare=False)

    def __str__(self) -> str:
        return "\n".join([*map(said, self.groups), said(self.top_against_bottom), *(r.text for r in self.remarks)])


@dataclass(frozen=True)
class Levels:
    """Average effects by the levels of ``column``, with joint intervals. equal: test that all levels have the same
    effect. sizes: rows by level. n: rows in them."""

    column: str
    levels: tuple[Comparison, ...]
    equal: JointTest | None
    sizes: tuple[int, ...]
    n: int
    level: float
    remarks: tuple[Remark, ...] = ()

    def __str__(self) -> str:
        same = [] if self.equal is None else [f"all levels alike: p {self.equal.p_value:.2g}"]
        return "\n".join([*map(said, self.levels), *same, *(r.text for r in self.remarks)])


@dataclass(frozen=True)
class Trait:
    """Mean of a column among the least and among the most affected, and the difference, most less least."""

    name: str
    least: float
    most: float
    difference: Comparison

    def __str__(self) -> str:
        return f"{said(self.difference)}; {self.least:.4g} among the least, {self.most:.4g} among the most affected"


def group_effects(
    scores: np.ndarray, priorities: np.ndarray, *, groups: int = 5, folds: np.ndarray | None = None,
    weights: np.ndarray | None = None, clusters: np.ndarray | None = None, level: float = 0.95, seed: int = 0,
) -> Groups | Refused:
    """Sorted group average treatment effects (Chernozhukov et al. 2025) from doubly robust ``scores`` (n,).

    priorities: (n,), fitted effects, by a fit without the row and, with ``folds``, on folds of lower number only
    (Wager 2024), as ``by_earlier_folds`` makes them. People are cut into ``groups`` of equal weight within each fold;
    equal priorities stay together, and a fold in which they leave a group empty is left out. Joint intervals by the law
    of the largest t-value; errors clustered by ``clusters``.

    Raises ``WhenceError`` (``bad_groups``, ``bad_shape``, ``not_finite``, ``bad_weights``, ``clusters_split``).
    Refused: ``empty_group``, ``too_few_rows``.
    """
    if groups < 2:
        raise WhenceError("There must be at least 2 groups.", code="bad_groups", value=groups, allowed="2 or more")
    known = checked(scores, weights, clusters)
    order = finite(as_long(priorities, known.n, "priorities"), "priorities")
    fold = fold_codes(known, folds)
    if known.n < groups * FEWEST:
        return _few_rows(known, known.n // groups)
    codes, left_out = np.full(known.n, -1), 0
    count = int(fold.max(initial=-1)) + 1
    for k in range(count):
        rows = np.flatnonzero(fold == k)
        cut = _cut(order[rows], known.weights[rows], groups)
        if len(np.unique(cut)) == groups:
            codes[rows] = cut
        else:
            left_out += 1
    if left_out == count:
        return Refused("empty_group", f"The priorities have too many ties to make {groups} groups: one would be empty.",
                       {"groups": groups, "distinct": len(np.unique(order))}, "Ask for fewer groups.")
    few = _too_few(known, codes, groups)
    if few is not None:
        return few
    remarks = [] if not left_out else [Remark(
        "empty_group", f"In {left_out} of {count} folds ties leave a group empty: these folds were left out.", (),
        {"folds": count, "left out": left_out})]
    return _sorted(known, codes, groups, count - left_out, level, seed, remarks)


def _sorted(
    known: Scores, codes: np.ndarray, groups: int, folds: int, level: float, seed: int, remarks: list[Remark]
) -> Groups:
    used = np.flatnonzero(codes >= 0)
    own = known.take(used)
    means, psi = group_means(own.values, codes[used], groups, own)
    covariance, df = covariance_matrix(psi, own.clusters), _df(own, groups)
    labels = [_label(k, groups) for k in range(groups)]
    apart = np.zeros((1, groups))
    apart[0, 0], apart[0, -1] = -1, 1
    differences = np.diff(np.eye(groups), axis=0)
    in_order = bool((np.diff(means) >= 0).all())
    if not in_order:
        remarks.append(Remark("not_in_order", "The groups' effects do not rise with the fitted effects; "
                              "'rearranged' has them sorted, the intervals are those of the groups as they are.", (),
                              {"estimates": means.tolist()}))
    mass = np.bincount(codes[used], weights=own.weights, minlength=groups)
    return Groups(
        jointly(labels, means, covariance, level, df, seed),
        jointly(["most against least affected"], apart @ means, apart @ covariance @ apart.T, level, df, seed)[0],
        wald(differences @ means, differences @ covariance @ differences.T, df),
        tuple(np.sort(means).tolist()), in_order, tuple((mass / mass.sum()).tolist()), len(used), folds, level,
        tuple(remarks), codes,
    )


def level_effects(
    scores: np.ndarray, codes: np.ndarray, labels: Sequence[str], *, column: str = "group",
    weights: np.ndarray | None = None, clusters: np.ndarray | None = None, level: float = 0.95, seed: int = 0,
) -> Levels | Refused:
    """Average effect within each level of a column, known before treatment, from doubly robust ``scores`` (n,).

    codes: int (n,), positions in ``labels``, negative for rows without a level. A level of fewer than 10 rows, or of
    one cluster, has no error that could be trusted: it is left out and named. Refused: ``too_few_rows`` where less than
    one level remains. Raises ``WhenceError`` (``bad_shape``, ``not_finite``, ``bad_weights``).
    """
    known = checked(scores, weights, clusters)
    given = as_long(codes, known.n, "codes").astype(np.int64)
    enough = [k for k in range(len(labels)) if _enough(known, given == k)]
    if not enough:
        return Refused("too_few_rows", f"No level of {column!r} has {FEWEST} rows{_in_clusters(known)}.",
                       {"column": column, "levels": len(labels)}, "Join levels, or cut the column into fewer parts.")
    number = np.full(len(labels) + 1, -1)
    number[enough] = np.arange(len(enough))
    place = number[np.where(given < 0, -1, given)]
    used = np.flatnonzero(place >= 0)
    own, m = known.take(used), len(enough)
    means, psi = group_means(own.values, place[used], m, own)
    covariance, df = covariance_matrix(psi, own.clusters), _df(own, m)
    apart = np.diff(np.eye(m), axis=0)
    remarks = []
    small = [labels[k] for k in range(len(labels)) if k not in enough]
    if small:
        remarks.append(Remark("small_levels", f"Levels of {column!r} with fewer than {FEWEST} rows"
                              f"{_in_clusters(known)} were left out: {', '.join(small)}.", (column,),
                              {"levels": small}))
    if len(used) < known.n and (given < 0).any():
        remarks.append(Remark("no_level", f"{int((given < 0).sum()):,} rows have no level of {column!r}.", (column,),
                              {"rows": int((given < 0).sum())}))
    return Levels(
        column, jointly([labels[k] for k in enough], means, covariance, level, df, seed),
        wald(apart @ means, apart @ covariance @ apart.T, df), tuple(np.bincount(place[used], minlength=m).tolist()),
        len(used), level, tuple(remarks),
    )


def classification(
    features: np.ndarray, names: Sequence[str], codes: np.ndarray, *, weights: np.ndarray | None = None,
    clusters: np.ndarray | None = None, level: float = 0.95, seed: int = 0,
) -> tuple[Trait, ...] | Refused:
    """Who is most and who is least affected (classification analysis, Chernozhukov et al. 2025).

    features: (n, k). codes: int (n,) of ``Groups.codes``: the highest are compared with 0. p-values and joint
    intervals allow for the number of columns. Refused: ``too_few_rows``. Raises ``WhenceError`` (``bad_shape``,
    ``not_finite``, ``bad_weights``).
    """
    codes = np.asarray(codes)
    known = checked(np.zeros(len(codes)), weights, clusters)
    x = finite(as_long(features, known.n, "features"), "features")
    if x.ndim != 2 or x.shape[1] != len(names):
        raise WhenceError("Features need one name for each column.", code="bad_shape", value=x.shape,
                          allowed=f"(n, {len(names)})")
    ends = np.where(codes == 0, 0, np.where(codes == codes.max(initial=1), 1, -1))
    few = _too_few(known, ends, 2)
    if few is not None:
        return few
    used = np.flatnonzero(ends >= 0)
    own = known.take(used)
    columns = sorted(range(len(names)), key=lambda j: names[j])
    start = x[used[0]]  # so that what is the same for everybody differs by nothing, not by rounding
    found = [group_means(x[used, j] - start[j], ends[used], 2, own) for j in columns]
    psi = np.column_stack([influence[:, 1] - influence[:, 0] for _, influence in found])
    gaps = jointly([names[j] for j in columns], np.array([means[1] - means[0] for means, _ in found]),
                   covariance_matrix(psi, own.clusters), level, _df(own, 2), seed)
    return tuple(Trait(gap.label, float(means[0] + start[j]), float(means[1] + start[j]), gap)
                 for j, gap, (means, _) in zip(columns, gaps, found, strict=True))


def _cut(order: np.ndarray, weights: np.ndarray, groups: int) -> np.ndarray:
    """Group of each row by its place in rising order; equal values share the place in the middle of them."""
    levels, tie = np.unique(order, return_inverse=True)
    mass = np.bincount(tie, weights=weights, minlength=len(levels))
    middle = (np.cumsum(mass) - mass / 2) / mass.sum()
    return np.minimum((middle * groups).astype(np.int64), groups - 1)[tie]


def _label(k: int, groups: int) -> str:
    ends = {0: ", least affected", groups - 1: ", most affected"}
    return f"group {k + 1} of {groups}{ends.get(k, '')}"


def _df(known: Scores, means: int) -> float:
    return float(known.units - 1 if known.clusters is not None else known.n - means)


def _enough(known: Scores, inside: np.ndarray) -> bool:
    return int(inside.sum()) >= FEWEST and (known.clusters is None or len(np.unique(known.clusters[inside])) > 1)


def _in_clusters(known: Scores) -> str:
    return "" if known.clusters is None else " in two clusters"


def _too_few(known: Scores, codes: np.ndarray, groups: int) -> Refused | None:
    sizes = [int((codes == k).sum()) for k in range(groups)]
    if all(_enough(known, codes == k) for k in range(groups)):
        return None
    return _few_rows(known, min(sizes))


def _few_rows(known: Scores, smallest: int) -> Refused:
    return Refused("too_few_rows", f"The smallest group has {smallest:,} rows; {FEWEST}{_in_clusters(known)} are "
                   "needed.", {"smallest": smallest}, "Ask for fewer groups, or use more data.")
