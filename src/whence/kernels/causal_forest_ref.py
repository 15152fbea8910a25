"""The reference of the honest causal forest (Athey, Tibshirani and Wager 2019): slow, with the native kernel's random
numbers and order of summation, so that both give the same."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

WORD = (1 << 64) - 1
DEEPEST = 60


class Random:
    """splitmix64 (Steele, Lea and Flood 2014)."""

    def __init__(self, state: int) -> None:
        self.state = state & WORD

    def next(self) -> int:
        self.state = (self.state + 0x9E3779B97F4A7C15) & WORD
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & WORD
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & WORD
        return z ^ (z >> 31)

    def shuffle(self, items: list[int], k: int) -> None:
        """The first k of ``items`` become a random subset of them, in random order."""
        for i in range(k):
            j = i + (self.next() * (len(items) - i) >> 64)
            items[i], items[j] = items[j], items[i]


@dataclass
class Node:
    """A leaf while ``feature`` is -1. sums: of 1, y, w, w y and w w over the honest rows; averages at the end."""

    feature: int = -1
    threshold: float = 0.0
    left: Node | None = None
    right: Node | None = None
    sums: np.ndarray = field(default_factory=lambda: np.zeros(5))


@dataclass(frozen=True)
class Setup:
    """x: (p, n). y, w: (n,), residuals. rank: (p, n), each column's rows in ascending order."""

    x: np.ndarray
    y: np.ndarray
    w: np.ndarray
    rank: np.ndarray
    members: list[np.ndarray]
    mtry: int
    least: int
    alpha: float


