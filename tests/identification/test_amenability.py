"""Adjustment in a MAG or PAG against the DAGs with hidden causes that it stands for.

The members of a PAG are found by trying every orientation, the DAGs of a MAG by putting a hidden common cause on its
edges and keeping those with the same separations. Selection (---) is taken to be absent.
"""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np
import pytest
from tests.identification.test_truth import effect, named, observed_joint, subsets
from tests.reference import mags_by_definition as mags

from whence.core.errors import WhenceError
from whence.graphs.ancestry import descendants, markov_blanket, possible_ancestors, possible_descendants
from whence.graphs.classes import MAG
from whence.graphs.graph import Graph
from whence.graphs.mag import to_mag
from whence.graphs.pag import to_pag
from whence.identification.amenability import visible_children
from whence.identification.identify import identify
from whence.identification.result import Identified, NotIdentified

EXACT = 1e-9
Parents = tuple[tuple[int, ...], ...]


def random_mag(truth: Any, make: Any, rng: np.random.Generator, n: int, most: int) -> tuple[MAG, Parents]:
    """A MAG of n measured nodes v0 ... and a DAG it stands for, whose further nodes are hidden."""
    while True:
        total = n + int(rng.integers(0, 4))
        dag = truth.random_dag(total, float(rng.uniform(1.5, 3.5)), rng)
        mag = to_mag(make(dag, hidden=range(n, total)))
        if len(mag.edges()) <= most:
            return mag, dag


def members(graph: Graph, mag: MAG) -> list[np.ndarray]:
    """The mark matrices of the class in the order v0, v1, ..., or the MAG alone."""
    if isinstance(graph, MAG):
        return [np.array(mag.marks)]
    return _alike(mag.marks.tobytes(), len(mag))


@functools.cache
def _alike(marks: bytes, n: int) -> list[np.ndarray]:
    one = np.frombuffer(marks, dtype=np.int8).reshape(n, n)
    return [m for m in mags.alike(one) if not ((m == 3) & (m.T == 3)).any()]


def with_hidden(marks: np.ndarray, confounded: tuple[tuple[int, int], ...]) -> Parents:
    """The DAG of a MAG, with a hidden node for each <-> edge and for each edge named."""
    n = len(marks)
    parents = [[a for a in range(n) if marks[a, v] == 2 and marks[v, a] == 3] for v in range(n)]
    pairs = [(a, b) for a in range(n) for b in range(a) if marks[a, b] == marks[b, a] == 2] + list(confounded)
    for k, pair in enumerate(pairs):
        for v in pair:
            parents[v].append(n + k)
    return tuple(tuple(p) for p in parents) + ((),) * len(pairs)


def connections(directed: np.ndarray, spouses: np.ndarray) -> np.ndarray:
    """bool (k, 2^n, n, n): whether i and j are connected given each set, in graphs that may have both --> and <->.

    directed, spouses: bool (k, n, n). Reachability over (entered by an arrowhead or not, node).
    """
    k, n, _ = directed.shape
    below = mags.closure(directed)
    out = np.zeros((k, 2**n, n, n), dtype=bool)
    # (leaving by an arrowhead?, arriving at one?) -> the edges of that kind
    edges = {(0, 1): directed, (1, 0): directed.transpose(0, 2, 1), (1, 1): spouses}
    for code in range(2**n):
        z = np.array([code >> v & 1 for v in range(n)], dtype=bool)
        opens = (below & z).any(2)
        step = np.zeros((k, 2, n, 2, n), dtype=bool)
        for entered, ((leaving, arriving), edge) in itertools.product((0, 1), edges.items()):
            passes = opens if entered and leaving else np.broadcast_to(~z, (k, n))
            step[:, entered, :, arriving] |= edge & passes[:, :, None]
        reach = mags.closure(step.reshape(k, 2 * n, 2 * n)).reshape(k, 2, n, 2, n)[:, 0].any(2)
        out[:, code] = reach & ~z[:, None] & ~z[None, :]
    return out


def represented(marks: np.ndarray) -> list[tuple[Parents, tuple]]:
    return _represented(marks.tobytes(), len(marks))


@functools.cache
def _represented(code: bytes, n: int) -> list[tuple[Parents, tuple]]:
    """DAGs with hidden causes whose MAG this is, each with the directed edges that hide a common cause.

    Directed paths stay as they are, so the MAG stays the same when the separations do.
    """
    marks = np.frombuffer(code, dtype=np.int8).reshape(n, n)
    directed, spouses = (marks == 2) & (marks.T == 3), (marks == 2) & (marks.T == 2)
    arrows = [(int(a), int(b)) for a, b in np.argwhere(directed)]
    chosen = [some for size in range(3 if n < 5 else 2) for some in itertools.combinations(arrows, size)]
    extra = np.repeat(spouses[None], len(chosen), axis=0)
    for row, some in zip(extra, chosen, strict=True):
        for a, b in some:
            row[a, b] = row[b, a] = True
    found = connections(np.repeat(directed[None], len(chosen), axis=0), extra)
    same = (found == mags.models(marks[None])).all((1, 2, 3))
    return [(with_hidden(marks, some), some) for some, kept in zip(chosen, same, strict=True) if kept]


