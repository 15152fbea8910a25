from __future__ import annotations

import math

import pytest

from whence.checks.words import also, count, listing, number, p_text, percent


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.0973158, "0.0973"), (3.449, "3.45"), (1794.34, "1,794"), (-12.0, "-12"), (0.5, "0.5"),
     (99.96, "100"), (1e-7, "1.00e-07"), (2.5e10, "2.50e+10"), (math.inf, "infinity"), (math.nan, "unknown")],
)
def test_numbers_are_short(value, text):
    assert number(value) == text


def test_percent():
    assert [percent(x) for x in (0, 0.0004, 0.139, 0.05, 1)] == ["0%", "under 0.1%", "13.9%", "5%", "100%"]


def test_p_values_are_never_zero():
    assert p_text(1e-12) == "p < 0.001" and p_text(0.002) == "p = 0.002" and p_text(0.5) == "p = 0.50"


def test_listing_and_count():
    assert listing(["a"]) == "a" and listing(["a", "b", "c"]) == "a, b and c"
    assert listing(list("abcdefg")) == "a, b, c, d, e and others"
    assert count(1, "row") == "1 row" and count(1566, "row") == "1,566 rows"


def test_the_effect_is_named_only_where_it_reads_differently():
    assert also(1.0001, 1.0) == "" and also(1.2, 1.0) == " (our estimate is 1)"
