"""Policy trees: rules in words, costs, directions, ties, and what cannot be judged."""

from __future__ import annotations

import time

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.core.result import Refused, to_plain
from whence.estimation.heterogeneity.policy import policy
from whence.estimation.heterogeneity.policy_tree import Leaf, Split, in_words, policy_tree


@pytest.fixture
def people() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    x = np.column_stack([rng.normal(50, 10, 1500), rng.integers(2, size=1500), rng.normal(size=1500)])
    tau = np.where((x[:, 0] > 50) & (x[:, 1] == 1), 2.0, -1.0)
    return tau + rng.normal(size=1500), x


NAMES = ["age", "site=north", "noise"]


def test_the_rule_in_words_and_its_value(people: tuple[np.ndarray, np.ndarray]) -> None:
    found = policy(*people, NAMES, units={"age": "years"})
    assert isinstance(found.tree, Split)
    assert (found.tree.column, found.tree.at) == ("age", pytest.approx(50, abs=1))
    assert found.rule.startswith("Treat where age is above ")
    assert found.rule.endswith(" years and site is north; nobody else.")
    assert found.share == pytest.approx(0.25, abs=0.05)
    assert found.against_nobody.estimate == pytest.approx(0.5, abs=0.15)
    assert found.against_nobody.p_value < 1e-6
    assert found.against_everybody.estimate == pytest.approx(0.75, abs=0.15)
    assert found.regret_at_most >= 0
    assert (found.treats == ((people[1][:, 0] > found.tree.at) & (people[1][:, 1] == 1))).all()
    assert to_plain(found)["tree"]["column"] == "age"


def test_costs_and_directions(people: tuple[np.ndarray, np.ndarray]) -> None:
    scores, x = people
    assert policy(scores, x, NAMES, cost=10).rule == "Treat nobody."
    assert policy(scores, x, NAMES, cost=-10).rule == "Treat everybody."
    assert policy(scores, x, NAMES, depth=0).rule == "Treat nobody."
    down = policy(-scores, x, NAMES, prefer="lower")
    assert to_plain(down)["against_nobody"] == to_plain(policy(scores, x, NAMES))["against_nobody"]


def test_the_order_of_columns_does_not_matter(people: tuple[np.ndarray, np.ndarray]) -> None:
    scores, x = people
    twice = np.column_stack([x, x[:, 0]])
    found, back = policy(scores, twice, [*NAMES, "old"]), policy(scores, twice[:, ::-1], [*NAMES, "old"][::-1])
    assert to_plain(found) == to_plain(back)
    assert isinstance(found.tree, Split)
    assert found.tree.column == "age"


def test_nothing_to_split_on() -> None:
    tree = policy_tree(np.ones(50), np.ones((50, 2)), ["a", "b"])
    assert isinstance(tree, Leaf)
    assert tree.treat
    assert isinstance(policy_tree(np.ones(50), np.zeros((50, 0)), []), Leaf)
    constant = policy(np.random.default_rng(1).normal(size=300), np.ones((300, 1)), ["a"])
    assert constant.rule in ("Treat everybody.", "Treat nobody.")


def test_a_cut_is_between_values_and_a_leaf_has_its_rows() -> None:
    gains = np.array([1.0] * 3 + [-1.0] * 7)
    x = np.arange(10.0)[:, None]
    tree = policy_tree(gains, x, ["a"], depth=1)
    assert isinstance(tree, Split)
    assert tree.at == 2.5
    wide = policy_tree(gains, x, ["a"], depth=1, smallest=4)
    assert isinstance(wide, Split)
    assert wide.at == 3.5


def test_too_few_rows(people: tuple[np.ndarray, np.ndarray]) -> None:
    scores, x = people
    for found in (policy(scores[:90], x[:90], NAMES), policy(scores, x, NAMES, clusters=np.arange(1500) % 4),
                  policy(scores, x, NAMES, folds=np.zeros(1500)), policy(scores[:0], x[:0], NAMES)):
        assert isinstance(found, Refused)
        assert found.code == "too_few_rows"


@pytest.mark.parametrize(
    ("code", "changed"),
    [("bad_weights", {"weights": np.append(-1.0, np.ones(1499))}), ("bad_depth", {"depth": 3}),
     ("bad_cuts", {"cuts": 0}), ("bad_prefer", {"prefer": "more"}), ("bad_cost", {"cost": np.inf}),
     ("clusters_split", {"folds": np.arange(1500) % 5, "clusters": np.arange(1500) // 10})],
)
def test_what_cannot_be_used(people: tuple[np.ndarray, np.ndarray], code: str, changed: dict) -> None:
    with pytest.raises(WhenceError) as caught:
        policy(*people, NAMES, **changed)
    assert caught.value.code == code


def test_too_many_columns(people: tuple[np.ndarray, np.ndarray]) -> None:
    many = policy(people[0], np.tile(people[1], 40), [f"x{j}" for j in range(120)])
    assert isinstance(many, Refused)
    assert many.code == "too_many_columns"


def test_names_must_differ(people: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.raises(WhenceError, match="all different"):
        policy(*people, ["a", "a", "b"])


def test_depth_two_of_ten_columns_and_ten_thousand_rows_in_a_second() -> None:
    rng = np.random.default_rng(3)
    x, gains = rng.normal(size=(10_000, 10)), rng.normal(size=10_000)
    start = time.process_time()
    policy_tree(gains, x, [f"x{j}" for j in range(10)])
    assert time.process_time() - start < 1


def test_of_two_bounds_on_one_column_the_tighter_is_said() -> None:
    tree = Split("age", 21.5, Leaf(False, 0.1, -1.0), Split("age", 27.5, Leaf(False, 0.1, -1.0), Leaf(True, 0.8, 1.0)))
    assert in_words(tree, {}) == "Treat where age is above 27.5; nobody else."
