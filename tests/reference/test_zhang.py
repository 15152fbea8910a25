"""Zhang's rules against the definition: the marks that all Markov equivalent MAGs share, by enumeration."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
from tests.reference import mags_by_definition as naive

from whence.core.errors import WhenceError
from whence.graphs import zhang
from whence.graphs.build import graph
from whence.graphs.classes import MAG, PAG
from whence.graphs.zhang import class_of_mag, member_of_pag

# A MAG for each rule, found by search, whose class comes out wrong when the rule is left out.
NEEDS = {
    "rule_1": "a --> c; b --> c; c --> d",
    "rule_2": "a --> c; b --> e; c <-> d; c <-> e; d <-- e",
    "rule_3": "a --> b; c --> b; d --> a; d --> c; d --> b",
    "rule_4": "a --> b; b <-> c; b --> d; c --> d",
    "rule_5": "a --- b; b --- c; c --- d; d --- a",
    "rule_6": "a --- b; a --> c; a --- e; b --- d; d --- e",
    "rule_7": "a --- c; a --- e; b --- c; b --- e; b --> f; d <-- f",
    "rule_8": "a --> b; a --> c; a <-> e; a <-- f; a --> g; b --> d; b <-- f; b --> g; c <-> d; c <-- e; d --> g; "
              "e --> g; f --> g",
    "rule_9": "a <-- b; a --> d; b --> c; c --> d",
    "rule_10": "a --- b; a --> d; a --- e; b --> c; b --- e; c --> d; c <-- e; d <-- e",
}


@functools.cache
def classes_of_four():
    return naive.classes(4, list(itertools.combinations(range(4), 2)), naive.CHOICES)


def agrees(mag, members):
    return (class_of_mag(mag) == naive.common(members)).all()


def test_every_mag_of_four_nodes():
    checked = 0
    for members in classes_of_four():
        for mag in members:
            assert agrees(mag, members), mag
            checked += 1
    assert (checked, len(classes_of_four())) == (3045, 251)


def test_five_nodes_three_of_every_class():
    """All 769 classes that differ by more than names, three members of each where it has as many."""
    rng, checked = np.random.default_rng(5), 0
    for edges in naive.skeletons(5):
        for members in naive.classes(5, edges):
            for mag in members[rng.permutation(len(members))[:3]]:
                assert agrees(mag, members), mag
                checked += 1
    assert checked > 1000


@pytest.mark.slow
def test_five_nodes_every_mag_up_to_renaming():
    checked = 0
    for edges in naive.skeletons(5):
        for members in naive.classes(5, edges):
            for mag in members:
                assert agrees(mag, members), mag
                checked += 1
    assert checked == 18307


def random_mag(rng, d, density):
    """A random MAG: nodes ahead of all arrowheads joined by ---, then --> and <-> down a random order."""
    while True:
        order, first = rng.permutation(d), rng.integers(0, d)
        marks = np.zeros((d, d), dtype=np.int8)
        for i, j in itertools.combinations(range(d), 2):
            a, b = order[i], order[j]
            if rng.random() < density:
                kind = (3, 3) if j < first else (2, 2) if i >= first and rng.random() < 0.3 else (2, 3)
                marks[a, b], marks[b, a] = kind
        try:
            return MAG(tuple(f"v{k}" for k in range(d)), marks)
        except WhenceError:
            continue


@pytest.mark.parametrize("d", [6, pytest.param(7, marks=pytest.mark.slow)])
def test_random_mags_of_more_nodes(d):
    rng = np.random.default_rng(d)
    for _ in range(25):
        mag = random_mag(rng, d, 0.45).marks
        assert agrees(mag, naive.alike(mag)), mag


@pytest.mark.parametrize("rule", NEEDS)
def test_every_rule_is_needed(rule, monkeypatch):
    mag = graph(NEEDS[rule], kind="MAG").marks
    truth = naive.common(naive.alike(mag))
    assert (class_of_mag(mag) == truth).all()
    monkeypatch.setattr(zhang, "RULES", tuple(r for r in zhang.RULES if r.__name__ != rule))
    assert (class_of_mag(mag) != truth).any()


def test_rules_of_selection_never_turn_a_graph_without_it():
    """R5 to R7 change nothing where a member has no ---, and the members without --- share the same marks."""
    for members in classes_of_four():
        lines = ((members == 3) & (members.transpose(0, 2, 1) == 3)).any((1, 2))
        if not lines.all():
            assert (naive.common(members[~lines]) == naive.common(members)).all()


def test_member_is_in_the_class():
    for members in classes_of_four():
        pag = naive.common(members)
        found = member_of_pag(pag)
        assert found is not None and (members == found).all((1, 2)).any()
        had_line, has_line = ((m == 3) & (m.T == 3) for m in (pag, found))
        assert (had_line == has_line).all()


def test_validity_is_exact_on_three_nodes():
    """Of all 1,000 mark matrices on three nodes, those with a member are the PAGs of some MAG."""
    pairs = list(itertools.combinations(range(3), 2))
    choices = np.array([*itertools.product((1, 2, 3), repeat=2), (0, 0)], dtype=np.int8)
    pags = {naive.common(c).tobytes() for c in naive.classes(3, pairs, naive.CHOICES)}
    every = naive.orientations(3, pairs, choices)
    assert len(every) == 1000
    assert {m.tobytes() for m in every if is_a_pag(m)} == pags


def test_validity_is_exact_on_four_nodes_with_an_edge_changed():
    pags = {naive.common(c).tobytes() for c in classes_of_four()}
    choices = [*itertools.product((1, 2, 3), repeat=2), (0, 0)]
    rng, wrong = np.random.default_rng(4), 0
    for members in classes_of_four():
        i, j = rng.permutation(4)[:2]
        marks = naive.common(members)
        marks[i, j], marks[j, i] = choices[rng.integers(10)]
        assert is_a_pag(marks) == (marks.tobytes() in pags), marks
        wrong += marks.tobytes() not in pags
    assert wrong > 100


def is_a_pag(marks):
    try:
        pag = PAG(tuple("abcd"[: len(marks)]), marks)
    except WhenceError as error:
        assert error.code in ("cycle", "almost_cycle", "not_ancestral")
        return False
    try:
        return isinstance(pag.member, MAG)
    except WhenceError as error:
        assert error.code == "not_a_pag"
        return False
