"""Every method that makes tests on every kind of bad column: a named warning or a named refusal, never a silent gap."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.data.load import read
from whence.discovery.discovery import Discovery, discover

METHODS = ["pc", "fci", "rfci", "boss_fci"]


def _sound(n: int = 150) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    a, b, noise = rng.standard_normal((3, n))
    return {"a": a, "b": b, "c": a + b + noise}


def constant() -> dict[str, Any]:
    return _sound() | {"z": np.full(150, 3.0)}


def repeated() -> dict[str, Any]:
    found = _sound()
    return found | {"z": 7 - 2 * found["a"]}


def collinear() -> dict[str, Any]:
    found = _sound()
    return found | {"z": found["a"] - 2 * found["b"], "y": np.random.default_rng(1).standard_normal(150)}


def fewer_rows_than_sets() -> dict[str, Any]:
    rng = np.random.default_rng(2)
    common = rng.standard_normal((12, 1))
    return {f"v{k:02d}": v for k, v in enumerate((common + 0.1 * rng.standard_normal((12, 14))).T)}


def levels_seen_once() -> dict[str, Any]:
    rng = np.random.default_rng(3)
    a = rng.integers(0, 3, 60)
    return {"a": [f"a{k}" for k in a], "b": [f"b{k}" for k in np.where(rng.random(60) < 0.7, a, 0)],
            "z": [f"z{k}" for k in range(60)]}


def one_level_seen_once() -> dict[str, Any]:
    found = levels_seen_once()
    return {"a": found["a"], "b": [*found["b"][:-1], "only here"]}


def never_together() -> dict[str, Any]:
    found = {name: values.copy() for name, values in _sound(300).items()}
    found["a"][:150], found["b"][150:] = np.nan, np.nan
    return found


def nothing_seen() -> dict[str, Any]:
    return _sound() | {"z": np.full(150, np.nan)}


# What has to be said, one of these; and the pairs that no test could decide.
CASES: dict[Callable[[], dict[str, Any]], tuple[set[str], set[tuple[str, str]]]] = {
    constant: ({"constant_column"}, set()),
    repeated: ({"repeated_column"}, set()),
    collinear: ({"collinear_columns"}, set()),
    fewer_rows_than_sets: ({"fewer_rows_than_columns"}, set()),
    levels_seen_once: ({"impossible_tests", "wrong_kind"}, {("a", "z"), ("b", "z")}),
    one_level_seen_once: ({""}, set()),
    never_together: ({"impossible_tests", "never_together"}, {("a", "b")}),
    nothing_seen: ({"empty_column"}, set()),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bad", CASES, ids=lambda bad: bad.__name__)
def test_bad_columns_are_named(bad: Callable[[], dict[str, Any]], method: str) -> None:
    expected, undecided = CASES[bad]
    data = bad()
    kinds = {name: "categorical" for name, values in data.items() if isinstance(values, list)}
    try:
        found = discover(read(data, kinds=kinds), method, alpha=0.05)
    except WhenceError as error:
        assert error.code in expected and error.hint, error
        return
    assert isinstance(found, Discovery)
    json.dumps(found.to_dict(), allow_nan=False)
    codes = {r.code for r in found.warnings}
    assert expected == {""} or codes & expected, codes
    told = {name for r in found.warnings for name in r.about}
    assert set(data) - set(found.graph.names) <= told
    by_score = [pair for r in found.warnings if r.code == "apart_by_score_alone" for pair in r.evidence["pairs"]]
    for row in found.evidence:
        if row.present and row.p_value is None:
            assert {row.a, row.b} <= told
        elif not row.present:  # apart by a test that was made, or by a score and a word about it
            assert [row.a, row.b] in by_score or (row.p_value is not None and row.n > len(row.given) + 3), row
    for a, b in undecided:
        row = found.evidence.of(a, b)
        assert row.p_value is None and (row.present or [a, b] in by_score)
    assert found._repr_html_() and repr(found)
