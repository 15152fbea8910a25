"""FCI on true separations against the PAG of the graph, which is built from its definition elsewhere."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from tests.discovery.oracle import OracleTests, one_of_each

from whence.discovery.fci import CARD, fci
from whence.graphs.build import graph
from whence.graphs.classes import DAG
from whence.graphs.graph import CIRCLE
from whence.graphs.knowledge import Knowledge
from whence.graphs.mag import to_mag
from whence.graphs.pag import to_pag
from whence.simulate.graphs import random_dag

# Seven measured nodes each, found by search: neighbours alone leave an edge that a set of three or four nodes removes.
LINKS = (
    "L0 --> n2; L0 --> n0; n2 --> n4; n0 --> n1; L1 --> n0; L1 --> n3; n0 --> n6; n0 --> n5; L2 --> n4; L2 --> n1; "
    "n4 --> n3; L3 --> n4; L3 --> n6; n4 --> n5; L4 --> n1; L4 --> n3",
    "n3 --> n1; n3 --> n0; L0 --> n3; L0 --> n4; n3 --> n6; n3 --> n5; L1 --> n1; L1 --> n5; L2 --> n0; L2 --> n6; "
    "n0 --> n2; L3 --> n4; L3 --> n2; n4 --> n5; n6 --> n2; L4 --> n6; L4 --> n5",
    "n4 --> n2; L0 --> n4; L0 --> n3; L1 --> n4; L1 --> n6; n4 --> n0; L2 --> n1; L2 --> n2; n1 --> n6; L3 --> n1; "
    "L3 --> n0; n2 --> n3; n2 --> n5; n3 --> n0",
    "n0 --> n6; n0 --> n4; n0 --> n1; n6 --> n4; n6 --> n3; n4 --> n5; n4 --> n2; n1 --> n5; L0 --> n1; L0 --> n2; "
    "L1 --> n3; L1 --> n5; n3 --> n2",
    "L0 --> n3; L0 --> n5; L1 --> n3; L1 --> n2; n3 --> n1; L2 --> n3; L2 --> n0; n5 --> n6; n6 --> n2; L3 --> n6; "
    "L3 --> n1; L4 --> n1; L4 --> n4; L5 --> n1; L5 --> n0",
)


def learn(dag: DAG, knowledge: Knowledge | None = None, **parameters):
    tests = OracleTests(dag)
    return fci(tests, tests.names, knowledge, CARD.checked(parameters))


def with_hidden(text: str) -> DAG:
    found = graph(text)
    return DAG(found.names, found.marks, frozenset(n for n in found.names if n.startswith("L")))


def small_dags(d: int):
    """Every DAG of d nodes, up to names, with every set of at most d - 2 of them hidden."""
    names = tuple("abcdefg"[:d])
    pairs = list(itertools.combinations(range(d), 2))
    for code in range(2 ** len(pairs)):
        marks = np.zeros((d, d), dtype=np.int8)
        for k, (i, j) in enumerate(pairs):
            if code >> k & 1:
                marks[i, j], marks[j, i] = 2, 3
        for size in range(d - 1):
            for hidden in itertools.combinations(names, size):
                yield DAG(names, marks, frozenset(hidden))


def random_hidden(seed: int, low: int, high: int) -> DAG:
    rng = np.random.default_rng(seed)
    d = int(rng.integers(low, high + 1))
    dag = random_dag(d, float(rng.uniform(1, 4)), seed)
    hidden = rng.permutation(d)[: rng.integers(0, d // 3 + 1)]
    return DAG(dag.names, dag.marks, frozenset(dag.names[k] for k in hidden))


def agrees(dag: DAG) -> None:
    learned = learn(dag)
    assert learned.graph == to_pag(dag), dag
    assert not learned.remarks
    assert {t.status for t in learned.triples} <= {"clear"}


def test_every_dag_of_four_nodes() -> None:
    assert len(list(small_dags(4))) == 704
    for dag in one_of_each(small_dags(4)):
        agrees(dag)


@pytest.mark.slow
def test_every_dag_of_five_nodes() -> None:
    assert sum(1 for _ in small_dags(5)) == 26_624
    for dag in one_of_each(small_dags(5)):
        agrees(dag)


@pytest.mark.parametrize("seed", range(40))
def test_random_graphs(seed: int) -> None:
    agrees(random_hidden(seed, 6, 12))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40, 1040))
def test_many_random_graphs(seed: int) -> None:
    agrees(random_hidden(seed, 6, 14))


@pytest.mark.parametrize("text", LINKS)
def test_edges_that_no_set_of_neighbours_removes(text: str) -> None:
    dag = with_hidden(text)
    agrees(dag)
    short = learn(dag, max_conditioning=2).graph
    assert len(short.edges()) > len(to_pag(dag).edges())


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kind", ["required", "tiers"])
def test_true_knowledge_adds_true_marks(seed: int, kind: str) -> None:
    dag = random_hidden(seed, 6, 9)
    rng = np.random.default_rng(seed)
    measured = set(dag.observed)
    if kind == "required":
        arrows = [(a, b) for a, _, b in dag.edges() if {a, b} <= measured]
        known = Knowledge(required=tuple(arrows[k] for k in rng.permutation(len(arrows))[:2]))
    else:
        order = [n for n in _topological(dag) if n in measured]
        cut = int(rng.integers(1, len(order)))
        known = Knowledge(tiers=(tuple(order[:cut]), tuple(order[cut:])))
    learned = learn(dag, known)
    mag, pag = to_mag(dag), to_pag(dag)
    at = [mag.index[n] for n in learned.graph.names]
    true, free = mag.marks[np.ix_(at, at)], pag.marks[np.ix_(at, at)]
    marks = learned.graph.marks
    assert ((marks == CIRCLE) | (marks == true)).all()
    assert ((free == CIRCLE) | (marks == free)).all()
    assert known.check(learned.graph) == []
    assert not [r for r in learned.remarks if r.code in ("not_a_pag", "inseparable_pair")]


def _topological(dag: DAG) -> list[str]:
    parents = {n: {a for a, _, b in dag.edges() if b == n} for n in dag.names}
    order: list[str] = []
    while len(order) < len(parents):
        order += [n for n in sorted(parents) if n not in order and parents[n] <= set(order)][:1]
    return order


def test_a_forbidden_arrow_becomes_an_arrowhead() -> None:
    dag = graph("a --> b")
    assert learn(dag).graph.edges() == [("a", "o-o", "b")]
    assert learn(dag, Knowledge(forbidden=(("b", "a"),))).graph.edges() == [("a", "o->", "b")]
    both = Knowledge(forbidden=(("b", "a"), ("a", "b")))
    assert learn(dag, both).graph.edges() == [("a", "<->", "b")]


def test_selection_leaves_undirected_edges() -> None:
    """a, b, c, d in a ring of pairs that select: independent given their two neighbours, by no common cause."""

    class Ring(OracleTests):
        def __init__(self) -> None:
            super().__init__(graph("a; b; c; d"))

        def _ask(self, x: int, y: int, given: tuple[int, ...]) -> bool:
            return (y - x) % 2 == 0 and len(given) == 2

    tests = Ring()
    found = fci(tests, tests.names, None, CARD.checked({"selection": True}))
    assert {edge for _, edge, _ in found.graph.edges()} == {"---"}
    assert not found.remarks
    plain = fci(tests, tests.names, None, CARD.checked({}))
    assert [r.code for r in plain.remarks if r.code == "not_a_pag"] == ["not_a_pag"]
    plain.graph.member  # noqa: B018  a property that checks