def valid_in_all(truth: Any, dags: list[Parents], n: int, xs: list[int], ys: list[int], w: tuple[int, ...]) -> set:
    """The sets of measured nodes that meet the adjustment criterion in each of the DAGs."""
    rest = [v for v in range(n) if v not in (*xs, *ys, *w)]
    left = {frozenset((*z, *w)) for z in subsets(rest)}
    for dag in dags:
        proper = [p for x in xs for y in ys for p in truth.paths(dag, x, y) if not set(xs) & set(p[1:])]
        causal = [p for p in proper if truth.is_causal(dag, p)]
        other = [p for p in proper if not truth.is_causal(dag, p)]
        forbidden = truth.descendants(dag, {v for p in causal for v in p} - set(xs))
        left = {z for z in left if not z & forbidden and not any(truth.is_open(dag, p, set(z)) for p in other)}
        if not left:
            break
    return left


def check(truth: Any, graph: Graph, some: list[np.ndarray], dags: list[Parents], xs: list[int], ys: list[int],
          w: tuple[int, ...], rng: np.random.Generator) -> str:
    """Verdict, every set, the minimal ones and the number against all DAGs; what the answer was."""
    n = len(graph)
    below = mags.closure(np.array([(m == 2) & (m.T == 3) for m in some]))
    if w and below[:, xs][:, :, list(w)].any():
        with pytest.raises(WhenceError, match="affects or may affect"):
            identify(graph, named(xs), named(ys), given=named(w))
        return "given after treatment"
    answer = identify(graph, named(xs), named(ys), given=named(w) or None)
    usable = valid_in_all(truth, dags, n, xs, ys, w)
    never = not below[:, xs][:, :, ys].any()
    assert bool(answer) == (bool(usable) or never), (graph, xs, ys, w)
    if isinstance(answer, NotIdentified):
        check_witness(truth, answer, graph, dags)
        return answer.code
    assert isinstance(answer, Identified)
    assert answer.no_effect == never and answer.adjustable == bool(usable), (graph, xs, ys, w)
    rest = [v for v in range(n) if v not in (*xs, *ys)]
    assert {frozenset(z) for z in subsets(rest) if answer.valid(named(z))} == usable, (graph, xs, ys, w)
    minimal = {z for z in usable if not any(other < z for other in usable)}
    listed = [frozenset(int(name[1:]) for name in z) for z in answer.minimal_sets()]
    assert len(listed) == len(set(listed)) and set(listed) == minimal
    assert not usable or frozenset(int(name[1:]) for name in answer.adjustment) in usable
    assert set(answer.reasons) == set(graph.names) == set(answer.roles)
    for k in rng.choice(len(dags), 2):
        check_number(truth, answer, dags[k], n, xs, ys, w, rng)
    return ("no effect" if never else "identified") + (" without a set" if not usable else "")


def check_number(truth: Any, answer: Identified, dag: Parents, n: int, xs: list[int], ys: list[int],
                 w: tuple[int, ...], rng: np.random.Generator) -> None:
    tables = truth.random_tables(dag, [2] * len(dag), rng)
    joint, names = observed_joint(truth, tables, tuple(range(n, len(dag))))
    for values in itertools.product((0, 1), repeat=len(xs)):
        do = dict(zip(xs, values, strict=True))
        found = answer.distribution(joint, names, {f"v{k}": v for k, v in do.items()})
        assert np.abs(found - effect(truth, tables, do, ys, list(w))).max() < EXACT


def check_witness(truth: Any, answer: NotIdentified, graph: Graph, dags: list[Parents]) -> None:
    """The edge or path named is one of the graph, and the members disagree as the sentence says."""
    marks = {(a, b): edge for a, edge, b in graph.edges()}
    steps = answer.witness["path"]
    assert steps[0][0] in answer.treatment and steps[-1][2] in answer.outcome
    if answer.code == "open_path":
        return
    a, edge, b = answer.witness["edge"]
    i, j = int(a[1:]), int(b[1:])
    flip = {"<--": "-->", "<-o": "o->"}
    for left, kind, right in steps:
        assert marks.get((left, right), flip.get(marks.get((right, left), ""), marks.get((right, left)))) == kind
        assert not kind.startswith("<")
    hidden = [any({i, j} <= {c for c, p in enumerate(d) if u in p} for u in range(len(graph), len(d))) for d in dags]
    if answer.code == "invisible_edge":
        assert edge == "-->" and any(hidden) and not all(hidden)
    else:
        assert edge in ("o->", "o-o")
        causes = [i in d[j] for d in dags]
        assert any(causes) and not all(causes)


