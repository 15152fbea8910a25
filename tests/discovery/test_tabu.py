"""Tabu search: against the same search with every graph scored whole, no better neighbour left, knowledge, order."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from tests.discovery.perfect import all_dags

import whence
from whence import Knowledge
from whence.discovery.learned import constraints
from whence.discovery.scored import SCORE_PARAMETERS, Scored, scored
from whence.discovery.tabu import tabu
from whence.graphs.graph import ARROW, TAIL
from whence.graphs.metrics import shd
from whence.graphs.transform import to_cpdag
from whence.kernels import scores
from whence.simulate.graphs import random_dag
from whence.simulate.linear import linear_gaussian
from whence.stats.score.score import Score

OPTIONS = {p.name: p.default for p in SCORE_PARAMETERS} | {"tenure": 10, "patience": 15, "restarts": 3}


def _asked(d: int, degree: float, seed: int, n: int = 200) -> Scored:
    found = scored(linear_gaussian(random_dag(d, degree, seed=seed), seed=seed).sample(n, seed=seed), OPTIONS)
    assert isinstance(found, Scored)
    return found


def _total(asked: Scored, a: np.ndarray) -> float:
    return sum(asked.score.kernel.local(y, np.flatnonzero(a[:, y]).astype(np.int32)) for y in range(len(a)))


def _changes(a: np.ndarray, may: np.ndarray, required: np.ndarray) -> list[tuple[np.ndarray, int, int]]:
    """Every DAG one change of an arrow away: those with one less, with one turned, with one more."""
    found, d = [], len(a)
    for kind in ("delete", "turn", "insert"):
        for x, y in itertools.permutations(range(d), 2):
            b = a.copy()
            if kind == "insert":
                b[x, y] = True
                right = not a[x, y] and not a[y, x] and may[x, y]
            else:
                b[x, y], b[y, x] = False, kind == "turn"
                right = a[x, y] and not required[x, y] and (kind == "delete" or may[y, x])
            if right and not np.linalg.matrix_power(np.eye(d) + b, d).diagonal().max() > 1:
                found.append((b, x, y))
    return found


def _by_hand(asked: Scored, may: np.ndarray, required: np.ndarray, tenure: int, patience: int) -> float:
    """The best total met by one climb."""
    a = required.copy()
    best, left, now, until = _total(asked, a), patience, 0, {}
    tenure = min(tenure, len(a) * (len(a) - 1) // 4)
    while True:
        here, options = _total(asked, a), []
        for b, x, y in _changes(a, may, required):
            value = _total(asked, b)
            if until.get(frozenset((x, y)), 0) <= now or value > best + 1e-7:
                options.append((value - here, b, x, y))
        highest = max((o[0] for o in options), default=-np.inf)
        if highest == -np.inf or (highest <= 1e-7 and left <= 0):
            return best
        _, a, x, y = next(o for o in options if o[0] >= highest - 1e-7)
        now += 1
        until[frozenset((x, y))] = now + tenure
        best, left = (_total(asked, a), patience) if _total(asked, a) > best + 1e-7 else (best, left - 1)


@pytest.mark.parametrize("tenure, patience", [(0, 0), (10, 15), (4, 6)])
def test_one_climb_is_the_one_by_hand(tenure: int, patience: int) -> None:
    for seed in range(4):
        asked = _asked(6, 3.0, seed, 60)
        names = asked.names
        knowledge = None if seed % 2 else Knowledge(tiers=(names[3:], names[:3]), required=((names[4], names[1]),))
        may, required = constraints(names, knowledge)
        options = OPTIONS | {"tenure": tenure, "patience": patience, "restarts": 0}
        assert tabu(asked, knowledge, options, 0).score == pytest.approx(
            _by_hand(asked, may, required, tenure, patience), abs=1e-6)


def test_no_change_of_an_arrow_improves_the_answer() -> None:
    for seed in range(5):
        asked = _asked(9, 3.0, seed)
        found = tabu(asked, None, OPTIONS, seed)
        may, required = constraints(asked.names, None)
        member = found.graph.member.marks
        a = (member == ARROW) & (member.T == TAIL)
        assert found.score == pytest.approx(_total(asked, a), abs=1e-6)
        assert max(_total(asked, b) for b, _, _ in _changes(a, may, required)) <= found.score + 1e-6


def test_finds_the_best_graph_of_four_variables() -> None:
    dags = [(dag.marks == ARROW) & (dag.marks.T == TAIL) for dag in all_dags(4)]
    for seed in range(8):
        asked = _asked(4, 2.5, seed, 80)
        assert tabu(asked, None, OPTIONS, 0).score == pytest.approx(max(_total(asked, a) for a in dags), abs=1e-6)


def test_restarts_help_and_repeat() -> None:
    asked = _asked(25, 4.0, 1, 500)
    alone, more = (tabu(asked, None, OPTIONS | {"restarts": k}, 3) for k in (0, 12))
    assert more.score > alone.score + 1 and more.details["restarts_that_helped"] > 0
    assert tabu(asked, None, OPTIONS | {"restarts": 12}, 3).graph == more.graph


def test_same_answer_for_any_column_order_and_close_to_the_truth() -> None:
    dag = random_dag(15, 2.0, seed=5)
    table = linear_gaussian(dag, seed=5).sample(1000, seed=5)
    found = whence.discover(table, "tabu", seed=2)
    turned = whence.discover(table.select(tuple(reversed(table.names))), "tabu", seed=2)
    assert found.graph == turned.graph and found.score == turned.score
    assert shd(found.graph, to_cpdag(dag)) <= 4


@pytest.mark.parametrize("seed", range(4))
def test_knowledge_is_never_contradicted(seed: int) -> None:
    table = linear_gaussian(random_dag(8, 3.0, seed=seed), seed=seed).sample(200, seed=seed)
    order = np.random.default_rng(seed).permutation(sorted(table.names)).tolist()
    knowledge = Knowledge(tiers=(tuple(order[:4]), tuple(order[4:])), required=((order[0], order[6]),),
                          forbidden=((order[1], order[5]), (order[5], order[7])))
    found = whence.discover(table, "tabu", knowledge)
    assert not list(knowledge.check(found.graph))
    assert found.evidence.of(order[0], order[6]).decided_by == "knowledge"


def test_required_arrows_that_determine_each_other_and_categories() -> None:
    score = scores.called_score(3, lambda y, parents: -np.inf if (y, parents) == (2, (0, 1)) else -float(len(parents)))
    asked = Scored(("a", "b", "c"), Score("made", ("a", "b", "c"), 100, {}, score), ())
    found = tabu(asked, Knowledge(required=(("a", "c"), ("b", "c"))), OPTIONS, 0)
    assert {("a", "-->", "c"), ("b", "-->", "c")} <= set(found.graph.edges())
    rng = np.random.default_rng(0)
    a, c = rng.integers(0, 3, 2000), rng.integers(0, 2, 2000)
    b = np.where(rng.random(2000) < 0.8, a + c > 1, rng.integers(0, 2, 2000)).astype(int)
    coded = {"a": [f"l{v}" for v in a], "b": [f"l{v}" for v in b], "c": [f"l{v}" for v in c]}
    assert set(whence.discover(coded, "tabu").graph.edges()) == {("a", "-->", "b"), ("c", "-->", "b")}
