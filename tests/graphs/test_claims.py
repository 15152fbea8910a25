from __future__ import annotations

import itertools
from collections import defaultdict

import numpy as np
import pytest
from tests.reference import mags_by_definition as naive
from tests.reference.graphs_by_definition import all_dags

from whence.core.errors import WhenceError
from whence.graphs.claims import KINDS, claim, claims
from whence.graphs.classes import ADMG, CPDAG, DAG, MPDAG, PAG
from whence.graphs.equivalent_mags import MagBits, equivalent_mags, says
from whence.graphs.graph import marks_from_edges, matrices_from_edges
from whence.graphs.mag import to_mag
from whence.graphs.orient import class_of, meek
from whence.graphs.pag import to_pag


def reached(pairs, start, avoid):
    seen, waiting = set(), [start]
    while waiting:
        k = waiting.pop()
        new = {y for x, y in pairs if x == k and y != avoid} - seen
        seen |= new
        waiting += new
    return seen


def truth(pairs, nodes, kind, a, b):
    """The definitions in the docstring of ``claims``, in one DAG."""
    third = [c for c in nodes if c not in (a, b)]
    if kind == "parent":
        return (a, b) in pairs
    if kind == "causes":
        return b in reached(pairs, a, None)
    if kind == "indirect":
        return any(c in reached(pairs, a, None) and b in reached(pairs, c, None) for c in third)
    if kind == "common_cause":
        return any(a in reached(pairs, c, b) and b in reached(pairs, c, a) for c in third)
    return any(c in reached(pairs, a, b) and c in reached(pairs, b, a) for c in third)


def verdict(found):
    return "all" if all(found) else "some" if any(found) else "none"


@pytest.mark.parametrize("names", ["abc", pytest.param("abcd", marks=pytest.mark.slow)])
def test_every_class_of_few_nodes_against_all_its_members(names):
    classes = defaultdict(list)
    for pairs in all_dags(names):
        marks = np.zeros((len(names),) * 2, dtype=np.int8)
        for x, y in pairs:
            marks[names.index(x), names.index(y)], marks[names.index(y), names.index(x)] = 2, 3
        classes[class_of(marks).tobytes()].append(set(pairs))
    for key, members in classes.items():
        graph = CPDAG(tuple(names), np.frombuffer(key, np.int8).reshape(len(names), -1))
        for kind, (a, b) in itertools.product(KINDS, itertools.permutations(names, 2)):
            found = claim(graph, kind, a, b)
            assert found.verdict == verdict([truth(m, names, kind, a, b) for m in members]), (graph, found)
            for witness, holds in ((found.holds_in, True), (found.fails_in, False)):
                if witness is not None:
                    arrows = {(x, y) for x, _, y in witness.edges()}
                    assert arrows in members and truth(arrows, names, kind, a, b) == holds


def members_of(graph):
    """Every DAG of a CPDAG or MPDAG, as sets of arrows, by trying all directions of the --- edges."""
    names = graph.names
    known = {(x, y) for x, edge, y in graph.edges() if edge == "-->"}
    known |= {(y, x) for x, edge, y in graph.edges() if edge == "<--"}
    open_edges = [(x, y) for x, edge, y in graph.edges() if edge == "---"]
    adjacent = known | set(open_edges)
    adjacent |= {(y, x) for x, y in adjacent}

    def colliders(pairs):
        return {(frozenset((x, y)), z) for x, z in pairs for y, w in pairs
                if w == z and x != y and (x, y) not in adjacent}

    wanted = colliders(known)
    for turned in itertools.product((False, True), repeat=len(open_edges)):
        pairs = known | {(y, x) if turn else (x, y) for (x, y), turn in zip(open_edges, turned, strict=True)}
        if colliders(pairs) == wanted and not any(k in reached(pairs, k, None) for k in names):
            yield pairs


