"""Every registered independence test on every kind of bad input: words for what cannot be tested, never a crash, a NaN
or independence that nothing spoke for. A new test is covered the day its file appears."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import MappingProxyType

import numpy as np
import pytest

from whence.core.card import Card
from whence.core.registry import load_function, methods
from whence.data.table import CODED, NUMERIC, Column, Table
from whence.stats.citest.result import IndependenceTest

CARDS = methods("independence_test")
ROWS = 60
LINEAR = {"gcm", "degenerate_gaussian"}  # of indicators they see sums, as their assumptions say, no interactions
Values = dict[str, np.ndarray]  # floats are numbers, integers are levels, -1 and NaN are missing


def usual(coded: bool, n: int = ROWS) -> Values:
    """x and y follow z and w; as numbers, or as the signs of numbers."""
    z, w, e, f = np.random.default_rng(3).standard_normal((4, n))
    values = {"w": w, "x": 0.6 * z + 0.3 * w + e, "y": 0.5 * z - 0.3 * w + f, "z": z}
    return {k: (v > 0).astype(np.int32) for k, v in values.items()} if coded else values


def as_table(values: Values) -> Table:
    def column(name: str, v: np.ndarray) -> Column:
        if v.dtype.kind != "i":
            return Column(name, "continuous", v)
        levels = tuple(range(max(int(v.max(initial=0)) + 1, 2)))
        return Column(name, "binary" if len(levels) == 2 else "categorical", v.astype(np.int32), levels)

    return Table(MappingProxyType({k: column(k, v) for k, v in values.items()}), len(values["x"]))


def same(v: np.ndarray) -> np.ndarray:
    return np.full(len(v), 1, dtype=v.dtype)


def gone(v: np.ndarray) -> np.ndarray:
    return np.full(len(v), -1 if v.dtype.kind == "i" else np.nan, dtype=v.dtype)


def split(v: np.ndarray, first: bool) -> np.ndarray:
    """The values of one half of the rows; the others are missing."""
    half = np.arange(len(v)) < len(v) // 2
    return np.where(half == first, v, gone(v))


def once(v: np.ndarray) -> np.ndarray:
    """A constant, but for one row."""
    out = same(v)
    out[7] = 0
    return out


def rare(v: np.ndarray) -> np.ndarray:
    """Ten levels seen once each, and two seen often."""
    out = (v > np.median(v)).astype(np.int32)
    out[:10] = np.arange(2, 12)
    return out


# What is done to the columns, and what the answer may be: "none", no test; "reject", no test or dependence;
# "any", no test or a p-value.
INPUTS: dict[str, tuple[Callable[[Values], Values], str]] = {
    "constant x": (lambda d: d | {"x": same(d["x"])}, "none"),
    "constant x and y": (lambda d: d | {"x": same(d["x"]), "y": same(d["y"])}, "none"),
    "constant z": (lambda d: d | {"z": same(d["z"])}, "any"),
    "x is a copy of z": (lambda d: d | {"x": d["z"].copy()}, "none"),
    "y is a copy of z": (lambda d: d | {"y": d["z"].copy()}, "none"),
    "y is a copy of x": (lambda d: d | {"y": d["x"].copy()}, "reject"),
    "w is a copy of z": (lambda d: d | {"w": d["z"].copy()}, "any"),
    "x is a combination of z and w": (lambda d: d | {"x": _combined(d["z"], d["w"])}, "none"),
    "y is a combination of x and z": (lambda d: d | {"y": _combined(d["x"], d["z"])}, "reject"),
    "x missing everywhere": (lambda d: d | {"x": gone(d["x"])}, "none"),
    "z missing everywhere": (lambda d: d | {"z": gone(d["z"])}, "none"),
    "x and y never together": (lambda d: d | {"x": split(d["x"], True), "y": split(d["y"], False)}, "none"),
    "x and z never together": (lambda d: d | {"x": split(d["x"], True), "z": split(d["z"], False)}, "none"),
    "x differs in one row": (lambda d: d | {"x": once(d["x"])}, "any"),
    "z differs in one row": (lambda d: d | {"z": once(d["z"])}, "any"),
    "constant where y is there": (lambda d: d | {"x": np.where(np.arange(ROWS) < 30, d["x"], 1).astype(d["x"].dtype),
                                                 "y": split(d["y"], False)}, "none"),
    "no rows": (lambda d: {k: v[:0] for k, v in d.items()}, "none"),
    "one row": (lambda d: {k: v[:1] for k, v in d.items()}, "none"),
    "three rows": (lambda d: {k: v[:3] for k, v in d.items()}, "none"),
    "seven rows": (lambda d: {k: v[:7] for k, v in d.items()}, "any"),
    "more conditions than rows": (lambda d: {k: v[:12] for k, v in d.items()} | _many(d, 14), "none"),
    "as many conditions as rows": (lambda d: {k: v[:16] for k, v in d.items()} | _many(d, 14, 16), "none"),
}
NUMBERS: dict[str, tuple[Callable[[Values], Values], str]] = {
    "x huge": (lambda d: d | {"x": d["x"] * 1e300}, "any"),
    "x tiny": (lambda d: d | {"x": d["x"] * 1e-300}, "any"),
    "x far from zero": (lambda d: d | {"x": d["x"] + 1e9}, "any"),
    "x constant but for rounding": (lambda d: d | {"x": 1.0 + 1e-16 * d["x"]}, "none"),
    "x one outlier": (lambda d: d | {"x": np.where(np.arange(ROWS) == 4, 1e12, d["x"])}, "any"),
    "x a rounding error from a combination": (lambda d: d | {"x": d["z"] + d["w"] + 1e-13 * d["x"]}, "none"),
    "w a rounding error from z": (lambda d: d | {"w": d["z"] + 1e-13 * d["w"]}, "any"),
    "x mostly one value": (lambda d: d | {"x": np.where(np.arange(ROWS) < 54, 0.0, d["x"])}, "any"),
    "z in three values": (lambda d: d | {"z": np.rint(d["z"])}, "any"),
}
LEVELS: dict[str, tuple[Callable[[Values], Values], str]] = {
    "levels of x seen once": (lambda d: d | {"x": rare(d["x"])}, "any"),
    "levels of z seen once": (lambda d: d | {"z": rare(d["z"])}, "any"),
    "every level of x seen once": (lambda d: d | {"x": np.arange(ROWS, dtype=np.int32)}, "any"),
    "every level of x and of y seen once": (lambda d: d | {"x": np.arange(ROWS, dtype=np.int32),
                                                           "y": np.arange(ROWS, dtype=np.int32)[::-1].copy()}, "none"),
    "every level of z seen once": (lambda d: d | {"z": np.arange(ROWS, dtype=np.int32)}, "none"),
}


def _combined(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (2 * a + b if a.dtype.kind == "i" else a + 2 * b).astype(a.dtype)


def _many(d: Values, number: int, rows: int = 12) -> Values:
    numbers = np.random.default_rng(9).standard_normal((number, rows))
    coded = d["x"].dtype.kind == "i"
    return {f"v{k}": (v > 0).astype(np.int32) if coded else v for k, v in enumerate(numbers)}


def cases() -> list[tuple[Card, str, str]]:
    """Card, what the columns are ("numbers", "levels", or "mixed": x and z levels), and the input's name."""
    out = []
    for card in CARDS:
        kinds = set(card.data_kinds)
        if kinds & NUMERIC:
            out += [(card, "numbers", name) for name in (*INPUTS, *NUMBERS)]
        if kinds & CODED:
            out += [(card, "levels", name) for name in (*INPUTS, *LEVELS)]
        if kinds & NUMERIC and kinds & CODED:
            out += [(card, "mixed", name) for name in (*INPUTS, *LEVELS)
                    if not any(word in name for word in ("copy", "combination", "y seen once"))]
    return out


