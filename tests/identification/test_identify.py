"""What people see: names, words, errors, the spec, the number, and no dependence on the order of columns."""

from __future__ import annotations

import json
import pickle
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from tests.identification.conftest import make_graph

from whence.core.errors import WhenceError
from whence.core.result import to_plain
from whence.graphs.classes import DAG, MAG
from whence.graphs.graph import Graph
from whence.graphs.svg import ROLES
from whence.identification.identify import Identified, NotIdentified, identify
from whence.identification.spec import Spec

STORY = ("z --> x; z --> y; x --> m; m --> y; u --> x; u --> a; a --> y; w --> y; x --> c; y --> c; i --> x; m --> d; "
         "p --> z; k; x --> e")


@pytest.fixture
def story(make: Any) -> Identified:
    answer = identify(make(STORY, hidden=["u"]), "x", "y")
    assert isinstance(answer, Identified)
    return answer


def test_the_set_and_the_formula(story: Identified) -> None:
    assert story.adjustment == ("a", "w", "z")
    assert str(story.estimand) == "P(y | do(x))"
    assert story.expression.unicode() == "Σ_{a, w, z} P(y | x, a, w, z) P(a, w, z)"
    assert list(story.minimal_sets()) == [("a", "z")]
    assert story.valid(["a", "z"]) and not story.valid("z") and not story.valid(["a", "z", "u"])


@pytest.mark.parametrize("name, role, words", [
    ("z", "adjusted", "common cause"),
    ("a", "adjusted", "non-causal path"),
    ("w", "adjusted", "more precise"),
    ("m", "mediator", "part of the effect"),
    ("d", "excluded", "affected by m"),
    ("c", "excluded", "affected by the outcome"),
    ("e", "other", "comes after x"),
    ("i", "instrument", "noise"),
    ("u", "latent", "not measured"),
    ("p", "other", "already blocks"),
    ("k", "other", "not needed"),
    ("x", "treatment", "treatment"),
    ("y", "outcome", "outcome"),
])
def test_every_node_has_its_reason(story: Identified, name: str, role: str, words: str) -> None:
    assert story.roles[name] == role and role in ROLES
    assert words in story.reasons[name]
    assert set(story.reasons) == set(story.graph.names)


def test_a_collider_is_named_with_the_path_it_would_open(make: Any) -> None:
    answer = identify(make("u --> x; u --> b; v --> b; v --> y; x --> y", hidden=["u", "v"]), "x", "y")
    assert isinstance(answer, Identified) and answer.adjustment == ()
    assert answer.roles["b"] == "excluded"
    assert "x <-- u --> b <-- v --> y" in answer.reasons["b"]


def test_words_are_careful_about_a_class(make: Any) -> None:
    answer = identify(make("a --- b; a --> x; b --> x; c --> x; x --> y", "CPDAG"), "x", "y")
    assert isinstance(answer, Identified)
    sure = identify(make("a --> x; x --> y; a --> y; b --> y; b --> x; a --- b; c --> x", "MPDAG"), "x", "y")
    assert isinstance(sure, Identified) and "a affects both" in sure.reasons["a"]
    assert "one of the class" in sure.assumptions[0]


def test_no_path_means_no_effect_whatever_is_hidden(make: Any) -> None:
    answer = identify(make("u --> x; u --> y; z --> x", hidden=["u"]), "x", "y")
    assert isinstance(answer, Identified) and answer.no_effect and not answer.adjustable
    assert str(answer.expression) == "P(y)" and "zero" in answer.note and "There is no adjustment set" in str(answer)
    joint = np.random.default_rng(0).uniform(size=(2, 3))
    found = answer.distribution(joint, ["x", "y"], {"x": 1})
    assert np.allclose(found, joint.sum(axis=0) / joint.sum())
    with pytest.raises(WhenceError) as error:
        answer.to_spec()
    assert error.value.code == "nothing_to_estimate"
    assert set(answer.reasons) == {"u", "x", "y", "z"}
    test = identify(make("u --> x; u --> y"), "x", "y")
    assert isinstance(test, Identified) and test.adjustment == ("u",) and test.to_spec().controls == ("u",)


def test_refusals_carry_witness_and_remedy(make: Any) -> None:
    answer = identify(make("u --> x; u --> y; x --> y; z --> x", hidden=["u"]), "x", "y")
    assert isinstance(answer, NotIdentified) and not answer
    assert answer.witness["path"] == [["x", "<--", "u"], ["u", "-->", "y"]]
    assert "by covariate adjustment" in answer.reason and "Measuring u" in answer.remedy
    assert json.loads(json.dumps(to_plain(answer)))["code"] == "open_path"
    assert answer.roles == {"u": "latent", "x": "treatment", "y": "outcome"}
    mixed = identify(make("x --> m; m --> y; x <-> y", "ADMG"), "x", "y", strategy="adjustment")
    assert isinstance(mixed, NotIdentified) and mixed.witness["path"] == [["x", "<->", "y"]]
    assert "hidden common cause of x and y" in mixed.remedy
    undecided = identify(make("x --- v; v --- y", "CPDAG"), "x", "y")
    assert isinstance(undecided, NotIdentified) and undecided.code == "undecided_edge"
    assert undecided.witness["edge"] == ["x", "---", "v"] and "x --- v" in undecided.remedy
    joint = identify(make("x1 --> l; l --> x2; l --> y; x2 --> y; u --> l; u --> y", hidden=["u"]), ["x1", "x2"], "y",
                     strategy="adjustment")
    assert isinstance(joint, NotIdentified) and "over time" in joint.remedy


