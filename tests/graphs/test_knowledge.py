from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import graphs_by_definition as naive

from whence.core.errors import WhenceError
from whence.core.result import Refused
from whence.graphs.build import graph
from whence.graphs.classes import MPDAG
from whence.graphs.knowledge import Knowledge
from whence.graphs.transform import enumerate_members, to_cpdag


def agrees(dag, knowledge):
    """The definition: every required arrow there, no forbidden one, none from a later tier to an earlier."""
    arrows = {(a, b) for a, _, b in dag.edges()}
    tier = {n: k for k, names in enumerate(knowledge.tiers) for n in names}
    for a, b in arrows:
        if a in tier and b in tier and (tier[a] > tier[b] or (tier[a] == tier[b] and not knowledge.within_tiers)):
            return False
    return set(knowledge.required) <= arrows and not set(knowledge.forbidden) & arrows


def random_knowledge(names, rng):
    order = rng.sample(names, len(names))
    cut = sorted(rng.sample(range(1, len(names)), 2))
    tiers = [order[: cut[0]], order[cut[0] : cut[1]]] if rng.random() < 0.5 else []
    pairs = [tuple(rng.sample(names, 2)) for _ in range(4)]
    return Knowledge(tiers, pairs[: rng.randint(0, 2)], pairs[2 : 2 + rng.randint(0, 2)], rng.random() < 0.8)


def test_apply_keeps_exactly_the_members_that_agree():
    rng, kept, refused = random.Random(0), 0, 0
    while kept < 120 or refused < 60:
        names = list("abcde")
        cpdag = to_cpdag(graph([*names, *naive.random_dag_edges(names, 0.6, rng)]))
        try:
            knowledge = random_knowledge(names, rng)
        except WhenceError as error:
            assert error.code == "contradictory_knowledge"
            continue
        expected = {m for m in enumerate_members(cpdag) if agrees(m, knowledge)}
        result = knowledge.apply(cpdag)
        if isinstance(result, Refused):
            refused += 1
            assert not expected
            assert result.code == "knowledge_contradicts_graph" and len(result.evidence["pair"]) == 2
        else:
            kept += 1
            assert isinstance(result, MPDAG)
            assert set(enumerate_members(result)) == expected
            assert expected
            assert knowledge.check(result) == []


def test_check_finds_a_contradiction_exactly_when_a_dag_disagrees():
    rng = random.Random(3)
    for _ in range(400):
        names = list("abcde")
        dag = graph([*names, *naive.random_dag_edges(names, 0.5, rng)])
        try:
            knowledge = random_knowledge(names, rng)
        except WhenceError:
            continue
        remarks = knowledge.check(dag)
        if agrees(dag, knowledge):
            assert remarks == []
        else:
            assert remarks


def test_allows_matches_the_matrix_and_the_forced_orientations():
    k = Knowledge(tiers=[["a", "b"], ["c"]], required=[("b", "d")], forbidden=[("e", "a")], within_tiers=False)
    names = ["e", "d", "c", "b", "a"]
    matrix = k.allowed(names)
    for i, a in enumerate(names):
        for j, b in enumerate(names):
            assert matrix[i, j] == (a != b and k.allows(a, b))
    assert k.orientations(names) == [("a", "c"), ("a", "e"), ("b", "c"), ("b", "d")]
    assert not k.allows("a", "b") and not k.allows("b", "a")
    assert not k.allows("d", "b")
    assert k.objection("c", "a") == "c is in tier 2, later than a in tier 1"
    assert k.objection("e", "a") == "e --> a is forbidden"


def test_required_chains_rule_out_the_way_back():
    k = Knowledge(required=[("a", "b"), ("b", "c")])
    assert not k.allows("c", "a")
    assert k.allows("a", "c")
    assert k.orientations("abc") == [("a", "b"), ("a", "c"), ("b", "c")]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"required": [("a", "b"), ("b", "c"), ("c", "a")]}, "cycle: a --> b --> c --> a"),
        ({"required": [("a", "b")], "forbidden": [("a", "b")]}, "a --> b is both required and forbidden"),
        ({"tiers": [["a"], ["b"]], "required": [("b", "a")]}, "b is in tier 2, later than a in tier 1"),
        ({"tiers": [["a", "b"]], "required": [("b", "a")], "within_tiers": False}, "both in tier 1"),
        ({"tiers": [["a"], ["b", "a"]]}, "'a' is in tier 1 and in tier 2"),
    ],
)
def test_knowledge_against_itself(fields, words):
    with pytest.raises(WhenceError) as error:
        Knowledge(**fields)
    assert error.value.code == "contradictory_knowledge"
    assert words in str(error.value)


@pytest.mark.parametrize(
    "fields",
    [{"tiers": "ab"}, {"tiers": ["ab", "c"]}, {"tiers": [[1]]}, {"required": ["ab"]}, {"required": [("a",)]},
     {"forbidden": [("a", "a")]}, {"forbidden": [("a", 3)]}, {"within_tiers": "no"}, {"source": 3},
     {"required": 5}, {"tiers": 5}],
)
def test_malformed_knowledge(fields):
    with pytest.raises(WhenceError) as error:
        Knowledge(**fields)
    assert error.value.code == "bad_knowledge"


