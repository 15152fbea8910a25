"""ID and IDC against the truth: random mixed graphs, binary models with hidden variables, exact enumeration."""

from __future__ import annotations

import itertools
import time
from typing import Any

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.graphs.ancestry import descendants
from whence.graphs.classes import ADMG
from whence.graphs.graph import matrices_from_edges
from whence.graphs.transform import latent_projection
from whence.identification.expression import Expression
from whence.identification.hedge import Hedge, is_hedge
from whence.identification.idc import estimand
from whence.identification.identify import Identified, NotIdentified, identify

NAPKIN = "w --> r; r --> x; x --> y; w <-> x; w <-> y"
VERMA = "a --> b; b --> c; c --> d; b <-> d"
BOW = "x --> y; x <-> y"


def mixed(text: str) -> ADMG:
    edges = [(a, edge, b) for a, edge, b in (part.split() for part in text.split(";"))]
    names = tuple(sorted({n for a, _, b in edges for n in (a, b)}))
    marks, bidirected = matrices_from_edges(names, edges)
    return ADMG(names, marks, bidirected=bidirected)


def random_edges(n: int, rng: np.random.Generator) -> list[tuple[int, str, int]]:
    order, arrows, arcs = rng.permutation(n), rng.uniform(0.2, 0.7), rng.uniform(0.1, 0.5)
    edges = []
    for i, j in itertools.combinations(range(n), 2):
        a, b = int(order[i]), int(order[j])
        edges += [(a, "-->", b)] * (rng.random() < arrows) + [(a, "<->", b)] * (rng.random() < arcs)
    return edges


def with_hidden(n: int, edges: list[tuple[int, str, int]]) -> Any:
    """Parent tuples of the DAG with one hidden node per <->."""
    parents: list[list[int]] = [[] for _ in range(n)]
    for a, edge, b in edges:
        if edge == "-->":
            parents[b].append(a)
        else:
            parents[a].append(len(parents))
            parents[b].append(len(parents))
            parents.append([])
    return tuple(tuple(p) for p in parents)


def check(truth: Any, n: int, edges: list[tuple[int, str, int]], xs: list[int], ys: list[int], ws: list[int],
          rng: np.random.Generator) -> bool:
    """One question: the truth to 1e-9 at every level of the treatments and everything left free, or a hedge."""
    names = tuple(f"v{k}" for k in range(n))
    graph = mixed_of(names, edges)
    answer = estimand(graph, *([f"v{k}" for k in group] for group in (xs, ys, ws)))
    if isinstance(answer, Hedge):
        assert is_hedge(graph, answer, answer.treatment, answer.outcome)
        assert set(answer.treatment) <= {f"v{k}" for k in (*xs, *ws)}
        if not ws:
            assert (set(answer.treatment), set(answer.outcome)) == ({f"v{k}" for k in xs}, {f"v{k}" for k in ys})
        return False
    dag = with_hidden(n, edges)
    tables = truth.random_tables(dag, [2] * len(dag), rng)
    hidden = tuple(range(n, len(dag)))
    values = np.broadcast_to(answer.evaluate(truth.product(tables).sum(axis=hidden), names), (2,) * n)
    for levels in itertools.product((0, 1), repeat=len(xs)):
        do = dict(zip(xs, levels, strict=True))
        joint = truth.intervened(tables, do).sum(axis=hidden)
        out = tuple(k for k in range(n) if k not in (*ys, *ws))
        top = joint.sum(axis=out, keepdims=True)
        expected = top / top.sum(axis=tuple(ys), keepdims=True)
        at = tuple(slice(do[k], do[k] + 1) if k in do else slice(None) for k in range(n))
        assert np.abs(values[at] - expected).max() < 1e-9, (edges, xs, ys, ws, str(answer))
    return True


def mixed_of(names: tuple[str, ...], edges: list[tuple[int, str, int]]) -> ADMG:
    marks, bidirected = matrices_from_edges(names, [(names[a], edge, names[b]) for a, edge, b in edges])
    return ADMG(names, marks, bidirected=bidirected)