def test_the_order_of_nodes_does_not_matter(make: Any) -> None:
    one = make(STORY, hidden=["u"])
    turned = make(STORY, hidden=["u"], names=sorted(one.names, reverse=True))
    first, second = identify(one, "x", "y"), identify(turned, "x", "y")
    assert isinstance(first, Identified) and isinstance(second, Identified)
    assert first.adjustment == second.adjustment and dict(first.reasons) == dict(second.reasons)
    assert list(first.minimal_sets()) == list(second.minimal_sets())


def test_the_spec_and_other_faces(story: Identified) -> None:
    spec = story.to_spec(cluster="k")
    assert (spec.strategy, spec.treatments, spec.outcomes) == ("adjustment", ("x",), ("y",))
    assert spec.controls == ("a", "w", "z")
    assert spec.cluster == "k" and Spec.from_json(spec.to_json()) == spec and spec.assumptions == story.assumptions
    with pytest.raises(WhenceError) as error:
        story.to_spec(control=["a"])
    assert error.value.code == "unknown_field"
    plain = json.loads(json.dumps(story.to_dict()))
    assert plain["adjustment"] == ["a", "w", "z"] and plain["reasons"]["z"] and "problem" not in plain
    assert ElementTree.fromstring(story._repr_html_()) is not None
    assert pickle.loads(pickle.dumps(story)) == story
    assert "Adjust for: a, w, z." in str(story)


def test_many_minimal_sets_come_lazily(make: Any) -> None:
    """Twenty confounding chains of two: 2^20 minimal sets."""
    edges = "; ".join(f"a{k} --> x; a{k} --> b{k}; b{k} --> y" for k in range(20)) + "; x --> y"
    answer = identify(make(edges), "x", "y")
    assert isinstance(answer, Identified)
    some = list(answer.minimal_sets(limit=50))
    assert len(set(some)) == 50 and all(answer.valid(z) and len(z) == 20 for z in some)


def test_quantities(make: Any) -> None:
    graph = make("l --> x; l --> y; x --> y; s --> y; s --> x")
    treated = identify(graph, "x", "y", quantity="ATT")
    assert isinstance(treated, Identified) and str(treated.expression) == "Σ_{l, s} P(y | x, l, s) P(l, s | x′)"
    assert treated.to_spec().quantity == "ATT"
    with pytest.raises(WhenceError) as error:
        treated.distribution(np.ones((2, 2, 2, 2)), "lsxy", 1)
    assert error.value.code == "unsupported_quantity"
    within = identify(graph, "x", "y", given="s")
    assert isinstance(within, Identified) and within.quantity == "CATE"
    assert str(within.expression) == "Σ_{l} P(y | x, l, s) P(l | s)"
    assert within.reasons["s"] == "s is in because the effect is asked within its levels."


@pytest.mark.parametrize("change, code", [
    ({"treatment": "xx"}, "unknown_node"),
    ({"outcome": "x"}, "role_conflict"),
    ({"treatment": ["x", "x"]}, "role_conflict"),
    ({"treatment": []}, "missing_role"),
    ({"treatment": "u"}, "latent_node"),
    ({"outcome": "u"}, "latent_node"),
    ({"given": "u"}, "latent_node"),
    ({"given": "x"}, "role_conflict"),
    ({"given": "m"}, "given_after_treatment"),
    ({"quantity": "ATEE"}, "unknown_quantity"),
    ({"quantity": "LATE"}, "unsupported_quantity"),
    ({"quantity": "ATT", "given": "z"}, "unsupported_quantity"),
    ({"quantity": "CATE"}, "missing_role"),
])
def test_questions_that_cannot_be_asked(make: Any, change: dict[str, Any], code: str) -> None:
    question: dict[str, Any] = {"treatment": "x", "outcome": "y"} | change
    with pytest.raises(WhenceError) as error:
        identify(make(STORY, hidden=["u"]), **question)
    assert error.value.code == code


def test_kinds_of_graph(make: Any) -> None:
    assert isinstance(identify("z --> x; z --> y; x --> y", "x", "y"), Identified)
    with pytest.raises(WhenceError) as error:
        identify(make("x --- y", MAG), "x", "y")
    assert error.value.code == "selection_edges"
    with pytest.raises(WhenceError) as error:
        identify(make("a o-> y; x --> y", Graph), "x", "y")
    assert error.value.code == "unsupported_graph"


