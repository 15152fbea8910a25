from __future__ import annotations

import itertools

import numpy as np
import pytest
from tests.reference.classes_up_to_names import classes

from whence.core.errors import WhenceError
from whence.graphs.build import graph
from whence.graphs.classes import CPDAG
from whence.graphs.orient import class_of
from whence.graphs.premises import Contradiction, Premise, judge, premises, valid_hypotheses

SYSTEM = ("Suppose there is a closed system of 3 variables, A, B and C. All the statistical relations among these 3 "
          "variables are as follows: A correlates with C. B correlates with C. However, A is independent of B.")


@pytest.mark.parametrize("n, count, valid", [
    (3, 5, 3), (4, 20, 57), (5, 142, 1248),
    pytest.param(6, 2201, 42524, marks=pytest.mark.slow),
])
def test_valid_hypotheses_of_every_class_up_to_names(n, count, valid):
    every = classes(n)
    assert len(every) == count
    marks = np.where(every, 2, np.where(every.transpose(0, 2, 1), 3, 0)).astype(np.int8)
    assert sum(valid_hypotheses(CPDAG(tuple("ABCDEF"[:n]), class_of(one))) for one in marks) == valid


def test_valid_hypotheses_of_a_class_too_large_to_go_through():
    """Seven nodes all joined have 5,040 DAGs and nothing in common; a collider beside them keeps its two arrows."""
    joined = [f"{x} --- {y}" for x, y in itertools.combinations("ABCDEFG", 2)]
    assert valid_hypotheses(graph("; ".join(joined), "CPDAG")) == 0
    assert valid_hypotheses(graph("; ".join([*joined, "X --> Z", "Y --> Z"]), "CPDAG")) == 3


def test_a_premise_in_words_and_what_follows():
    found = premises(SYSTEM)
    assert isinstance(found, Premise) and found.graph == graph("A --> C; B --> C", "CPDAG")
    for text, verdict in (
        ("A directly causes C.", "entailed"), ("C directly causes A", "impossible"),
        ("There exists at least one collider (i.e., common effect) of A and B.", "entailed"),
        ("There exists at least one confounder (i.e., common cause) of A and C", "impossible"),
        ("C is caused by B", "entailed"), ("A is a cause for C, but not a direct one", "impossible"),
    ):
        assert judge(found, text).verdict == verdict, text


@pytest.mark.parametrize("text", [
    "A _||_ B | C", "A ⫫ B | C", "A is independent of B given C.", "A and B are independent given C",
    "A is conditionally independent of B given C.", "However, A and B are not dependent given C",
    "not A _/||_ B | C",
])
def test_ways_to_say_it(text):
    found = premises(text)
    assert isinstance(found, Premise) and found.graph == graph("A --- C; B --- C", "CPDAG")


def test_contradictions_name_the_fewest_statements():
    found = premises("C correlates with A; A _||_ B; A is correlated with B; C _||_ D")
    assert isinstance(found, Contradiction) and not found
    assert [str(s) for s in found.clash] == ["A is independent of B", "A is dependent on B"]
    found = premises("A _||_ B; A _||_ B | C; A correlates with C; B is correlated with C")
    assert isinstance(found, Contradiction) and len(found.clash) == 4
    with pytest.raises(WhenceError, match="nothing follows"):
        judge(found, "A causes B")
    assert isinstance(premises("A _||_ C | B, D; B _||_ D | A, C"), Contradiction)


def test_an_open_list_allows_several_classes():
    found = premises("A _||_ B", variables="ABC", closed=False)
    assert isinstance(found, Premise) and found.graph is None and len(found.graphs) == 4
    assert judge(found, "A causes B").verdict == "impossible"
    assert judge(found, "A directly causes C").verdict == "possible"


@pytest.mark.parametrize("text, code", [
    ("A likes B", "bad_statement"), ("A _||_ A", "bad_statement"), ("A _||_ B | A", "bad_statement"),
    ("", "empty_premise"), ([("A",)], "bad_statement"),
])
def test_bad_statements(text, code):
    with pytest.raises(WhenceError) as error:
        premises(text)
    assert error.value.code == code