@pytest.mark.parametrize("kind, many", [
    ("CPDAG", 6), ("MPDAG", 6), pytest.param("CPDAG", 300, marks=pytest.mark.slow),
    pytest.param("MPDAG", 300, marks=pytest.mark.slow),
])
def test_random_classes_of_five_nodes_against_all_members(kind, many):
    rng = np.random.default_rng(3)
    names = tuple("abcde")
    for _ in range(many):
        order = [names[k] for k in rng.permutation(5)]
        dense = rng.uniform(0.3, 1)
        pairs = [pair for pair in itertools.combinations(order, 2) if rng.random() < dense]
        marks = class_of(marks_from_edges(names, [(x, "-->", y) for x, y in pairs]))
        if kind == "MPDAG":  # what is known besides the class: some of the arrows
            told = [(names.index(x), names.index(y)) for x, y in pairs
                    if marks[names.index(x), names.index(y)] == 3 and rng.random() < 0.4]
            for arrow in told:
                marks = meek(marks, [arrow]) if marks[arrow] == 3 else marks
        graph = (CPDAG if kind == "CPDAG" else MPDAG)(names, marks)
        members = list(members_of(graph))
        for a, b in itertools.combinations(names, 2):
            for found in claims(graph, a, b):
                want = verdict([truth(m, names, found.kind, found.a, found.b) for m in members])
                assert found.verdict == want, (graph, found)
                for witness, holds in ((found.holds_in, True), (found.fails_in, False)):
                    assert (witness is not None) == (want in ("some", "all" if holds else "none"))
                    if witness is not None:
                        arrows = {(x, y) if edge == "-->" else (y, x) for x, edge, y in witness.edges()}
                        assert arrows in members and truth(arrows, names, found.kind, found.a, found.b) == holds


def mag_classes():
    for members in naive.classes(4, list(itertools.combinations(range(4), 2)), naive.CHOICES):
        kept = members[~((members == 3) & (members.transpose(0, 2, 1) == 3)).any((1, 2))]
        if len(kept):
            yield naive.common(members), kept


def test_mark_changes_reach_every_equivalent_mag():
    for _, members in mag_classes():
        assert {m.tobytes() for m in equivalent_mags(members[0], 10**6)} == {m.tobytes() for m in members}


def test_who_causes_whom_in_every_pag_of_four_nodes():
    names = tuple("abcd")
    for common, members in mag_classes():
        if ((common == 3) & (common.T != 2) & (common != 0)).any():
            continue
        graph = PAG(names, common)
        below = naive.closure((members == 2) & (members.transpose(0, 2, 1) == 3))
        for i, j in itertools.combinations(range(4), 2):
            found = claims(graph, names[i], names[j])
            third = [k for k in range(4) if k not in (i, j)]
            want = {
                "causes": below[:, i, j], "parent": (members[:, i, j] == 2) & (members[:, j, i] == 3),
                "indirect": np.any([below[:, i, k] & below[:, k, j] for k in third], axis=0),
                "common_effect": np.any([below[:, i, k] & below[:, j, k] for k in third], axis=0),
            }
            for kind, holds in want.items():
                assert found.of(kind).verdict == verdict(holds), (graph, found.of(kind))


def shows(found, members):
    """Whether each witness of a claim about a PAG is a member and says what it is shown for; the claims lacking one."""
    lacking = 0
    names = found.graph.names
    for one in found:
        at = one.kind, names.index(one.a), names.index(one.b)
        for witness, said in ((one.holds_in, "all"), (one.fails_in, "none")):
            if witness is not None:
                assert witness.marks.tobytes() in members and says(MagBits(witness.marks), *at) == said, (found, one)
                assert one.verdict in (said, "some")
        lacking += one.verdict == "some" and one.kind != "common_cause" and None in (one.holds_in, one.fails_in)
    return lacking


def random_pag_class(rng, d):
    """The PAG of a random graph with hidden causes, and all its members by one change of a mark at a time."""
    names = tuple("abcdefgh"[:d])
    arrows, spouses = rng.random((2, d, d)) < rng.uniform([0.3, 0.1], [0.9, 0.4])[:, None, None]
    order = rng.permutation(d)
    pairs = [(names[order[i]], names[order[j]], i, j) for i, j in itertools.combinations(range(d), 2)]
    edges = [(x, "-->", y) for x, y, i, j in pairs if arrows[i, j]]
    edges += [(x, "<->", y) for x, y, i, j in pairs if spouses[i, j]]
    marks, bidirected = matrices_from_edges(names, edges)
    mag = to_mag(ADMG(names, marks, frozenset(), bidirected))
    return to_pag(mag), np.array(list(equivalent_mags(mag.marks, 10**6)))


