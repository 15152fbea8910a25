"""The spec: lossless JSON, and problems named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from whence.core.errors import WhenceError
from whence.identification.spec import Condition, Contrast, Spec

FULL = Spec(
    "iv", ("schooling",), ("wage",), "LATE", controls=("age", "region"), instruments=("distance",), cluster="town",
    weights="w", contrast=Contrast(1, 0), unit="person", time="year", running_variable="score", cutoff=0.5,
    population=(Condition("age", ">=", 18), Condition("region", "in", ("north", "south"))), mediators=("job",),
    assumptions=("Distance moves wages only through schooling.",),
)


@pytest.mark.parametrize("spec", [FULL, Spec("rct", ("t",), ("y",))])
def test_json_loses_nothing(spec: Spec) -> None:
    assert Spec.from_json(spec.to_json()) == spec
    assert Spec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
    assert Spec.from_json(spec.to_json()).hash == spec.hash


def test_schema_names_every_field() -> None:
    assert set(Spec.json_schema()["properties"]) == set(FULL.to_dict())


def test_columns_are_listed_once() -> None:
    assert FULL.columns == (
        "schooling", "wage", "age", "region", "distance", "job", "score", "year", "person", "town", "w")


def test_a_control_given_twice_is_one_control() -> None:
    assert Spec("rct", ("t",), ("y",), controls=("a", "b", "a")).controls == ("a", "b")


@pytest.mark.parametrize(("changes", "code"), [
    ({"strategy": "magic"}, "bad_spec"),
    ({"quantity": "AVERAGE"}, "bad_spec"),
    ({"treatments": []}, "missing_role"),
    ({"outcomes": []}, "missing_role"),
    ({"controls": ["wage"]}, "role_conflict"),
    ({"instruments": ["age"]}, "role_conflict"),
    ({"control": ["age"]}, "unknown_field"),
    ({"cutoff": "high"}, "bad_spec"),
    ({"population": [{"column": "age", "operator": "~", "value": 1}]}, "bad_spec"),
    ({"treatments": "schooling"}, "bad_spec"),
])
def test_problems_are_named(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(WhenceError) as caught:
        Spec.from_dict(FULL.to_dict() | changes)
    assert caught.value.code == code


@pytest.mark.parametrize(("text", "code"), [
    ("{", "bad_json"), ("[1]", "bad_spec"), ("", "bad_json"), ("null", "bad_spec"),
])
def test_text_that_is_no_spec(text: str, code: str) -> None:
    with pytest.raises(WhenceError) as caught:
        Spec.from_json(text)
    assert caught.value.code == code


@pytest.mark.parametrize(("said", "meant"), [("panel", "did"), ("interrupted_time_series", "interrupted_series")])
def test_other_names_of_a_strategy(said, meant):
    given = {"strategy": said, "treatments": ["d"], "outcomes": ["y"]}
    assert Spec.from_dict(given).strategy == meant and Spec(said, ("d",), ("y",)).strategy == meant
    assert Spec.from_dict(given).hash == Spec.from_dict(given | {"strategy": meant}).hash
