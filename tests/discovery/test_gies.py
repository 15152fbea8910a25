"""Search with interventions: classes by enumeration, exact with perfect data, the score by hand, honest refusals."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from tests.discovery.perfect import ROWS, all_dags

import whence
from whence import Knowledge
from whence.core.errors import WhenceError
from whence.core.result import Refused
from whence.discovery import discovery as module
from whence.discovery.gies import essential_graph, gies
from whence.discovery.scored import Scored
from whence.graphs.classes import DAG, MPDAG
from whence.graphs.graph import ARROW, TAIL
from whence.graphs.metrics import shd
from whence.graphs.transform import to_cpdag
from whence.kernels.scores import gaussian_score, score_by_child
from whence.simulate.graphs import random_dag
from whence.simulate.linear import linear_gaussian
from whence.stats.score.score import Score

Sets = list[tuple[str, ...]]


def _arrows(dag: DAG) -> np.ndarray:
    return (dag.marks == ARROW) & (dag.marks.T == TAIL)


def _shape(a: np.ndarray) -> bytes:
    """The adjacencies and v-structures of a DAG, by definition."""
    joined = a | a.T
    unshielded = [(i, c, j) for i, j in itertools.combinations(range(len(a)), 2) if not joined[i, j]
                  for c in range(len(a)) if a[i, c] and a[j, c]]
    return joined.tobytes() + repr(unshielded).encode()


def _class_by_definition(dag: DAG, dags: list[DAG], sets: Sets) -> np.ndarray:
    """Marks: an arrow where every equivalent DAG has it (Hauser and Buhlmann 2012, theorem 10): the same adjacencies
    and v-structures, and also once the arrows into any one target are cut."""

    def key(other: DAG) -> tuple[bytes, ...]:
        a, out = _arrows(other), []
        for target in ((), *sets):
            cut = a.copy()
            cut[:, [other.names.index(n) for n in target]] = False
            out.append(_shape(cut))
        return tuple(out)

    mine = key(dag)
    some = np.any([_arrows(other) for other in dags if key(other) == mine], axis=0)
    marks = np.zeros(some.shape, dtype=np.int8)
    marks[some], marks[some & some.T], marks[some.T & ~some] = ARROW, TAIL, TAIL
    return marks


def _family(names: tuple[str, ...], rng: np.random.Generator, untouched: bool) -> Sets:
    """Random targets; every node is left alone in one of them."""
    while True:
        sets = {tuple(n for n in names if rng.random() < 0.35) for _ in range(int(rng.integers(1, 4)))}
        found = sorted(sets | ({()} if untouched else set()))
        if all(any(n not in s for s in found) for n in names):
            return found


def _perfect(dag: DAG, sets: Sets, seed: int) -> Scored:
    """The score of the population in which every target has the same share; interventions set mean and variance."""
    model, d, rng = linear_gaussian(dag, seed=seed), len(dag), np.random.default_rng([seed, 7])
    moments = []
    for target in sets:
        at = [dag.names.index(n) for n in target]
        weights, variance, shift = model.weights.copy(), np.ones(d), np.zeros(d)
        weights[:, at], variance[at], shift[at] = 0, rng.uniform(0.5, 3, len(at)), 2 * rng.normal(size=len(at))
        total = np.linalg.inv(np.eye(d) - weights)
        mean = shift @ total
        moments.append((mean, total.T @ (variance[:, None] * total) + np.outer(mean, mean)))
    parts = []
    for v in dag.names:
        own = [moments[k] for k, target in enumerate(sets) if v not in target]
        mean = np.mean([m for m, _ in own], axis=0)
        cov = np.mean([c for _, c in own], axis=0) - np.outer(mean, mean)
        sd, n = np.sqrt(np.diag(cov)), ROWS * len(own) / len(sets)
        parts.append(gaussian_score(np.ascontiguousarray(cov / sd / sd[:, None]), -np.arange(d) * 1.0,
                                    np.full(d, n / 2), 0.0))
    score = Score("population", dag.names, int(ROWS), {}, score_by_child(parts, np.arange(d, dtype=np.int32)))
    return Scored(dag.names, score, (), targets=tuple((target, 1) for target in sets))


OPTIONS = {"refine": "xges", "orders": True}


def _check_small(d: int, dags: list[DAG], repeats: int) -> None:
    everything = dags if d < 5 else []
    for rep in range(repeats):
        rng = np.random.default_rng(rep)
        for k, dag in enumerate(dags):
            sets = _family(dag.names, rng, untouched=bool((k + rep) % 2))
            truth = essential_graph(dag, sets)
            if everything and k % 6 == rep % 6:
                assert np.array_equal(truth.marks, _class_by_definition(dag, everything, sets)), (k, sets)
            assert gies(_perfect(dag, sets, k + 1000 * rep), None, OPTIONS, 0).graph == truth, (k, rep, sets)


@pytest.mark.parametrize("d", [2, 3])
def test_finds_every_small_class_from_perfect_data(d: int) -> None:
    _check_small(d, all_dags(d), 4)


def test_finds_classes_of_four_nodes_from_perfect_data() -> None:
    dags = all_dags(4)
    for k in range(0, len(dags), 60):
        sets = _family(dags[k].names, np.random.default_rng(k), untouched=bool(k % 120))
        assert np.array_equal(essential_graph(dags[k], sets).marks, _class_by_definition(dags[k], dags, sets))
    for k, dag in enumerate(dags[::6]):
        sets = _family(dag.names, np.random.default_rng([k, 1]), untouched=bool(k % 2))
        assert gies(_perfect(dag, sets, k), None, OPTIONS, 0).graph == essential_graph(dag, sets), (k, sets)


@pytest.mark.slow
def test_finds_every_class_of_four_nodes_from_perfect_data() -> None:
    _check_small(4, all_dags(4), 6)


@pytest.mark.slow
def test_finds_classes_of_five_nodes_from_perfect_data() -> None:
    _check_small(5, all_dags(5)[::7], 1)


def _larger(seeds: range) -> None:
    for seed in seeds:
        dag = random_dag(5 + seed % 8, 2.0 + seed % 3 / 2, seed=seed)
        sets = _family(dag.names, np.random.default_rng(seed), untouched=bool(seed % 2))
        assert gies(_perfect(dag, sets, seed), None, OPTIONS, 0).graph == essential_graph(dag, sets), seed


def test_finds_larger_classes_from_perfect_data() -> None:
    _larger(range(60))


@pytest.mark.slow
def test_finds_a_thousand_larger_classes_from_perfect_data() -> None:
    _larger(range(60, 1060))


def _rows(dag: DAG, sets: Sets, each: int, seed: int) -> dict[str, Any]:
    """Rows of every target, which sets its nodes to noise around 2; the column ``what`` names them."""
    model, d, rng = linear_gaussian(dag, seed=seed), len(dag), np.random.default_rng(seed)
    values, what = [], []
    for target in sets:
        at = [dag.names.index(n) for n in target]
        weights, noise = model.weights.copy(), rng.normal(size=(each, d))
        weights[:, at] = 0
        noise[:, at] += 2
        values.append(noise @ np.linalg.inv(np.eye(d) - weights))
        what += [" + ".join(target)] * each
    columns = np.vstack(values)
    return {**{n: columns[:, i] for i, n in enumerate(dag.names)}, "what": what}


def test_finds_more_than_observation_tells_and_what_a_score_by_hand_says() -> None:
    far, blind = [], []
    for seed in range(5):
        dag = random_dag(12, 3.0, seed=seed)
        sets: Sets = [(), *((n,) for n in dag.names[:5]), (dag.names[6], dag.names[8])]
        given = _rows(dag, sets, 300, seed)
        found = whence.discover(given, "gies", targets="what")
        truth = essential_graph(dag, sets)
        assert isinstance(found.graph, MPDAG) and "what" not in found.graph.names
        assert found.details["rows_by_target"][""] == 300 and not found.table["left_out"]
        far.append(shd(found.graph, truth))
        rest = {n: v for n, v in given.items() if n != "what"}
        blind.append(shd(whence.discover(rest, "ges").graph, truth))
        assert found.score == pytest.approx(_by_hand(given, dag.names, found.graph.member), abs=1e-6)
    assert np.mean(far) <= 1 and np.mean(blind) > 3, (far, blind)


def _by_hand(given: dict[str, Any], names: tuple[str, ...], dag: DAG) -> float:
    """The interventional BIC with the default price, by least squares on each variable's own rows."""
    total, rows = 0.0, len(given["what"])
    for j, name in enumerate(dag.names):
        own = np.array([name not in w.split(" + ") for w in given["what"]])
        y = given[name][own]
        parents = [dag.names[i] for i in np.flatnonzero(_arrows(dag)[:, j])]
        x = np.column_stack([np.ones(len(y)), *(given[p][own] for p in parents)])
        left = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
        price = np.log(rows) / 2 + np.log(len(names))
        total -= len(y) / 2 * np.log(left.var() / y.var()) + price * len(parents)
    return total


