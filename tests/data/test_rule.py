"""Columns made by a rule: what they hold, what is none, and that a column of that name comes first."""

from __future__ import annotations

import numpy as np
import pytest

from whence import WhenceError, read
from whence.data.rule import rule_name


def test_a_rule_is_a_column_of_two_values():
    table = read({"age >= 3": [5.0, 6.0, 7.5], "age": [1.0, 3.0, np.nan], "word": ["a", "b", "c"]})
    made = table.column("age >= 2.5")
    assert made.kind == "binary" and made.values.tolist() == [0, 1, -1] and made.levels == (0, 1)
    assert table.column("age >= 3").values.tolist() == [5.0, 6.0, 7.5]  # its own column
    assert table.column("age >= 3 >= 6").values.tolist() == [0, 1, 1]
    assert table.complete(["age >= 2.5"]).tolist() == [True, True, False]
    assert table.select(["age >= 2.5"]).names == ("age >= 2.5",)
    assert "age >= 2.5" not in table and table.names == ("age >= 3", "age", "word")


@pytest.mark.parametrize("name", ["word >= 1", "height >= 1", "age >= x", "age > 1", "age >= ", "age"])
def test_what_is_no_rule_is_an_unknown_column(name):
    table = read({"years": [1.0, 2.5, 4.0], "word": ["a", "b", "c"]})
    with pytest.raises(WhenceError) as caught:
        table.column(name)
    assert caught.value.code == "unknown_column"


@pytest.mark.parametrize("value", [0.0, -1.5, 1e-9, 123456.75, 2e20])
def test_names_are_read_back(value):
    table = read({"x": [value - 1 - abs(value), value, value + 1 + abs(value)]})
    assert table.column(rule_name("x", value)).values.tolist() == [0, 1, 1]
