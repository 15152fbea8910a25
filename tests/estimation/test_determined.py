"""Controls that add up to the outcome are refused by name, by every method."""

from __future__ import annotations

import numpy as np
import pytest

import whence
from whence.core.result import Refused

RNG = np.random.default_rng(3)
N = 400
PARTS = RNG.normal(size=(3, N))
DATA = {
    "treated": RNG.integers(0, 2, N), "first": PARTS[0], "second": PARTS[1], "third": PARTS[2],
    "age": RNG.normal(size=N), "score": PARTS.sum(axis=0),
}


@pytest.mark.parametrize("method", ["auto", "regression", "ipw", "aipw"])
def test_a_score_and_its_parts(method: str) -> None:
    spec = whence.Spec("adjustment", ("treated",), ("score",), controls=("first", "second", "third", "age"))
    refused = whence.estimate(DATA, spec, method)
    assert isinstance(refused, Refused)
    assert refused.code == "outcome_determined"
    assert refused.evidence["controls"] == ["first", "second", "third"]
    assert "first, second, third" in refused.remedy


def test_all_parts_but_one_are_controls_like_others() -> None:
    spec = whence.Spec("adjustment", ("treated",), ("score",), controls=("first", "second", "age"))
    assert isinstance(whence.estimate(DATA, spec, "regression"), whence.Effect)


def test_more_columns_than_rows_is_another_refusal() -> None:
    data = {f"x{i}": RNG.normal(size=20) for i in range(30)}
    data |= {"treated": np.arange(20) % 2, "score": RNG.normal(size=20)}
    spec = whence.Spec("adjustment", ("treated",), ("score",), controls=tuple(f"x{i}" for i in range(30)))
    refused = whence.estimate(data, spec)
    assert isinstance(refused, Refused)
    assert refused.code != "outcome_determined"
