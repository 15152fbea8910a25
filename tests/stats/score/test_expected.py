"""Discrete scores with gaps: near the counts that an exact EM expects, and far better than complete rows alone."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

import whence
from whence import WhenceError
from whence.data.table import Table
from whence.discovery.discovery import Discovery
from whence.graphs.classes import CPDAG, DAG
from whence.graphs.graph import ARROW, TAIL, Graph
from whence.graphs.metrics import shd
from whence.graphs.transform import to_cpdag
from whence.simulate.networks import DiscreteNetwork
from whence.stats.score import expected
from whence.stats.score.choose import score
from whence.stats.score.expected import expected_rows

Columns = dict[str, list[str | None]]


def _network(d: int, seed: int) -> DiscreteNetwork:
    """Up to two parents each, two or three levels, clear dependence."""
    rng = np.random.default_rng(seed)
    names = tuple(f"v{k:02d}" for k in range(d))
    parents = {v: tuple(sorted(rng.choice(names[max(0, k - 4) : k], min(k, int(rng.integers(1, 3))), replace=False)))
               for k, v in enumerate(names)}
    levels = {v: tuple("abc"[: rng.integers(2, 4)]) for v in names}
    tables = {v: rng.dirichlet(np.full(len(levels[v]), 0.4 if of else 3.0), [len(levels[p]) for p in of])
              for v, of in parents.items()}
    marks = np.zeros((d, d), dtype=np.int8)
    for v, of in parents.items():
        for p in of:
            marks[names.index(p), names.index(v)], marks[names.index(v), names.index(p)] = ARROW, TAIL
    return DiscreteNetwork(DAG(names, marks), parents, tables, levels)


def _gaps(table: Table, rate: float, rng: np.random.Generator, at_random: bool = False) -> Columns:
    """Values missing with this probability; at random: only in every other column, more where the next one is high."""
    out: Columns = {}
    names = sorted(table.names)
    for k, name in enumerate(names):
        chance = np.full(len(table), rate)
        if at_random:
            deciding = table.codes(names[(k + 1) % len(names) // 2 * 2])
            chance = np.where(deciding > 0, 2.4 * rate, 0.3 * rate) * (k % 2)
        gone, levels = rng.random(len(table)) < chance, table.levels(name) or ()
        out[name] = [None if g else levels[c] for g, c in zip(gone, table.codes(name), strict=True)]
    return out


def _exact_em(codes: np.ndarray, seen: np.ndarray, cards: list[int]) -> np.ndarray:
    """The most probable joint distribution of all columns given the values that there are, by loops."""
    joint = np.full(cards, 1 / math.prod(cards))
    patterns, times = np.unique(np.where(seen, codes, -1).T, axis=0, return_counts=True)
    for _ in range(400):
        counts = np.zeros(cards)
        for row, k in zip(patterns, times, strict=True):
            at = tuple(slice(None) if v < 0 else slice(v, v + 1) for v in row)
            counts[at] += k * joint[at] / joint[at].sum()
        joint = counts / counts.sum()
    return joint


@pytest.mark.parametrize("at_random", [False, True])
def test_scores_are_near_those_of_the_counts_that_exact_em_expects(at_random: bool) -> None:
    rng = np.random.default_rng(4)
    n = 6000
    a = rng.choice(3, n, p=[0.5, 0.3, 0.2])
    b = np.where(rng.random(n) < 0.6, a % 2, rng.integers(0, 2, n))
    c = np.where(rng.random(n) < 0.5, (a + b) % 3, rng.integers(0, 3, n))
    codes = np.array([a, b, c])
    seen = rng.random((3, n)) > (np.array([0 * a, 0.15 + 0.4 * (a > 0), 0.1 + 0.5 * (a == 0)]) if at_random else 0.3)
    table = whence.read({v: ["xyz"[k] if s else None for k, s in zip(codes[i], seen[i], strict=True)]
                         for i, v in enumerate("abc")})
    found = score(table, ("a", "b", "c"), "discrete_bic", {"penalty": 0.0, "gamma": 0.0})
    together = [int((seen[i] & seen[j]).sum()) for i, j in itertools.combinations(range(3), 2)]
    assert found.n == round(np.mean(together)) and found.remarks[0].code == "missing_expected"
    joint = _exact_em(codes, seen, [3, 2, 3])

    def by_hand(y: int, parents: tuple[int, ...]) -> float:
        with_y = joint.sum(axis=tuple(set(range(3)) - {y, *parents}), keepdims=True)
        given = joint.sum(axis=tuple(set(range(3)) - set(parents)), keepdims=True)
        return float(found.n * (joint * (np.log(with_y) - np.log(given))).sum())

    # What parents add is found within a few per cent: five draws of the gaps differ from their expectation.
    for y in range(3):
        for k in (1, 2):
            for parents in itertools.combinations([z for z in range(3) if z != y], k):
                gain = found.local("abc"[y], ["abc"[p] for p in parents]) - found.local("abc"[y])
                assert gain == pytest.approx(by_hand(y, parents) - by_hand(y, ()), rel=0.08), (y, parents)


def _far(found: Any, truth: Graph) -> int:
    """SHD; a column that is constant in the rows used has no edges, and a refusal finds none."""
    marks = np.zeros((len(truth.names),) * 2, dtype=np.int8)
    if isinstance(found, Discovery):
        at = [truth.names.index(n) for n in found.graph.names]
        marks[np.ix_(at, at)] = found.graph.marks
    return shd(CPDAG(truth.names, marks), truth)


def _distances(seeds: range, method: str, at_random: bool, score_name: str = "auto") -> np.ndarray:
    """SHD with no gaps, with gaps, and from complete rows: (seeds, 3)."""
    out = []
    for seed in seeds:
        model = _network(7, seed)
        table, truth = model.sample(1500, seed), to_cpdag(model.graph)
        given = whence.read(_gaps(table, 0.3, np.random.default_rng(seed), at_random))
        complete = given.take(given.complete(given.names))
        out.append([_far(whence.discover(t, method, score=score_name), truth) for t in (table, given, complete)])
    return np.array(out)


@pytest.mark.parametrize("at_random", [False, True])
def test_gaps_cost_far_less_than_leaving_their_rows_out(at_random: bool) -> None:
    none, ours, complete = _distances(range(8), "ges", at_random).mean(axis=0)
    assert ours < min(none + 2.5, complete - 1.5), (none, ours, complete)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bdeu", "discrete_bic", "qnml"])
@pytest.mark.parametrize("at_random", [False, True])
def test_gaps_cost_far_less_with_every_score(name: str, at_random: bool) -> None:
    none, ours, complete = _distances(range(100, 160), "boss", at_random, name).mean(axis=0)
    assert ours < min(none + 2.5, complete - 1.5), (none, ours, complete)


def test_gaps_make_no_edges() -> None:
    edges = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        given: dict[str, Any] = {f"v{k}": np.where(rng.random(400) < 0.4, None, rng.choice(["a", "b", "c"], 400))
                                 for k in range(6)}
        edges += len(whence.discover(given, "ges").graph.edges())
    assert edges <= 2  # of 180 pairs


def test_the_order_of_columns_does_not_matter_and_without_gaps_nothing_is_drawn() -> None:
    table = _network(5, 3).sample(300, 3)
    given = _gaps(table, 0.2, np.random.default_rng(0))
    names = tuple(given)
    one, other = (score(whence.read(given), n, "bdeu") for n in (names, names[::-1]))
    for y in names:
        for z in set(names) - {y}:
            assert one.local(y, [z]) == pytest.approx(other.local(y, [z]), rel=1e-12)
    plain = expected_rows(table, names)
    assert not plain.remarks and plain.copies == 1 and plain.worth == plain.whole == len(table)


def test_draws_keep_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expected, "_CHUNK", 50)
    table = whence.read({**_gaps(_network(4, 1).sample(200, 1), 0.3, np.random.default_rng(1))})
    names = table.names
    rows = expected_rows(table, names)
    seen = np.array([~table.column(n).missing for n in names])
    whole = seen.all(axis=0)
    partly = np.repeat(np.flatnonzero(~whole & seen.any(axis=0)), rows.copies)
    at = np.concatenate([np.flatnonzero(whole), partly])
    assert rows.codes.shape[1] == len(at) and rows.whole == whole.sum()
    for i, name in enumerate(names):
        values = np.unique(table.column(name).values[seen[i]], return_inverse=True)
        mine = np.full(len(table), -1)
        mine[seen[i]] = values[1]
        there = mine[at] >= 0
        assert (rows.codes[i][there] == mine[at][there]).all() and rows.codes[i].max() < rows.cards[i]
    monkeypatch.setattr(expected, "MOST_VALUES", 1)
    assert expected_rows(table, names).copies == 1


def test_columns_never_seen_together_are_refused() -> None:
    x = np.arange(40)
    given: dict[str, Any] = {"a": np.where(x < 20, np.where(x % 2, "u", "v"), None),
                             "b": np.where(x < 20, None, np.where(x % 3, "u", "v"))}
    with pytest.raises(WhenceError) as caught:
        score(whence.read(given), ("a", "b"), "bdeu")
    assert caught.value.code == "never_together"