def test_remarks_name_each_contradiction():
    k = Knowledge(tiers=[["age"], ["smoking"]], required=[("age", "weight")], forbidden=[("weight", "smoking")],
                  source="protocol")
    remarks = k.check(graph("smoking --> age; weight --> smoking"))
    assert [r.text for r in remarks] == [
        "age --> weight is required, but the graph has no edge between them.",
        "The graph has smoking --> age, but smoking is in tier 2, later than age in tier 1.",
        "The graph has weight --> smoking, but weight --> smoking is forbidden.",
    ]
    assert remarks[1].evidence["source"] == "protocol"
    assert k.check(graph("weight --- age; smoking")) == []
    assert "has weight --> age" in k.check(graph("weight --> age; smoking"))[0].text
    assert "only age <-> weight" in k.check(graph("age <-> weight; smoking"))[0].text
    assert k.check(graph("age --> weight; age <-> weight; smoking")) == []
    assert k.check(graph("age o-o weight; smoking")) == []
    assert "the graph has weight o-> age" in k.check(graph("weight o-> age; smoking"))[0].text


def test_an_open_edge_with_both_ways_ruled_out_contradicts():
    k = Knowledge(forbidden=[("a", "b"), ("b", "a")])
    assert k.check(graph("a --- b"))[0].text == (
        "The graph has a --- b, but a --> b is forbidden and b --> a is forbidden.")
    assert not k.apply(graph("a --- b"))


def test_apply_explains_what_follows_from_earlier_statements():
    k = Knowledge(required=[("a", "b")], forbidden=[("b", "c")])
    refused = k.apply(graph("a --- b --- c"))
    assert isinstance(refused, Refused)
    assert "b --> c follows from the graph and the other statements" in refused.reason


def test_unknown_names():
    k = Knowledge(tiers=[["agee"]])
    with pytest.raises(WhenceError, match="Did you mean 'age'") as error:
        k.validate(["age", "sex"])
    assert error.value.code == "unknown_node"
    with pytest.raises(WhenceError, match="no node in the knowledge 'agee'"):
        k.apply(graph("age --- sex"))
    assert k.check(graph("age"))[0].code == "unknown_node"
    with pytest.raises(WhenceError, match="not 'ADMG'"):
        k.apply(graph("a <-> b"))


TEXT = """\
# what the protocol says
source: the study protocol, section 4
tier: age sex          # at baseline
tier: smoking, "body mass"
within tiers: no
require age --> smoking, sex -> "body mass"
forbid smoking <-- "body mass" <-- sex
"""


def test_text_form():
    k = Knowledge.from_text(TEXT.replace("<-- sex", "<-- x"))
    assert k == Knowledge(
        tiers=(("age", "sex"), ("smoking", "body mass")), within_tiers=False,
        required=(("age", "smoking"), ("sex", "body mass")),
        forbidden=(("body mass", "smoking"), ("x", "body mass")), source="the study protocol, section 4",
    )
    assert Knowledge.from_text(k.to_text()) == k
    assert Knowledge.from_text("") == Knowledge()
    assert not Knowledge()


@pytest.mark.parametrize(
    ("text", "words"),
    [("tier: a\nfoo b", 'Line 2, column 1 of the knowledge: expected "tier:"'),
     ("require a b", "Line 1, column 11 of the knowledge: expected --> or <--, found 'b'"),
     ("require a -->", "Line 1, column 14 of the knowledge: expected a name"),
     ("\n\nforbid", "Line 3, column 7 of the knowledge: expected an arrow"),
     ("tier:", "Line 1, column 6 of the knowledge: expected at least one name"),
     ("within tiers: maybe", "expected yes or no"),
     ('tier: "a', "a closing quote"),
     ("require a --> b c", "expected a comma or the end of the line"),
     ("require a <-> b", "found '<-> b'")],
)
def test_text_errors_name_the_line(text, words):
    with pytest.raises(WhenceError) as error:
        Knowledge.from_text(text)
    assert error.value.code == "bad_knowledge"
    assert words in str(error.value)


NAMES = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=8)


@settings(max_examples=150, deadline=None)
@given(st.lists(NAMES, min_size=4, max_size=6, unique=True), st.booleans(), st.text("ab #:-", max_size=9))
def test_round_trips(names, within, source):
    source = source.strip()
    k = Knowledge(tiers=(names[:1], names[1:3]), required=[(names[0], names[3])],
                  forbidden=[(names[3], names[1])], within_tiers=within, source=source)
    assert Knowledge.from_text(k.to_text()) == k
    assert Knowledge.from_dict(k.to_dict()) == k
    assert Knowledge.from_dict(k.to_dict()).hash == k.hash


def test_from_dict_names_an_unknown_field():
    with pytest.raises(WhenceError, match="Did you mean 'forbidden'"):
        Knowledge.from_dict({"forbiden": []})


def test_allowed_is_fast_enough_for_many_columns():
    names = [f"v{i}" for i in range(2000)]
    k = Knowledge(tiers=(names[:1000], names[1000:]))
    assert np.count_nonzero(k.allowed(names)) == 2000 * 1999 - 1000 * 1000
