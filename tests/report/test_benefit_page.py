"""The page of who benefits: what it says, that it stands alone, and what it says where nothing can be told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.data.load import read
from whence.estimation.conditional import conditional
from whence.estimation.heterogeneity.people import Conditional
from whence.report.benefit_page import page, verdict, write

SPEC = {"strategy": "rct", "treatments": ["coached"], "outcomes": ["score"], "controls": ["age", "<b>"]}


def differing(slope: float, n: int = 800, seed: int = 1) -> Conditional:
    rng = np.random.default_rng(seed)
    age, coached = rng.uniform(18, 66, n), rng.integers(0, 2, n)
    score = coached * (1 + slope * (age - 42)) + rng.standard_normal(n)
    table = read({"age": age, "<b>": rng.standard_normal(n), "coached": coached, "score": score})
    found = conditional(table, SPEC, "t_learner", outcome_learner="linear", treatment_learner="linear")
    assert isinstance(found, Conditional)
    return found


def test_the_page_says_whether_for_whom_and_whom_to_treat(tmp_path: Path) -> None:
    found = differing(0.1)
    told = found.rate(), found.groups(3), found.policy(depth=1)
    made = page(found, *told, "people.csv")
    assert "differs between people in a way that can be foreseen" in made
    assert made.count("<svg") == 4 and "Treat where age is above" in made and "people.csv" in made
    assert "http://" not in made.replace("http://www.w3.org", "") and "<script" not in made
    assert write(found, *told, None, str(tmp_path / "a" / "who.html")).read_text().startswith("<!DOCTYPE html>")


def test_names_are_escaped() -> None:
    found = differing(0.1, n=300)
    assert "<b>" not in page(found, found.rate(), found.groups(3), found.policy(depth=1), "<i>.csv")


def test_no_difference_is_not_claimed() -> None:
    found = differing(0.0)
    assert "do not show" in verdict(found, found.rate())


def test_only_html_is_written(tmp_path: Path) -> None:
    found = differing(0.1, n=300)
    with pytest.raises(WhenceError) as error:
        write(found, found.rate(), found.groups(3), found.policy(depth=1), None, str(tmp_path / "who.pdf"))
    assert error.value.code == "bad_format"
