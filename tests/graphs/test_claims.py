from __future__ import annotations

import itertools
from collections import defaultdict

import numpy as np
import pytest
from tests.reference import mags_by_definition as naive
from tests.reference.graphs_by_definition import all_dags

from whence.core.errors import WhenceError
from whence.graphs.claims import KINDS, claim, claims
from whence.graphs.classes import CPDAG, PAG
from whence.graphs.equivalent_mags import equivalent_mags
from whence.graphs.orient import class_of


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
