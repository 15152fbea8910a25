"""Every verdict against enumeration: of distributions, of subsets, of paths, of the members of a class."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np
import pytest

from whence.graphs.graph import Graph
from whence.graphs.transform import close, to_cpdag
from whence.identification.identify import Identified
from whence.identification.identify import identify as ask

identify = functools.partial(ask, strategy="adjustment")
EXACT = 1e-9


def subsets(items: Any) -> list[tuple[int, ...]]:
    items = list(items)
    return [s for k in range(len(items) + 1) for s in itertools.combinations(items, k)]


def named(nodes: Any) -> list[str]:
    return [f"v{k}" for k in nodes]


def true_sets(truth: Any, dag: Any, xs: list[int], ys: list[int], tables: list[list[np.ndarray]], w: Any = ()) -> set:
    """The sets whose adjustment formula equals the truncated factorisation in several random models."""
    rest = [v for v in range(len(dag)) if v not in (*xs, *ys, *w)]
    good = set()
    for z in subsets(rest):
        if all(is_true(truth, t, xs, ys, list(z), list(w)) for t in tables):
            good.add(frozenset((*z, *w)))
    return good


def is_true(truth: Any, tables: list[np.ndarray], xs: list[int], ys: list[int], z: list[int], w: list[int]) -> bool:
    do = dict.fromkeys(xs, 1)
    found = truth.adjusted(truth.product(tables), do, ys, z, w)
    return bool(np.abs(found - effect(truth, tables, do, ys, w)).max() < EXACT)


def effect(truth: Any, tables: list[np.ndarray], do: dict[int, int], ys: list[int], w: list[int]) -> np.ndarray:
    """P(y | do(x), w) by the truncated factorisation; axes: outcomes, then w."""
    joint = truth.intervened(tables, do)
    keep = [*ys, *w]
    left = sorted(keep)
    out = joint.sum(axis=tuple(v for v in range(joint.ndim) if v not in keep))
    out = out.transpose([left.index(v) for v in keep])
    return out / out.sum(axis=tuple(range(len(ys))), keepdims=True)


def observed_joint(truth: Any, tables: list[np.ndarray], hidden: Any) -> tuple[np.ndarray, list[str]]:
    joint = truth.product(tables)
    names = named(v for v in range(joint.ndim) if v not in hidden)
    return joint.sum(axis=tuple(hidden)) if hidden else joint, names


def check_answer(truth: Any, answer: Any, good: set, dag: Any, xs: list[int], ys: list[int], hidden: Any,
                 tables: list[np.ndarray], w: Any = ()) -> None:
    """One answer against the sets known to be right: verdict, set, all minimal sets, number."""
    usable = {z for z in good if not z & set(hidden)}
    no_effect = not set(ys) & truth.descendants(dag, set(xs))
    if not usable and not no_effect:
        assert not answer
        return
    assert isinstance(answer, Identified)
    assert answer.adjustable == bool(usable)
    assert answer.no_effect == no_effect
    rest = [v for v in range(len(dag)) if v not in (*xs, *ys)]
    valid = {frozenset(z) for z in subsets(rest) if answer.valid(named(z))}
    assert valid == usable
    if usable:
        assert frozenset(int(n[1:]) for n in answer.adjustment) in usable
    minimal = {z for z in usable if not any(other < z for other in usable)}
    listed = [frozenset(int(n[1:]) for n in z) for z in answer.minimal_sets()]
    assert len(listed) == len(set(listed))
    assert set(listed) == minimal
    joint, names = observed_joint(truth, tables, hidden)
    for values in itertools.product((0, 1), repeat=len(xs)):
        do = dict(zip(xs, values, strict=True))
        found = answer.distribution(joint, names, {f"v{k}": v for k, v in do.items()})
        assert np.abs(found - effect(truth, tables, do, ys, list(w))).max() < EXACT


def test_all_dags_on_four_nodes_with_every_choice_of_hidden_nodes(truth: Any, make: Any) -> None:
    rng = np.random.default_rng(20)
    for dag in truth.all_dags(4):
        tables = [truth.random_tables(dag, [2, 2, 2, 2], rng) for _ in range(2)]
        good = true_sets(truth, dag, [0], [1], tables)
        for hidden in subsets([2, 3]):
            answer = identify(make(dag, hidden=hidden), "v0", "v1")
            check_answer(truth, answer, good, dag, [0], [1], hidden, tables[0])


@pytest.mark.parametrize("n, count, degree", [(5, 250, 2.2), (6, 100, 2.6)])
def test_random_dags_with_hidden_nodes_and_sets_of_treatments(truth: Any, make: Any, n: int, count: int,
                                                              degree: float) -> None:
    rng = np.random.default_rng(n)
    refused = 0
    for _ in range(count):
        dag = truth.random_dag(n, degree, rng)
        order = [int(v) for v in rng.permutation(n)]
        nx = int(rng.integers(1, 3))
        xs, ys = sorted(order[:nx]), [order[nx]]
        tables = [truth.random_tables(dag, [2] * n, rng) for _ in range(2)]
        good = true_sets(truth, dag, xs, ys, tables)
        for hidden in ((), tuple(v for v in order[nx + 1 :] if rng.random() < 0.4)):
            answer = identify(make(dag, hidden=hidden), named(xs), named(ys))
            check_answer(truth, answer, good, dag, xs, ys, hidden, tables[0])
            refused += not answer
    assert refused > 10


def test_several_outcomes_and_more_than_two_levels(truth: Any, make: Any) -> None:
    rng = np.random.default_rng(8)
    for _ in range(40):
        dag = truth.random_dag(5, 2.4, rng)
        xs, ys = [0], [1, 2]
        tables = [truth.random_tables(dag, [2, 3, 2, 3, 2], rng) for _ in range(2)]
        good = true_sets(truth, dag, xs, ys, tables)
        check_answer(truth, identify(make(dag), named(xs), named(ys)), good, dag, xs, ys, (), tables[0])


def test_effects_within_levels(truth: Any, make: Any) -> None:
    rng = np.random.default_rng(9)
    asked = 0
    for _ in range(120):
        dag = truth.random_dag(5, 2.4, rng)
        if 2 in truth.descendants(dag, {0}):
            continue
        asked += 1
        tables = [truth.random_tables(dag, [2] * 5, rng) for _ in range(2)]
        hidden = tuple(v for v in (3, 4) if rng.random() < 0.3)
        good = true_sets(truth, dag, [0], [1], tables, w=(2,))
        answer = identify(make(dag, hidden=hidden), "v0", "v1", given="v2")
        check_answer(truth, answer, good, dag, [0], [1], hidden, tables[0], w=(2,))
    assert asked > 40


def test_paths_agree_with_distributions(truth: Any) -> None:
    """The path reference used for classes is itself right."""
    rng = np.random.default_rng(3)
    for dag in truth.all_dags(4)[::9]:
        tables = [truth.random_tables(dag, [2, 2, 2, 2], rng) for _ in range(2)]
        good = true_sets(truth, dag, [0], [1], tables)
        assert good == {frozenset(z) for z in subsets([2, 3]) if truth.valid_by_paths(dag, {0}, {1}, set(z))}


def check_class(truth: Any, graph: Graph, xs: list[int], ys: list[int], hidden: Any) -> str:
    """A class against its members, which are found by trying every orientation."""
    n = len(graph)
    directed = {(a, b) for a in range(n) for b in range(n) if graph.marks[a, b] == 2}
    undirected = {(a, b) for a in range(n) for b in range(a) if graph.marks[a, b] == graph.marks[b, a] == 3}
    some = truth.members(directed, undirected, n, _v_structures(graph))
    assert some
    rest = [v for v in range(n) if v not in (*xs, *ys)]
    valid_in_all = {
        frozenset(z) for z in subsets(rest)
        if not set(z) & set(hidden) and all(truth.valid_by_paths(m, set(xs), set(ys), set(z)) for m in some)
    }
    never = all(not set(ys) & truth.descendants(m, set(xs)) for m in some)
    answer = identify(graph, named(xs), named(ys))
    assert bool(answer) == (bool(valid_in_all) or never), (graph, xs, ys)
    if not isinstance(answer, Identified):
        return answer.code
    assert answer.no_effect == never and answer.adjustable == bool(valid_in_all)
    assert {frozenset(z) for z in subsets(rest) if answer.valid(named(z))} == valid_in_all
    minimal = {z for z in valid_in_all if not any(other < z for other in valid_in_all)}
    assert {frozenset(int(name[1:]) for name in z) for z in answer.minimal_sets()} == minimal
    return "identified"


def _v_structures(graph: Graph) -> set[tuple[int, int, int]]:
    """Those of the class: its arrows that meet at non-adjacent tails."""
    n = len(graph)
    return {
        (a, v, b) for v in range(n) for a in range(n) for b in range(a + 1, n)
        if graph.marks[a, v] == graph.marks[b, v] == 2 and not graph.marks[a, b]
    }


def test_every_cpdag_on_four_nodes(truth: Any, make: Any) -> None:
    classes = {to_cpdag(make(dag)) for dag in truth.all_dags(4)}
    assert len(classes) == 185
    seen = {check_class(truth, c, xs, [1], ()) for c in classes for xs in ([0], [0, 2])}
    assert seen == {"identified", "undecided_edge", "open_path"}


def test_random_classes_with_knowledge_and_hidden_nodes(truth: Any, make: Any) -> None:
    rng = np.random.default_rng(12)
    seen = []
    for _ in range(400):
        n = int(rng.integers(4, 6))
        dag = truth.random_dag(n, 2.8, rng)
        graph: Graph = to_cpdag(make(dag))
        for _ in range(int(rng.integers(0, 3))):
            graph = _with_knowledge(graph, dag, rng)
        order = [int(v) for v in rng.permutation(n)]
        nx = int(rng.integers(1, 3))
        hidden = [v for v in order[nx + 1 :] if rng.random() < 0.2]
        graph = type(graph)(graph.names, graph.marks, frozenset(named(hidden)))
        seen.append(check_class(truth, graph, sorted(order[:nx]), [order[nx]], hidden))
    assert {"identified", "undecided_edge", "open_path"} == set(seen)


def _with_knowledge(graph: Graph, dag: Any, rng: np.random.Generator) -> Graph:
    """The class after learning the direction, in ``dag``, of one of its undirected edges."""
    undirected = [(a, b) for b, p in enumerate(dag) for a in p if graph.marks[a, b] == graph.marks[b, a]]
    if not undirected:
        return graph
    a, b = undirected[int(rng.integers(len(undirected)))]
    marks = np.array(graph.marks)
    marks[a, b], marks[b, a] = 2, 3
    return close(Graph(graph.names, marks))


def test_mixed_graphs_equal_their_hidden_node_form(truth: Any, make: Any) -> None:
    rng = np.random.default_rng(4)
    for _ in range(150):
        dag = truth.random_dag(4, 2.0, rng)
        pairs = [(a, b) for a in range(4) for b in range(a) if rng.random() < 0.3]
        with_hidden = tuple(
            tuple(sorted((*p, *(4 + k for k, pair in enumerate(pairs) if v in pair)))) for v, p in enumerate(dag)
        ) + ((),) * len(pairs)
        bidirected = np.zeros((4, 4), dtype=bool)
        for a, b in pairs:
            bidirected[a, b] = bidirected[b, a] = True
        base = make(dag)
        mixed = type(make("a --> b", "ADMG"))(base.names, base.marks, frozenset(), bidirected)
        plain = make(with_hidden, hidden=range(4, 4 + len(pairs)))
        one, two = identify(mixed, "v0", "v1"), identify(plain, "v0", "v1")
        assert bool(one) == bool(two)
        if isinstance(one, Identified) and isinstance(two, Identified):
            assert (one.adjustment, one.no_effect, one.adjustable) == (two.adjustment, two.no_effect, two.adjustable)
            assert list(one.minimal_sets()) == list(two.minimal_sets())


def test_the_optimal_set_has_the_smallest_variance(truth: Any, make: Any) -> None:
    """Asymptotic variance of least squares from the population covariance of random linear models."""
    rng = np.random.default_rng(5)
    compared = 0
    for _ in range(400):
        n = int(rng.integers(4, 7))
        dag = truth.random_dag(n, 2.5, rng)
        if 1 not in truth.descendants(dag, {0}):
            continue
        weights = np.zeros((n, n))
        for v, p in enumerate(dag):
            for u in p:
                weights[v, u] = rng.choice([-1, 1]) * rng.uniform(0.3, 1.5)
        mix = np.linalg.inv(np.eye(n) - weights)
        covariance = mix @ np.diag(rng.uniform(0.5, 2.0, n)) @ mix.T
        answer = identify(make(dag), "v0", "v1")
        assert isinstance(answer, Identified)
        best = _slope_variance(covariance, [int(name[1:]) for name in answer.adjustment])
        slope = _slope(covariance, [int(name[1:]) for name in answer.adjustment])
        assert slope == pytest.approx(mix[1, 0], abs=1e-9)
        for z in subsets(range(2, n)):
            if answer.valid(named(z)):
                compared += 1
                assert best <= _slope_variance(covariance, list(z)) * (1 + 1e-9)
    assert compared > 500


def _slope(s: np.ndarray, z: list[int]) -> float:
    cols = [0, *z]
    return float(np.linalg.solve(s[np.ix_(cols, cols)], s[cols, 1])[0])


def _slope_variance(s: np.ndarray, z: list[int]) -> float:
    """Residual variance of y given x, z over that of x given z."""
    return _residual(s, 1, [0, *z]) / _residual(s, 0, z)


def _residual(s: np.ndarray, v: int, given: list[int]) -> float:
    if not given:
        return float(s[v, v])
    return float(s[v, v] - s[v, given] @ np.linalg.solve(s[np.ix_(given, given)], s[given, v]))


def test_witnesses_are_real(truth: Any, make: Any) -> None:
    """An open path is a non-causal path that stays open; measuring what the remedy names is enough."""
    rng = np.random.default_rng(6)
    seen = 0
    for _ in range(900):
        dag = truth.random_dag(6, 3.0, rng)
        hidden = tuple(v for v in range(2, 6) if rng.random() < 0.5)
        answer = identify(make(dag, hidden=hidden), "v0", "v1")
        if answer:
            continue
        seen += 1
        steps = answer.witness["path"]
        path = [int(steps[0][0][1:]), *(int(s[2][1:]) for s in steps)]
        for a, edge, b in steps:
            left, right = int(a[1:]), int(b[1:])
            assert (left in dag[right]) if edge == "-->" else (right in dag[left])
        assert path[0] == 0 and path[-1] == 1 and len(set(path)) == len(path)
        assert not truth.is_causal(dag, path)
        assert truth.is_open(dag, path, {int(name[1:]) for name in answer.witness["adjusted"]})
        told = [v for v in hidden if f"v{v}" in answer.remedy]
        assert told
        assert identify(make(dag, hidden=[v for v in hidden if v not in told]), "v0", "v1")
    assert seen > 30
