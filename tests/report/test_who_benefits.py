"""The drawings of who benefits: every number drawn is the result's, every name is text."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from whence import WhenceError
from whence.core.result import Refused
from whence.estimation.heterogeneity.groups import group_effects, level_effects
from whence.estimation.heterogeneity.policy import policy
from whence.estimation.heterogeneity.rate import rate
from whence.estimation.heterogeneity.uplift import uplift
from whence.report.who_benefits import draw


@pytest.fixture(scope="module")
def people() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    x = np.column_stack([rng.normal(50, 10, 600), rng.integers(2, size=600)])
    return (x[:, 0] - 50) / 10 + x[:, 1] - 0.3 + 0.3 * rng.normal(size=600), x


def shown(found) -> str:
    """The drawing, well formed, and its words without marks."""
    svg = draw(found)
    root = ElementTree.fromstring(svg)
    assert root.find("{*}title") is not None
    assert root.find("{*}desc") is not None
    assert "nan" not in svg
    return " ".join("".join(e.itertext()) for e in root.iter() if e.tag.endswith("text"))


def test_curves(people: tuple[np.ndarray, np.ndarray]) -> None:
    scores, x = people
    found = rate(scores, x[:, 0])
    assert "effect above average" in shown(found)
    assert "AUTOC" in draw(found)
    assert draw(found).count('class="band"') == 1
    gained = uplift(scores, x[:, 0], cost=0.5)
    assert "gain per person" in shown(gained)
    assert 'class="reference"' in draw(gained)


def test_groups_and_levels(people: tuple[np.ndarray, np.ndarray]) -> None:
    scores, x = people
    for k in (2, 5, 10):
        words = shown(group_effects(scores, x[:, 0], groups=k))
        assert set(map(str, range(1, k + 1))) <= set(words.split())
    assert "do not rise" in draw(group_effects(scores, -x[:, 0]))
    found = level_effects(scores, x[:, 1].astype(int), ["<b>no</b>", "yes & more"], column="drug")
    assert "yes & more" in shown(found)
    assert "<b>" not in draw(found)


def test_trees_of_every_depth(people: tuple[np.ndarray, np.ndarray]) -> None:
    scores, x = people
    for depth, questions in ((0, 0), (1, 1), (2, 2)):
        found = policy(scores, x, ["age", "site=north"], depth=depth, units={"age": "years"}, smallest=30)
        words = shown(found)
        assert words.count("?") >= questions
        assert len(re.findall(r"do not|treat", words)) == draw(found).count("of people, gain when treated")
    assert "years?" in words
    assert "north?" in words


def test_no_drawing_of_a_refusal() -> None:
    with pytest.raises(WhenceError) as caught:
        draw(Refused("too_few_rows", "Too few rows."))  # pyright: ignore[reportArgumentType]
    assert caught.value.code == "no_drawing"