def test_categories_under_interventions() -> None:
    rng = np.random.default_rng(0)
    n, what = 1500, np.repeat(["control", "drug A", "drug B"], 500)
    a = np.where(what == "drug A", rng.integers(0, 2, n), rng.random(n) < 0.3).astype(int)
    b = np.where(what == "drug B", rng.integers(0, 3, n), np.where(rng.random(n) < 0.7, a, rng.integers(0, 3, n)))
    given = {"a": [f"l{v}" for v in a], "b": [f"l{v}" for v in b], "arm": what}
    for score in ("auto", "discrete_bic"):
        found = whence.discover(given, "gies", targets="arm", levels="control =; drug A = a; drug B = b", score=score)
        assert set(found.graph.edges()) == {("a", "-->", "b")}
    own = what != "drug B"
    table = np.array([[np.sum(own & (a == i) & (b == j)) for j in range(3)] for i in range(2)])
    by_hand = sum(c * np.log(c / row.sum()) for row in table for c in row if c) - np.log(n) / 2 * 4 - np.log(2)
    other = what != "drug A"
    by_hand += sum((m := np.sum(other & (a == i))) * np.log(m / other.sum()) for i in range(2)) - np.log(n) / 2
    assert found.score == pytest.approx(by_hand, abs=1e-6)