def causal_forest(
    x: np.ndarray, y: np.ndarray, w: np.ndarray, cluster: np.ndarray, clusters: int, query: np.ndarray, trees: int,
    group_size: int, mtry: int, least: int, alpha: float, seed: int, threads: int, effect: np.ndarray,
    variance: np.ndarray,
) -> None:
    """Fills ``effect`` and ``variance`` of the columns of ``query`` (p, m), or, where it has none, of the rows of ``x``
    (p, n), each then by the trees that did not see it; NaN where no tree speaks.

    y, w: (n,), outcome and treatment less their expectations. cluster: (n,), 0 to clusters - 1, drawn whole. trees: in
    groups of ``group_size``, which share half of the clusters. mtry: columns tried at a split. least: treated and
    untreated rows on each side of it. alpha: smallest part of a node's rows and variation that goes to one side.
    """
    n = x.shape[1]
    s = Setup(x, y, w, np.argsort(x, axis=1, kind="stable"), [np.flatnonzero(cluster == c) for c in range(clusters)],
              min(mtry, len(x)), least, alpha)
    grown: list[Node] = []
    drawn = np.zeros((trees // group_size, n), dtype=bool)
    for g in range(trees // group_size):
        random = Random(seed + 0x632BE59BD9B4E019 * (g + 1))
        random.next()
        half = list(range(clusters))
        random.shuffle(half, clusters // 2)
        half = half[: clusters // 2]
        for c in half:
            drawn[g, s.members[c]] = True
        grown += [_grow(s, random, list(half)) for _ in range(group_size)]
    rows = query if query.shape[1] else x
    seen = np.repeat(drawn, group_size, axis=0) if not query.shape[1] else None
    effect[:], variance[:] = _predict(grown, seen, rows, group_size)


def _grow(s: Setup, random: Random, drawn: list[int]) -> Node:
    """One tree: of the clusters drawn the first half, shuffled, grows it; the other half is held in its leaves."""
    random.shuffle(drawn, len(drawn))
    growing, honest = np.zeros(s.x.shape[1], dtype=bool), np.zeros(s.x.shape[1], dtype=bool)
    for place, c in enumerate(drawn):
        (growing if place < len(drawn) // 2 else honest)[s.members[c]] = True
    columns = list(range(len(s.x)))
    tree = _split(s, [rows[growing[rows]] for rows in s.rank], 0, columns, random)
    rows = np.flatnonzero(honest)
    _hold(tree, s, rows)
    return _pruned(tree) or Node()


def _split(s: Setup, order: list[np.ndarray], depth: int, columns: list[int], random: Random) -> Node:
    rows = order[0]
    size = len(rows)
    if size < 2 * s.least or depth > DEEPEST:
        return Node()
    w, y = _sum(s.w[rows]) / size, _sum(s.y[rows]) / size
    dw = s.w[rows] - w
    ww, wy = _sum(dw * dw), _sum(dw * (s.y[rows] - y))
    if not ww > 1e-12 * size:
        return Node()
    tau = wy / ww
    rho = np.zeros(s.x.shape[1])
    rho[rows] = dw * (s.y[rows] - y - tau * dw)
    random.shuffle(columns, s.mtry)
    best, best_column, best_place = 0.0, -1, 0
    for column in columns[: s.mtry]:
        gain, place = _scan(s, order[column], s.x[column], rho, w, ww)
        if gain > best:
            best, best_column, best_place = gain, column, place
    if best_column < 0:
        return Node()
    by = order[best_column]
    low, high = s.x[best_column, by[best_place]], s.x[best_column, by[best_place + 1]]
    threshold = low + 0.5 * (high - low)
    mark = np.zeros(s.x.shape[1], dtype=bool)
    mark[by[: best_place + 1]] = True
    node = Node(best_column, float(threshold if threshold < high else low))
    node.left = _split(s, [one[mark[one]] for one in order], depth + 1, columns, random)
    node.right = _split(s, [one[~mark[one]] for one in order], depth + 1, columns, random)
    return node


def _scan(
    s: Setup, by: np.ndarray, x: np.ndarray, rho: np.ndarray, w: float, ww: float
) -> tuple[float, int]:
    """The largest gain of a cut of one column and the last place on its left; (0, 0) where none is allowed."""
    size = len(by)
    fewest = max(s.least, math.ceil(s.alpha * size))
    dw, above = s.w[by] - w, np.cumsum(s.w[by] > w)
    left, left_ww = np.cumsum(rho[by]), np.cumsum(dw * dw)
    a = np.arange(1, size)
    b = size - a
    right, right_above, left_above = left[-1] - left[:-1], above[-1] - above[:-1], above[:-1]
    allowed = (a >= fewest) & (b >= fewest) & (x[by[:-1]] != x[by[1:]])
    allowed &= (left_above >= s.least) & (a - left_above >= s.least)
    allowed &= (right_above >= s.least) & (b - right_above >= s.least)
    allowed &= (left_ww[:-1] >= s.alpha * ww) & (ww - left_ww[:-1] >= s.alpha * ww)
    gain = np.where(allowed, left[:-1] * left[:-1] / a + right * right / b, 0.0)
    place = int(gain.argmax())
    return float(gain[place]), place


def _hold(node: Node, s: Setup, rows: np.ndarray) -> None:
    if node.left is None or node.right is None:
        y, w = s.y[rows], s.w[rows]
        node.sums = np.array([len(rows), _sum(y), _sum(w), _sum(w * y), _sum(w * w)])
        if len(rows):
            node.sums[1:] /= len(rows)
        return
    low = s.x[node.feature, rows] <= node.threshold
    _hold(node.left, s, rows[low])
    _hold(node.right, s, rows[~low])


def _pruned(node: Node) -> Node | None:
    """The tree with leaves that hold no honest rows giving way to their siblings; None where nothing is held."""
    if node.left is None or node.right is None:
        return node if node.sums[0] > 0 else None
    node.left, node.right = _pruned(node.left), _pruned(node.right)
    return node if node.left is not None and node.right is not None else node.left or node.right


def _sum(values: np.ndarray) -> float:
    """One after the other, as the native kernel adds them up."""
    return float(np.cumsum(values)[-1]) if len(values) else 0.0


def _leaves(node: Node, x: np.ndarray, rows: np.ndarray, out: np.ndarray) -> None:
    if node.left is None or node.right is None:
        out[:, rows] = node.sums[:, None]
        return
    low = x[node.feature, rows] <= node.threshold
    _leaves(node.left, x, rows[low], out)
    _leaves(node.right, x, rows[~low], out)


def _predict(
    trees: list[Node], seen: np.ndarray | None, x: np.ndarray, group_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Effects and variances (m,) of the columns of ``x``. seen: boolean (trees, m), rows a tree does not speak of."""
    m = x.shape[1]
    leaves = np.zeros((len(trees), 5, m))
    for b, tree in enumerate(trees):
        _leaves(tree, x, np.arange(m), leaves[b])
        if seen is not None:
            leaves[b][:, seen[b]] = 0.0
    speaks = leaves[:, 0] > 0
    count = speaks.sum(axis=0)
    total = np.cumsum(leaves[:, 1:], axis=0)[-1]
    y, w, wy, ww = total / np.maximum(count, 1)
    spread = ww - w * w
    known = (count > 0) & (spread > 1e-10)
    effect, variance = np.full(m, np.nan), np.full(m, np.nan)
    effect[known] = (wy - w * y)[known] / spread[known]
    for i in np.flatnonzero(known):
        variance[i] = _little_bags(leaves[:, 1:, i], speaks[:, i], group_size, effect[i], y[i], w[i], spread[i])
    return effect, variance


def _little_bags(
    leaves: np.ndarray, speaks: np.ndarray, group_size: int, effect: float, y: float, w: float, spread: float
) -> float:
    """Variance of one prediction (section 4.1): the spread between groups of trees less what the spread within them
    leaves of it. leaves: (trees, 4), averages of y, w, w y and w w."""
    base = y - effect * w
    one = leaves[:, 2] - leaves[:, 1] * base - leaves[:, 3] * effect
    zero = leaves[:, 0] - base - leaves[:, 1] * effect
    influence = ((one - w * zero) / spread).reshape(-1, group_size)[speaks.reshape(-1, group_size).all(axis=1)]
    if len(influence) < 2:
        return math.nan
    between, total = float((influence.mean(axis=1) ** 2).mean()), float((influence**2).mean())
    noise = (total - between) / (group_size - 1)
    raw, error = between - noise, max(between, noise) * math.sqrt(2 / len(influence))
    if not error > 0:
        return max(raw, 0.0)
    ratio = raw / error  # kept positive by a flat prior on the positive half line
    tail = 0.5 * math.erfc(-ratio / math.sqrt(2))
    bump = math.exp(-0.5 * ratio * ratio) / math.sqrt(2 * math.pi)
    return raw + error * bump / tail if tail > 1e-300 else error / max(-ratio, 1.0)
