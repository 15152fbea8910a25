from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.report import numbers


@pytest.mark.parametrize(("error", "value", "shown"), [
    (0.4777, 3.4405, "3.44"), (670.9967, 1794.3431, "1,794"), (0.0035, 0.07469, "0.0747"), (12.3, -15204.83, "−15,205"),
    (3.4e-9, 2.13e-8, "2.13 × 10⁻⁸"), (1e11, 4.04e12, "4.04 × 10¹²"), (0.0, 5.0, "5.00"), (0.5, -0.0004, "0.00"),
])
def test_an_estimate_has_the_digits_that_its_standard_error_supports(error: float, value: float, shown: str) -> None:
    assert numbers.scale(error, [value]).number(value) == shown


def test_shares_become_percentages() -> None:
    assert numbers.scale(0.0122, [-0.0831], percent=True).number(-0.0831) == "−8.3"
    assert [numbers.percent(p) for p in (0.139, 0.95, 0.0001, 0.99999, 0.0)] == [
        "13.9%", "95%", "under 0.1%", "over 99.9%", "0%"]


@given(st.floats(-1e8, 1e8, allow_subnormal=False), st.floats(1e-4, 1e8))
def test_the_text_is_the_number_to_half_its_last_digit(value: float, error: float) -> None:
    written = numbers.scale(error, [value])
    text, _, power = written.number(value).replace("−", "-").replace(",", "").partition(" × 10")
    read = float(text) * 10.0**written.exponent
    assert bool(power) == bool(written.exponent)
    assert abs(read - value) <= 0.5001 * 10.0 ** (written.exponent - written.decimals) + 1e-12 * abs(value)
    assert 10.0 ** (written.exponent - written.decimals) <= max(error / 9, abs(value) * 1e-9, 1)


@pytest.mark.parametrize(("p", "shown"), [(0.0, "p < 0.001"), (0.00099, "p < 0.001"), (0.0123, "p = 0.012"),
                                          (0.42, "p = 0.42"), (0.9999, "p > 0.99"), (math.nan, "p unknown")])
def test_p_values(p: float, shown: str) -> None:
    assert numbers.p_value(p) == shown


def test_words_around_numbers() -> None:
    assert numbers.figures(math.inf) == "infinity"
    assert numbers.figures(0.09731) == "0.0973"
    assert numbers.figures(1794.34) == "1,794"
    assert numbers.figures(1.0, pad=True) == "1.00"
    assert numbers.listed(["a", "b", "c"]) == "a, b and c"
    assert numbers.listed("abcdefgh", most=3) == "a, b and 6 more"
    assert numbers.count(1, "row") == "1 row"
    assert numbers.count(1566, "row") == "1,566 rows"
    assert numbers.few(3, start=True) == "Three"