@pytest.mark.parametrize("d, many", [(5, 4), pytest.param(5, 100, marks=pytest.mark.slow)])
def test_random_pags_of_five_nodes_against_all_members(d, many):
    rng = np.random.default_rng(5)
    for _ in range(many):
        graph, members = random_pag_class(rng, d)
        below = naive.closure((members == 2) & (members.transpose(0, 2, 1) == 3))
        keys, bits = {m.tobytes() for m in members}, [MagBits(m) for m in members]
        for i, j in itertools.combinations(range(d), 2):
            found = claims(graph, graph.names[i], graph.names[j], budget=10**6)
            assert shows(found, keys) == 0, found
            third = [k for k in range(d) if k not in (i, j)]
            want = {
                "causes": below[:, i, j], "parent": (members[:, i, j] == 2) & (members[:, j, i] == 3),
                "indirect": np.any([below[:, i, k] & below[:, k, j] for k in third], axis=0),
                "common_effect": np.any([below[:, i, k] & below[:, j, k] for k in third], axis=0),
            }
            for kind, holds in want.items():
                assert found.of(kind).verdict == verdict(holds), (graph, found.of(kind))
            told = {says(one, "common_cause", i, j) for one in bits}
            assert found.of("common_cause").verdict == (told.pop() if len(told) == 1 else "some"), graph


def test_members_built_for_a_big_pag_belong_to_it_and_decide():
    """30 measured nodes: the walk through members would not end; those built must be members and settle nearly all."""
    rng = np.random.default_rng(11)
    names = tuple(f"v{k:02d}" for k in range(35))
    claimed = undecided = 0
    for _ in range(6):
        order = rng.permutation(35)
        edges = [(names[order[i]], "-->", names[order[j]]) for i, j in itertools.combinations(range(35), 2)
                 if rng.random() < 0.08]
        graph = to_pag(DAG(names, marks_from_edges(names, edges), frozenset(names[:5])))
        for _ in range(3):
            k, j = map(int, rng.choice(np.argwhere(graph.marks == 1)))
            found = claims(graph, graph.names[j], graph.names[k])
            claimed, undecided = claimed + len(found), undecided + sum(one.verdict == "undecided" for one in found)
            for member in {m for one in found for m in (one.holds_in, one.fails_in) if m is not None}:
                assert to_pag(member) == graph
    assert claimed == 144 and undecided <= 3


def test_a_mag_leaves_a_common_cause_open_beside_an_arrow_that_is_not_visible():
    pag = PAG(("a", "b"), np.array([[0, 1], [1, 0]]))
    assert claim(pag, "common_cause", "a", "b").verdict == "some"
    text = "u o-> x; z o-> x; x --> y"
    assert claim(text, "common_cause", "x", "y").verdict == "none"
    assert claim("a --> b; a <-> b", "common_cause", "a", "b").verdict == "all"
    assert claim("a --> b", "common_cause", "a", "b").verdict == "none"


def test_words_and_bad_input():
    found = claims("x --- y; y --- z", "x", "z")
    assert len(found) == 8 and found.of("causes").verdict == "some" and not found.of("causes")
    assert "x --> y" in found.of("causes").why
    assert found.to_dict()["every"][0]["text"] == "x causes z" and "x causes z" in found._repr_html_()
    for call, code in ((lambda: claims("x --> y", "x", "x"), "same_node"),
                       (lambda: claims("x --> y", "x", "w"), "unknown_node"),
                       (lambda: claim("x --> y", "loves", "x", "y"), "unknown_claim"),
                       (lambda: claims("x --- y; y --- z; z --- w; w --- x", "x", "y"), None)):
        with pytest.raises(WhenceError) as error:
            call()
        assert code is None or error.value.code == code