def ask(card: Card, form: str, name: str) -> tuple[IndependenceTest, int]:
    """The answer, and the rows in which all variables are present."""
    values = usual(coded=form == "levels")
    if form == "mixed":
        values |= {k: v for k, v in usual(coded=True).items() if k in "xz"}
    values = (INPUTS | NUMBERS | LEVELS)[name][0](values)
    t = as_table(values)
    given = tuple(k for k in t.names if k not in "xy")
    return load_function(card)(t, "x", "y", given), int(t.complete(t.names).sum())


@pytest.mark.parametrize(("card", "form", "name"), cases(), ids=lambda v: getattr(v, "name", v))
def test_bad_input(card: Card, form: str, name: str) -> None:
    found, present = ask(card, form, name)
    may = (INPUTS | NUMBERS | LEVELS)[name][1]
    if form == "levels" and name.startswith("x is a combination") and card.name in LINEAR:
        may = "any"
    for number in (found.statistic, found.p_value, found.df):
        assert number is None or math.isfinite(number)
    if found.p_value is None:
        remark = found.remarks[0]
        assert remark.code and remark.text.endswith(".") and set(remark.about) >= {"x", "y"}
        assert found.statistic is None and found.independent() is None
    else:
        assert 0 <= found.p_value <= 1
        assert may == "any" or (may == "reject" and found.p_value < 0.05)
    # Every row is accounted for: used, missing, or in a remark.
    aside = sum(r.evidence.get("rows", 0) for r in found.remarks if r.code == "rare_levels")
    rows = found.n + found.n_missing + (aside if found.p_value is not None else 0)
    assert found.n_missing + present == rows