def test_a_pag_from_text_to_numbers() -> None:
    answer = identify("a o-> x; b o-> x; x --> y; y <-> w", "x", "y")
    assert isinstance(answer, NotIdentified) and answer.code == "not_a_pag" and "w" in answer.reason
    answer = identify("a o-> x; b o-> x; x --> y", "x", "y")
    assert isinstance(answer, Identified) and answer.adjustment == () and answer.to_spec().controls == ()
    assert answer.reasons["a"].startswith("a may affect x and reaches y only through it")
    assert "one of the class" in answer.assumptions[0] and "common cause" in answer.assumptions[0]
    joint = np.random.default_rng(0).uniform(size=(2, 2, 2, 2))
    assert answer.distribution(joint, "abxy", 1).sum() == pytest.approx(1)
    assert identify("a o-> x; b o-> x; x --> y", "x", "y", given="a").expression.text() == "P(y | x, a)"
    back = identify("a o-> x; b o-> x; x --> y", "y", "x")
    assert isinstance(back, Identified) and back.no_effect and not back.adjustable


def test_edges_that_may_hide_a_cause_are_named() -> None:
    undecided = identify("a o-> y; x o-> y", "x", "y")
    assert isinstance(undecided, NotIdentified) and undecided.witness["edge"] == ["x", "o->", "y"]
    assert undecided.code == "undecided_edge" and "Decide what x o-> y is" in undecided.remedy
    hidden = identify(make_graph("x --> m; m --> y", MAG), "x", "y")
    assert isinstance(hidden, NotIdentified) and hidden.code == "invisible_edge"
    assert hidden.witness["path"] == [["x", "-->", "m"], ["m", "-->", "y"]]
    assert "hidden common cause of x and m" in hidden.reason and "without an edge to m" in hidden.remedy


def test_what_else_the_graph_offers_is_named(make: Any) -> None:
    answer = identify(make("c --> z; z --> x; x --> y; c --> y; u --> x; u --> y", hidden=["u"]), "x", "y")
    assert isinstance(answer, NotIdentified) and {"name": "z", "given": ["c"]} in answer.witness["instruments"]
    assert "the instrument z given c" in answer.remedy and "LATE" in answer.remedy
    assert "whence.bounds(data, {'strategy': 'adjustment', 'treatments': ['x'], 'outcomes': ['y']})" in answer.remedy
    for treatment in (["x", "z"], "x"):
        without = identify(make("z --> x; x --> y; u --> x; u --> y; u --> z", hidden=["u"]), treatment, "y")
        assert isinstance(without, NotIdentified) and "instruments" not in without.witness


@pytest.mark.parametrize("names, do, shape, code", [
    ("xyz", {"x": 2}, (2, 2, 2), "bad_level"),
    ("xyz", {"y": 1}, (2, 2, 2), "bad_level"),
    ("xyz", True, (2, 2, 2), "bad_level"),
    ("xy", 1, (2, 2, 2), "bad_joint"),
    ("xyq", 1, (2, 2, 2), "unknown_variable"),
    ("xxz", 1, (2, 2, 2), "bad_joint"),
])
def test_distributions_that_cannot_be_computed(make: Any, names: str, do: Any, shape: Any, code: str) -> None:
    answer = identify(make("z --> x; z --> y; x --> y"), "x", "y")
    assert isinstance(answer, Identified)
    with pytest.raises(WhenceError) as error:
        answer.distribution(np.ones(shape), names, do)
    assert error.value.code == code


def test_positivity(make: Any) -> None:
    answer = identify(make("z --> x; z --> y; x --> y"), "x", "y")
    assert isinstance(answer, Identified)
    joint = np.ones((2, 2, 3))
    joint[1, :, 2] = 0  # x = 1 never happens with z = 2
    assert answer.distribution(joint, "xyz", 0).sum() == pytest.approx(1)
    with pytest.raises(WhenceError) as error:
        answer.distribution(joint, "xyz", 1)
    assert error.value.code == "positivity"
    joint[:, :, 2] = 0  # z = 2 never happens at all: nothing is missing
    assert answer.distribution(joint, "xyz", 1).sum() == pytest.approx(1)
    for bad in (np.full((2, 2, 3), np.nan), -joint, 0 * joint):
        with pytest.raises(WhenceError, match="joint"):
            answer.distribution(bad, "xyz", 1)


def test_odd_names_are_only_text() -> None:
    names = ("<b>&", "a_b%", "年齢")
    marks = np.array([[0, 2, 2], [3, 0, 2], [3, 3, 0]])
    answer = identify(DAG(names, marks), "a_b%", "年齢")
    assert isinstance(answer, Identified) and answer.adjustment == ("<b>&",)
    assert ElementTree.fromstring(answer._repr_html_()) is not None
    assert r"\text{a\_b\%}" in answer.expression.latex()
