"""Conditional instruments against the definition, by enumeration of paths and subsets, and in linear models."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.graphs.classes import ADMG
from whence.graphs.graph import matrices_from_edges
from whence.identification.instrument import (
    Instrument,
    Instruments,
    NoInstrument,
    first_instruments,
    instruments,
    is_instrument,
)
from whence.simulate.graphs import random_dag


def subsets(items: Any) -> list[frozenset[int]]:
    items = list(items)
    return [frozenset(s) for k in range(len(items) + 1) for s in itertools.combinations(items, k)]


def linked(truth: Any, dag: Any, a: int, b: int, given: Any) -> bool:
    return any(truth.is_open(dag, p, set(given)) for p in truth.paths(dag, a, b))


def causal_nodes(truth: Any, dag: Any, x: int, y: int) -> set[int]:
    return {v for p in truth.paths(dag, x, y) if truth.is_causal(dag, p) for v in p} - {x}


def by_definition(truth: Any, dag: Any, x: int, y: int, hidden: Any = ()) -> dict[int, list[frozenset[int]]]:
    """Per instrument every conditioning set that meets the definition."""
    causal = causal_nodes(truth, dag, x, y)
    past = tuple(tuple(u for u in p if not (u == x and v in causal)) for v, p in enumerate(dag))
    free = [v for v in range(len(dag)) if v not in {x, y, *hidden}]
    barred = truth.descendants(dag, causal)
    found = {}
    for z in free:
        good = [w for w in subsets(v for v in free if v != z and v not in barred)
                if not linked(truth, past, z, y, w) and linked(truth, dag, z, x, w)]
        if good:
            found[z] = good
    return found


def above(truth: Any, dag: Any, x: int, y: int, z: int) -> set[int]:
    """The ancestors of y and z past the causal edges of x."""
    causal = causal_nodes(truth, dag, x, y)
    past = tuple(tuple(u for u in p if not (u == x and v in causal)) for v, p in enumerate(dag))
    return {v for v in range(len(dag)) if truth.descendants(past, {v}) & {y, z}}


def check(truth: Any, answer: Any, dag: Any, x: int, y: int, hidden: Any = ()) -> bool:
    if y not in truth.descendants(dag, {x}):
        assert isinstance(answer, NoInstrument) and answer.code == "no_effect"
        return False
    good = by_definition(truth, dag, x, y, hidden)
    assert bool(answer) == bool(good)
    if isinstance(answer, Instruments):
        for each in answer.found:
            z, given = int(each.name[1:]), frozenset(int(n[1:]) for n in each.given)
            assert given in good[z]
            assert not any(w < given for w in good[z] if len(w) == len(given) - 1)
        ancestral = {z for z, sets in good.items() if any(w <= above(truth, dag, x, y, z) for w in sets)}
        assert {int(each.name[1:]) for each in answer.found} == ancestral
    return bool(good)


def test_all_dags_of_four_nodes_with_a_hidden_one(truth: Any, make: Any) -> None:
    found = [check(truth, instruments(make(dag, hidden=(3,)), "v0", "v1"), dag, 0, 1, (3,))
             for dag in truth.all_dags(4)]
    assert any(found)


@pytest.mark.parametrize("seed", range(4))
def test_random_dags_with_latents(truth: Any, make: Any, seed: int) -> None:
    rng, found = np.random.default_rng(seed), []
    for _ in range(80):
        n = int(rng.integers(5, 7))
        dag = truth.random_dag(n, rng.uniform(1, 3), rng)
        x, y, *rest = (int(v) for v in rng.permutation(n))
        hidden = tuple(rest[: int(rng.integers(0, 3))])
        found.append(check(truth, instruments(make(dag, hidden=hidden), f"v{x}", f"v{y}"), dag, x, y, hidden))
    assert any(found) and not all(found)


def test_random_admgs(truth: Any) -> None:
    rng, found = np.random.default_rng(11), []
    for _ in range(80):
        dag = truth.random_dag(5, rng.uniform(1.5, 3), rng)
        x, y = (int(v) for v in rng.permutation(5)[:2])
        pairs = {(min(x, y), max(x, y)), tuple(sorted(int(v) for v in rng.choice(5, 2, replace=False)))}
        names = [f"v{v}" for v in range(5)]
        edges = [(f"v{u}", "-->", f"v{v}") for v, p in enumerate(dag) for u in p]
        marks, double = matrices_from_edges(names, edges + [(f"v{a}", "<->", f"v{b}") for a, b in sorted(pairs)])
        whole = list(dag)
        for a, b in sorted(pairs):
            whole.append(())
            for v in (a, b):
                whole[v] = (*whole[v], len(whole) - 1)
        answer = instruments(ADMG(tuple(names), marks, bidirected=double), names[x], names[y])
        found.append(check(truth, answer, tuple(whole), x, y, tuple(range(5, len(whole)))))
    assert any(found)


def test_is_instrument_is_the_definition(truth: Any, make: Any) -> None:
    rng = np.random.default_rng(5)
    for _ in range(40):
        dag = truth.random_dag(5, 2.0, rng)
        x, y, z, *rest = (int(v) for v in rng.permutation(5))
        if y not in truth.descendants(dag, {x}):
            continue
        good = by_definition(truth, dag, x, y).get(z, [])
        for w in subsets(rest):
            assert is_instrument(make(dag), f"v{x}", f"v{y}", f"v{z}", [f"v{v}" for v in w]) == (w in good)


def test_two_stage_ratio_is_the_linear_effect(truth: Any, make: Any) -> None:
    rng, seen = np.random.default_rng(21), 0
    while seen < 40:
        n = 6
        dag = truth.random_dag(n, 2.5, rng)
        x, y, h, *_ = (int(v) for v in rng.permutation(n))
        answer = instruments(make(dag, hidden=(h,)), f"v{x}", f"v{y}")
        if not isinstance(answer, Instruments):
            continue
        seen += 1
        weights = np.zeros((n, n))
        for v, p in enumerate(dag):
            for u in p:
                weights[v, u] = rng.uniform(0.5, 1.5) * rng.choice((-1, 1))
        total = np.linalg.inv(np.eye(n) - weights)
        covariance = total @ np.diag(rng.uniform(0.5, 2, n)) @ total.T
        for each in answer.found:
            z, w = int(each.name[1:]), [int(name[1:]) for name in each.given]
            ratio = partial(covariance, z, y, w) / partial(covariance, z, x, w)
            assert ratio == pytest.approx(total[y, x], abs=1e-8)


def partial(covariance: np.ndarray, a: int, b: int, given: list[int]) -> float:
    """Cov(a, b | given) in a Gaussian model."""
    inside = covariance[np.ix_(given, given)]
    return float(covariance[a, b] - covariance[a, given] @ np.linalg.solve(inside, covariance[given, b]))


def test_the_textbook_instrument() -> None:
    answer = instruments("z --> x; x --> y; x <-> y", "x", "y")
    assert isinstance(answer, Instruments)
    assert answer.best == Instrument("z") and str(answer.best) == "z"
    assert "only through x" in answer.assumptions[0]


def test_a_conditional_instrument() -> None:
    answer = instruments("w --> z; w --> y; z --> x; x --> y; x <-> y", "x", "y")
    assert isinstance(answer, Instruments)
    assert answer.found == (Instrument("z", ("w",)),)
    assert str(answer.best) == "z given w"
    assert answer.excluded["w"] == "w reaches y past x whatever is controlled for: w --> y."
    assert answer.to_dict()["found"] == [{"name": "z", "given": ["w"]}]


def test_a_hidden_node_is_neither_instrument_nor_condition(make: Any) -> None:
    graph = make("w --> z; w --> y; z --> x; x --> y; u --> x; u --> y", hidden=["w", "u"])
    answer = instruments(graph, "x", "y")
    assert isinstance(answer, NoInstrument) and not answer
    assert set(answer.excluded) == {"z"}
    assert answer.witness["paths"]["z"] == [["z", "<--", "w"], ["w", "-->", "y"]]


def test_an_instrument_for_an_effect_with_a_mediator() -> None:
    answer = instruments("z --> x; x --> m; m --> y; x --> y; x <-> y", "x", "y")
    assert isinstance(answer, Instruments)
    assert [each.name for each in answer.found] == ["z"]


def test_a_node_without_relation_to_the_treatment() -> None:
    answer = instruments("z; x --> y; x <-> y", "x", "y")
    assert isinstance(answer, NoInstrument)
    assert answer.excluded == {"z": "z has no relation to x."}


@pytest.mark.parametrize(("change", "code"), [
    ({"treatment": "nobody"}, "unknown_node"), ({"outcome": "x"}, "role_conflict"), ({"treatment": "u"}, "latent_node"),
    ({"candidates": ["x"]}, "role_conflict"), ({"candidates": ["u"]}, "latent_node"),
    ({"candidates": []}, "missing_role"), ({"treatment": ["x"]}, "several_nodes"),
])
def test_bad_questions(make: Any, change: dict[str, Any], code: str) -> None:
    graph = make("z --> x; x --> y; u --> x; u --> y", hidden="u")
    with pytest.raises(WhenceError) as error:
        instruments(graph, **({"treatment": "x", "outcome": "y"} | change))
    assert error.value.code == code


def test_the_order_of_the_nodes_does_not_matter() -> None:
    graph = random_dag(12, 3.0, seed=8)
    turned = type(graph)(graph.names[::-1], graph.marks[::-1, ::-1], graph.latents)
    for x, y in itertools.permutations(graph.names[:6], 2):
        assert instruments(graph, x, y).to_dict() | {"graph": 0} == instruments(turned, x, y).to_dict() | {"graph": 0}


@pytest.mark.parametrize("degree", [2, 4, 8])
def test_the_search_without_reasons_finds_the_same(degree: int) -> None:
    some = 0
    for seed in range(20):
        dag = random_dag(14, degree, seed=seed)
        graph = type(dag)(dag.names, dag.marks, frozenset(dag.names[::5]))
        for x, y in itertools.permutations(graph.observed[:4], 2):
            full = instruments(graph, x, y)
            found = full.found if isinstance(full, Instruments) else ()
            assert first_instruments(graph, x, y) == (tuple(i for i in found if not i.given) or found)
            some += bool(found)
    assert some
