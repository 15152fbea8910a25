"""The test that fits the kinds, missing values and bad input."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.data.table import Column, Table
from whence.stats.citest import choose


def table(n: int = 300, seed: int = 0) -> Table:
    rng = np.random.default_rng(seed)
    a = rng.standard_normal(n)
    b = a + rng.standard_normal(n)
    g = (a + rng.standard_normal(n) > 0).astype(np.int32)
    h = rng.integers(0, 3, n).astype(np.int32)
    columns = [
        Column("a", "continuous", a),
        Column("b", "continuous", b),
        Column("g", "binary", g, (0, 1)),
        Column("h", "categorical", h, (10, 20, 30)),
        Column("same", "continuous", np.ones(n)),
        Column("twice", "continuous", 2 * a - 1),
        Column("word", "text", np.array(["x"] * n, dtype=object)),
        Column("empty", "continuous", np.full(n, np.nan)),
        Column("one", "categorical", np.zeros(n, dtype=np.int32), ("only", "never")),
    ]
    return Table(MappingProxyType({c.name: c for c in columns}), n)


def test_the_kinds_pick_the_test() -> None:
    t = table()
    assert choose.test(t, "a", "b").test == "fisher_z"
    assert choose.test(t, "g", "h").test == "chi2"
    assert choose.test(t, "a", "g").test == "gcm"
    # Levels that look like numbers stay categories.
    assert choose.test(t, "a", "h").df == pytest.approx(2, abs=0.1)


def test_rows_with_missing_values_are_left_out_and_counted() -> None:
    t = table()
    gaps = t.numeric("a").copy()
    gaps[:40] = np.nan
    t = t.replace(Column("a", "continuous", gaps))
    found = choose.test(t, "a", "b")
    assert (found.n, found.n_missing) == (260, 40)
    alone = choose.test(t.take(np.arange(300) >= 40), "a", "b")
    assert found.p_value == alone.p_value


@pytest.mark.parametrize(
    ("x", "y", "given"),
    [("a", "same", ()), ("a", "twice", ("b", "same")), ("b", "g", ("a", "twice", "b2")), ("a", "empty", ()),
     ("one", "g", ()), ("one", "a", ()), ("b", "g", ("a", "empty")), ("a", "b", ("twice",))],
)
def test_what_cannot_be_tested_says_so(x: str, y: str, given: tuple[str, ...]) -> None:
    t = table()
    t = t.replace(Column("b2", "continuous", t.numeric("b").copy()))
    found = choose.test(t, x, y, given)
    assert not found.possible
    assert found.p_value is None
    assert found.independent() is None
    assert found.remarks
    assert found.remarks[0].about[:2] == (x, y)


@pytest.mark.parametrize(
    ("x", "y", "given", "code"),
    [("a", "zzz", (), "unknown_column"), ("a", "a", (), "repeated_variable"), ("a", "word", (), "wrong_kind"),
     ("a", "b", ("a",), "repeated_variable")],
)
def test_bad_questions(x: str, y: str, given: tuple[str, ...], code: str) -> None:
    with pytest.raises(WhenceError) as error:
        choose.test(table(), x, y, given)
    assert error.value.code == code


def test_few_rows() -> None:
    t = table(5)
    assert not choose.test(t, "a", "b", ("same", "twice")).possible
    assert not choose.test(table(2), "a", "g").possible
    assert not choose.test(table(2), "a", "b").possible


def test_huge_and_tiny_numbers() -> None:
    t = table()
    for scale in (1e200, 1e-200):
        u = t.replace(Column("a", "continuous", t.numeric("a") * scale))
        for y in ("b", "g"):
            mine, usual = choose.test(u, "a", y), choose.test(t, "a", y)
            assert mine.p_value == pytest.approx(usual.p_value, rel=1e-6)