def ask(truth: Any, make: Any, rng: np.random.Generator, n: int, most: int, kind: str) -> str:
    """One random question; where the graph has an arrow the treatment is often at its tail, else little is found."""
    for _ in range(20):
        mag, origin = random_mag(truth, make, rng, n, most)
        graph = mag if kind == "MAG" else to_pag(mag)
        starts = [int(a[1:]) for a, edge, _ in graph.edges() if edge == "-->"]
        if starts:
            break
    order = [int(v) for v in rng.permutation(n)]
    if starts and rng.random() < 0.8:
        first = int(rng.choice(starts))
        below = [int(name[1:]) for name in descendants(graph, f"v{first}") if name != f"v{first}"]
        last = int(rng.choice(sorted(below)))
        order = [first, last, *(v for v in order if v not in (first, last))]
    else:
        last = order[1]
    nx, ny = (1, 1) if rng.random() < 0.6 else (int(rng.integers(1, 3)), int(rng.integers(1, 3)))
    others = order[2:]
    xs, ys = [order[0], *others[: nx - 1]], [last, *others[nx - 1 : nx + ny - 2]]
    left = [v for v in others if v not in (*xs, *ys)]
    w = tuple(left[:1]) if rng.random() < 0.25 else ()
    some = members(graph, mag)
    dags = [origin, *(dag for marks in some for dag, _ in represented(marks))]
    return check(truth, graph, some, dags, sorted(xs), sorted(ys), w, rng)


@pytest.mark.parametrize("kind, n, most, count", [("MAG", 4, 6, 120), ("PAG", 4, 5, 40), ("MAG", 5, 7, 60),
                                                  ("PAG", 5, 5, 20)])
def test_random_graphs_against_every_dag(truth: Any, make: Any, kind: str, n: int, most: int, count: int) -> None:
    rng = np.random.default_rng(n)
    seen = [ask(truth, make, rng, n, most, kind) for _ in range(count)]
    assert {"identified", "no effect", "invisible_edge" if kind == "MAG" else "undecided_edge"} <= set(seen)


@pytest.mark.slow
@pytest.mark.parametrize("kind, n, most, count", [("MAG", 4, 6, 3000), ("PAG", 4, 6, 3000), ("MAG", 5, 8, 1500),
                                                  ("PAG", 5, 6, 1000)])
def test_many_random_graphs_against_every_dag(truth: Any, make: Any, kind: str, n: int, most: int,
                                              count: int) -> None:
    rng = np.random.default_rng(100 + n)
    seen = [ask(truth, make, rng, n, most, kind) for _ in range(count)]
    assert {"identified", "no effect", "open_path"} <= set(seen)


def test_visible_edges_hide_no_common_cause(truth: Any, make: Any) -> None:
    """In a MAG: no DAG with a common cause behind the edge has its separations; in a PAG: so in every member."""
    rng = np.random.default_rng(7)
    seen = set()
    for _ in range(40):
        mag, _ = random_mag(truth, make, rng, 4, 4)
        pag = to_pag(mag)
        for graph in (mag, pag):
            hiding = {edge for marks in members(graph, mag) for _, hidden in represented(marks) for edge in hidden}
            visible = {(a, b) for a, row in enumerate(visible_children(graph)) for b in range(4) if row >> b & 1}
            arrows = {(int(a[1:]), int(b[1:])) for a, edge, b in graph.edges() if edge == "-->"}
            assert visible == arrows - hiding
            seen |= {(graph.kind, bool(visible), bool(arrows - visible))}
    assert len(seen) > 4


def test_possible_descent_and_blankets_against_all_members(truth: Any, make: Any) -> None:
    rng = np.random.default_rng(8)
    for _ in range(40):
        n = int(rng.integers(4, 6))
        mag, _ = random_mag(truth, make, rng, n, 5)
        pag = to_pag(mag)
        some = members(pag, mag)
        below = mags.closure(np.array([(m == 2) & (m.T == 3) for m in some])).any(0)
        connected = mags.models(some[0][None])[0]
        for v, name in enumerate(named(range(n))):
            assert possible_descendants(pag, name) == set(named(np.flatnonzero(below[v])))
            assert possible_ancestors(pag, name) == set(named(np.flatnonzero(below[:, v])))
            assert possible_descendants(mag, name) == descendants(mag, name)
            rest = [u for u in range(n) if u != v]
            screens = [set(z) for z in subsets(rest)
                       if not connected[sum(1 << u for u in z), v, [u for u in rest if u not in z]].any()]
            smallest = min(screens, key=len)
            assert all(smallest <= z for z in screens)
            assert markov_blanket(pag, name) == markov_blanket(mag, name) == set(named(smallest))
