"""Errors, cards, seeds, executors, hashes and plain results."""

from __future__ import annotations

import json
import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pytest

from whence.core.card import Card, Parameter
from whence.core.errors import WhenceError, unknown_name
from whence.core.executor import SerialExecutor, map_in_order
from whence.core.hashing import content_hash
from whence.core.progress import Silent
from whence.core.registry import find_card, methods
from whence.core.result import Refused, Remark, to_plain
from whence.core.rng import generator


def square(x: int) -> int:
    return x * x


def fail_on_three(x: int) -> int:
    if x == 3:
        raise ValueError("three")
    return x


CARD = Card(
    name="toy", task="estimation", title="Toy", summary="", data_kinds=(), assumptions=(), output="", cost="",
    citations=(), function="math:sqrt",
    parameters=(
        Parameter("alpha", "float", 0.05, "level", low=0, high=1, open_ends=True),
        Parameter("folds", "int", 5, "folds", low=2),
        Parameter("rule", "choice", "a", "rule", choices=("a", "b")),
        Parameter("robust", "bool", True, "robust"),
        Parameter("limit", "int", None, "limit", low=1, optional=True),
    ),
)


class TestErrors:
    def test_survives_pickling_with_every_field(self) -> None:
        error = WhenceError("No.", code="x", value=[1], allowed=("a", "b"), hint="Try a.", retryable=False)
        back = pickle.loads(pickle.dumps(error))
        assert back.to_dict() == error.to_dict()
        assert str(back) == "No. Try a."

    def test_unknown_name_offers_the_closest(self) -> None:
        error = unknown_name("column", "earnigns", ["age", "earnings"], code="unknown_column")
        assert "Did you mean 'earnings'?" in str(error)
        assert error.allowed == ("age", "earnings")

    def test_unknown_name_lists_what_there_is_when_nothing_is_close(self) -> None:
        assert "Allowed: 'age', 'sex'." in str(unknown_name("column", "zzzz", ["age", "sex"], code="c"))


class TestCard:
    def test_defaults_and_given(self) -> None:
        assert CARD.checked({"folds": np.int64(3)}) == {
            "alpha": 0.05, "folds": 3, "rule": "a", "robust": True, "limit": None}

    @pytest.mark.parametrize("bad", [
        {"alpha": 0}, {"alpha": 1.0}, {"alpha": "0.1"}, {"alpha": float("nan")}, {"folds": 1}, {"folds": 2.5},
        {"folds": True}, {"rule": "c"}, {"rule": None}, {"robust": 1}, {"limit": 0},
    ])
    def test_refuses_with_what_is_allowed(self, bad: dict) -> None:
        with pytest.raises(WhenceError) as caught:
            CARD.checked(bad)
        assert caught.value.code == "bad_parameter"
        assert caught.value.allowed
        assert next(iter(bad)) in str(caught.value)

    def test_a_misspelt_parameter_is_not_swallowed(self) -> None:
        with pytest.raises(WhenceError, match="Did you mean 'folds'"):
            CARD.checked({"fold": 3})


class TestRegistry:
    def test_unknown_task_and_method(self) -> None:
        with pytest.raises(WhenceError, match="no task"):
            methods("estimate")
        with pytest.raises(WhenceError, match="no estimation method"):
            find_card("estimation", "aipww")


class TestSeeds:
    def test_same_stream_same_numbers_and_other_streams_differ(self) -> None:
        a, b = generator(1, "folds", 2).random(4), generator(1, "folds", 2).random(4)
        assert (a == b).all()
        assert not (a == generator(1, "folds", 3).random(4)).any()
        assert not (a == generator(2, "folds", 2).random(4)).any()

    @pytest.mark.parametrize("bad", [-1, 1.5, True, "1", None])
    def test_a_seed_is_a_whole_number(self, bad: object) -> None:
        with pytest.raises(WhenceError, match="seed"):
            generator(bad)  # type: ignore[arg-type]


class TestExecutor:
    def test_same_answer_and_order_everywhere(self) -> None:
        expected = [square(i) for i in range(20)]
        assert map_in_order(square, range(20)) == expected
        with SerialExecutor() as serial, ThreadPoolExecutor(3) as threads, ProcessPoolExecutor(2) as processes:
            for pool in (serial, threads, processes):
                assert map_in_order(square, range(20), executor=pool) == expected

    @pytest.mark.parametrize("pool", [None, SerialExecutor()])
    def test_a_failure_is_raised(self, pool: SerialExecutor | None) -> None:
        with pytest.raises(ValueError, match="three"):
            map_in_order(fail_on_three, range(5), executor=pool)

    def test_progress_hears_every_step(self) -> None:
        @dataclass
        class Count(Silent):
            heard: list = field(default_factory=list)

            def begin(self, label: str, total: int | None = None) -> None:
                self.heard.append((label, total))

            def step(self, count: int = 1) -> None:
                self.heard.append(count)

            def end(self) -> None:
                self.heard.append("end")

        progress = Count()
        map_in_order(square, [1, 2], progress=progress, label="squares")
        assert progress.heard == [("squares", 2), 1, 1, "end"]


class TestHash:
    def test_long_arrays_that_print_alike_differ(self) -> None:
        a = np.zeros(5000)
        b = a.copy()
        b[2500] = 1
        assert content_hash(a) != content_hash(b)

    def test_type_shape_and_boundaries_count(self) -> None:
        assert content_hash(np.zeros(4)) != content_hash(np.zeros((2, 2)))
        assert content_hash(np.zeros(2, np.float32)) != content_hash(np.zeros(1, np.float64))
        assert content_hash("ab", "c") != content_hash("a", "bc")
        assert content_hash({"a": 1, "b": 2}) == content_hash({"b": 2, "a": 1})


def test_to_plain_is_json_ready_and_leaves_out_what_is_marked() -> None:
    @dataclass(frozen=True)
    class Result:
        value: np.float64
        table: np.ndarray
        hidden: np.ndarray = field(metadata={"plain": False})

    result = Result(np.float64("nan"), np.array([[1.0, np.inf]]), np.zeros(3))
    plain = to_plain({"r": result, 1: {"b", "a"}, "m": Remark("c", "t")})
    assert json.loads(json.dumps(plain)) == {
        "r": {"value": None, "table": [[1.0, None]]}, "1": ["a", "b"],
        "m": {"code": "c", "text": "t", "about": [], "evidence": {}}}


def test_refused_is_falsy_and_says_why() -> None:
    refused = Refused("no_overlap", "No overlap.", remedy="Trim.")
    assert not refused
    assert str(refused) == "Refused: No overlap. Trim."