def sweep(truth: Any, count: int, seed: int, conditional: bool) -> list[bool]:
    rng, found = np.random.default_rng(seed), []
    for _ in range(count):
        n = int(rng.integers(4, 7))
        nodes = [int(v) for v in rng.permutation(n)]
        nx, ny = (int(k) for k in rng.integers(1, 3, 2))
        nw = int(rng.integers(1, 3)) if conditional and n > nx + ny + 1 else int(conditional and n > nx + ny)
        xs, ys, ws = nodes[:nx], nodes[nx : nx + ny], nodes[nx + ny : nx + ny + nw]
        found.append(check(truth, n, random_edges(n, rng), xs, ys, ws, rng))
    return found


@pytest.mark.parametrize("conditional", [False, True])
def test_random_mixed_graphs(truth: Any, conditional: bool) -> None:
    found = sweep(truth, 1000, 11, conditional)
    assert 250 < sum(found) < 900


@pytest.mark.slow
@pytest.mark.parametrize("conditional", [False, True])
def test_five_thousand_random_mixed_graphs(truth: Any, conditional: bool) -> None:
    found = sweep(truth, 5000, 12, conditional)
    assert 1250 < sum(found) < 4500


@pytest.mark.parametrize("text, x, y, expected", [
    (NAPKIN, "x", "y", "[sum over w of P(y, x | r, w) * P(w)] / [sum over w of P(x | r, w) * P(w)]"),
    ("x --> m; m --> y; x <-> y", "x", "y", "sum over m of [sum over x' of P(y | m, x') * P(x')] * P(m | x)"),
    (VERMA, "c", "d", "sum over b of P(d | a, b, c) * P(b | a)"),
    ("z --> x; z --> y; x --> y", "x", "y", "sum over z of P(y | x, z) * P(z)"),
    ("a <-> m; b <-> m; a --> x; b --> y; x --> y", "x", "y", "sum over b of P(y | b, x) * P(b)"),
    ("a <-> m; b <-> m; a --> x; x --> y; y <-> b", "x", "y", "P(y | x)"),
])
def test_named_graphs(text: str, x: str, y: str, expected: str) -> None:
    answer = estimand(mixed(text), x, y)
    assert isinstance(answer, Expression)
    assert answer.text() == expected


def test_the_bow_has_a_hedge_and_a_broken_one_is_seen() -> None:
    graph = mixed(BOW)
    answer = estimand(graph, "x", "y")
    assert answer == Hedge(("x",), ("y",), ("x", "y"), ("y",), ("y",), (("x", "-->", "y"), ("x", "<->", "y")))
    assert is_hedge(graph, answer, ["x"], ["y"])
    assert not is_hedge(graph, answer, ["y"], ["x"])
    assert not is_hedge(mixed("x --> y"), answer, ["x"], ["y"])
    assert not is_hedge(graph, Hedge(("x",), ("y",), ("x", "y"), ("y",), ("x",), answer.edges), ["x"], ["y"])


def test_latent_nodes_never_appear(make: Any) -> None:
    graph = make("u --> x; u --> y; x --> m; m --> y", hidden=["u"])
    answer = estimand(graph, "x", "y")
    assert isinstance(answer, Expression) and answer.variables == {"x", "m", "y"}
    assert answer == estimand(latent_projection(graph), "x", "y")


def test_the_answer_does_not_depend_on_the_order_of_nodes() -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        edges = random_edges(6, rng)
        names = [f"v{k}" for k in range(6)]
        marks, bidirected = matrices_from_edges(names, [(names[a], e, names[b]) for a, e, b in edges])
        p = rng.permutation(6)
        moved = ADMG(tuple(names[k] for k in p), marks[np.ix_(p, p)], bidirected=bidirected[np.ix_(p, p)])
        assert estimand(mixed_of(tuple(names), edges), "v0", "v1") == estimand(moved, "v0", "v1")


def test_bad_questions() -> None:
    for asked, code in ((("x", "q"), "unknown_node"), (("x", "x"), "role_conflict"), (((), "x"), "missing_role")):
        with pytest.raises(WhenceError) as error:
            estimand(mixed(BOW), *asked)
        assert error.value.code == code