def test_numbers_and_categories_under_interventions() -> None:
    rng = np.random.default_rng(1)
    n, what = 1000, np.repeat(["", "g"], 500)
    x = rng.normal(size=n)
    g = np.where(what == "g", rng.integers(0, 2, n), x + rng.normal(size=n) > 0)
    found = whence.discover({"x": x, "g": [f"l{v}" for v in g], "what": what}, "gies", targets="what")
    assert set(found.graph.edges()) == {("x", "-->", "g")}


def test_without_interventions_it_is_the_greedy_search() -> None:
    dag = random_dag(10, 2.0, seed=3)
    table = linear_gaussian(dag, seed=3).sample(500, seed=3)
    found = whence.discover(table, "gies")
    assert [r.code for r in found.warnings] == ["no_interventions"]
    assert np.array_equal(found.graph.marks, whence.discover(table, "ges").graph.marks)
    assert np.array_equal(essential_graph(dag, []).marks, to_cpdag(dag).marks)


def test_knowledge_order_of_columns_and_stability() -> None:
    dag = random_dag(8, 3.0, seed=2)
    sets: Sets = [(), dag.names[1:2], dag.names[4:6]]
    given = _rows(dag, sets, 120, 2)
    order = np.random.default_rng(1).permutation(dag.names).tolist()
    knowledge = Knowledge(tiers=(tuple(order[:4]), tuple(order[4:])), required=((order[0], order[6]),),
                          forbidden=((order[1], order[5]),))
    found = whence.discover(given, "gies", knowledge, targets="what")
    assert not list(knowledge.check(found.graph))
    plain = whence.discover(given, "gies", targets="what", stability=3)
    turned = whence.discover({n: given[n] for n in reversed(given)}, "gies", targets="what")
    assert plain.graph == turned.graph and plain.score == turned.score
    assert plain.stability is not None and max(plain.stability.values()) == 1.0


def test_bootstrap_samples_keep_the_rows_of_every_target(monkeypatch: pytest.MonkeyPatch) -> None:
    rng, seen = np.random.default_rng(0), []
    what = np.array(["", "a", "b"])[rng.choice(3, 200, p=[0.8, 0.12, 0.08])]
    given = {"a": rng.normal(size=200), "b": rng.normal(size=200), "what": what}
    real = module.under_interventions

    def spy(table: Any, parameters: Any) -> Any:
        out = real(table, parameters)
        seen.append((out.targets, tuple(table.column("a").values)))
        return out

    monkeypatch.setattr(module, "under_interventions", spy)
    whence.discover(given, "gies", targets="what", stability=4)
    counts, values = zip(*seen, strict=True)
    assert len(seen) == 5 and len(set(values)) == 5
    assert set(counts) == {tuple(((t,) if t else (), int((what == t).sum())) for t in ("", "a", "b"))}


def test_what_cannot_be_used_is_said() -> None:
    rng = np.random.default_rng(0)
    n = 60
    base = {name: rng.normal(size=n) for name in "abc"}
    half = np.arange(n) % 2

    def ask(what: Any, columns: dict[str, Any] = base, **params: Any) -> Any:
        return whence.discover({**columns, "what": what}, "gies", targets="what", **params)

    for call, code in (
        (lambda: ask(["d" if k else "" for k in half]), "unknown_target"),
        (lambda: whence.discover(base, "gies", targets="where"), "unknown_column"),
        (lambda: ask(["a"] * 30 + [""] * 30, levels="b = a"), "bad_parameter"),
        (lambda: ask(["a"] * 30 + [""] * 30, levels="a is a"), "bad_parameter"),
        (lambda: whence.discover(base, "gies", levels="b = a"), "bad_parameter"),
        (lambda: ask(["a"] * 30 + [""] * 30, score="bge"), "unknown_method"),
        (lambda: ask(["a"] * 30 + [""] * 30, {**base, "g": ["u", "v"] * 30}, score="bdeu"), "wrong_kind"),
    ):
        with pytest.raises(WhenceError) as caught:
            call()
        assert caught.value.code == code
    for answer, code in (
        (ask(["a, b" if k else "a" for k in half]), "always_intervened"),
        (ask(["a"] * 55 + [""] * 5), "always_intervened"),
        (ask(["a"] * 30 + [""] * 30, {**base, "a": np.where(np.arange(n) < 30, base["a"], 1.0)}),
         "constant_without_intervention"),
        (ask(["e" if k else "" for k in half], {**base, "e": np.ones(n)}), "target_left_out"),
    ):
        assert isinstance(answer, Refused) and answer.code == code and answer.remedy
    found = ask(["a"] * 30 + [""] * 30, {**base, "b": np.where(np.arange(n) < 30, base["b"], 1.0)})
    assert isinstance(found.graph, MPDAG)  # b is constant in the rows that speak of a