def test_a_hundred_nodes_take_at_most_fifty_milliseconds() -> None:
    rng, times = np.random.default_rng(5), []
    for _ in range(20):
        order = rng.permutation(100)
        pairs = [(int(order[i]), int(order[j])) for i, j in itertools.combinations(range(100), 2)]
        edges = [(a, "-->", b) for a, b in pairs if rng.random() < 0.03]
        edges += [(a, "<->", b) for a, b in pairs if rng.random() < 0.006]
        graph = mixed_of(tuple(f"v{k:02}" for k in range(100)), edges)
        below = descendants(graph, f"v{order[10]:02}")
        x, y = f"v{order[10]:02}", next(f"v{k:02}" for k in order[::-1] if f"v{k:02}" in below)
        if x == y:
            continue
        start = time.process_time()
        str(estimand(graph, x, y))
        times.append(time.process_time() - start)
    assert np.median(times) < 0.05


# Through ``identify``


def test_identify_goes_on_where_adjustment_ends(truth: Any) -> None:
    rng, seen = np.random.default_rng(21), {"adjustment": 0, "frontdoor": 0, "id": 0, "open_path": 0}
    names = tuple(f"v{k}" for k in range(5))
    for _ in range(1500):
        edges = random_edges(5, rng)
        *xs, y = (int(v) for v in rng.permutation(5)[: rng.integers(2, 4)])
        graph = mixed_of(names, edges)
        answer = identify(graph, [f"v{x}" for x in xs], f"v{y}")
        if isinstance(answer, NotIdentified):
            seen[answer.code] += 1
            assert is_hedge(graph, Hedge(**answer.witness["hedge"]), [f"v{x}" for x in xs], [f"v{y}"])
            continue
        seen[answer.strategy] += 1
        if answer.strategy == "adjustment":
            continue
        dag = with_hidden(5, edges)
        tables = truth.random_tables(dag, [2] * len(dag), rng)
        observed = truth.product(tables).sum(axis=tuple(range(5, len(dag))))
        for levels in itertools.product((0, 1), repeat=len(xs)):
            do = dict(zip(xs, levels, strict=True))
            found = answer.distribution(observed, names, {f"v{x}": level for x, level in do.items()})
            joint = truth.intervened(tables, do)
            assert np.abs(found - joint.sum(axis=tuple(k for k in range(len(dag)) if k != y))).max() < 1e-9
    assert min(seen.values()) > 5, seen


def test_within_levels(truth: Any) -> None:
    edges = [(0, "-->", 1), (1, "-->", 2), (0, "<->", 2), (3, "-->", 2)]
    names = ("x", "m", "y", "w")
    answer = identify(mixed_of(names, edges), "x", "y", given="w")
    assert isinstance(answer, Identified) and (answer.strategy, answer.quantity) == ("id", "CATE")
    dag = with_hidden(4, edges)
    tables = truth.random_tables(dag, [2, 2, 3, 2, 2], np.random.default_rng(1))
    found = answer.distribution(truth.product(tables).sum(axis=4), names, 1)
    joint = truth.intervened(tables, {0: 1}).sum(axis=(0, 1, 4))
    assert np.allclose(found, joint / joint.sum(axis=0), atol=1e-12)


def test_what_is_said_of_the_napkin() -> None:
    answer = identify(mixed(NAPKIN), "x", "y")
    assert isinstance(answer, Identified) and answer.strategy == "id" and not answer.adjustable
    assert "same at every level of r" in answer.note and not list(answer.minimal_sets())
    assert answer.reasons["w"] == "w is used in the formula." and "There is no adjustment set" not in str(answer)
    assert answer.expression.latex() == (r"\frac{\sum_{w} P(y, x \mid r, w) \, P(w)}{\sum_{w} P(x \mid r, w) \, P(w)}")
    spec = answer.to_spec()
    assert (spec.strategy, spec.formula_columns, spec.controls) == ("id", ("r", "w"), ())
    assert not identify(mixed(NAPKIN), "x", "y", strategy="adjustment")
    with pytest.raises(WhenceError) as error:
        identify(mixed(NAPKIN), "x", "y", strategy="magic")
    assert error.value.code == "unknown_strategy"
