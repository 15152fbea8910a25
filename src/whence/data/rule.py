"""A column made by a rule: which rows reach a value of another column."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from whence.data.table import CODED, NUMERIC, Column

RULE = re.compile(r"(?P<column>.+) >= (?P<value>-?\d+(\.\d+)?(e[+-]?\d+)?)", re.DOTALL)


def rule_name(column: str, value: float) -> str:
    """``"margin >= 0"``: the name of the column that says which rows reach the value."""
    return f"{column} >= {value:.15g}"


def by_rule(columns: Mapping[str, Column], name: str) -> Column | None:
    """The column that a rule's name stands for: 1 where the other column reaches the value, 0 where not, missing where
    it is missing. None where the name is no rule, or not about a column of numbers."""
    read = RULE.fullmatch(name)
    if read is None or read["column"] not in columns:
        return None
    column = columns[read["column"]]
    if column.kind not in NUMERIC and not (column.kind in CODED and all(isinstance(v, (int, float))
                                                                         for v in column.levels or ("",))):
        return None
    reached = np.where(column.missing, -1, column.numeric() >= float(read["value"]))
    return Column(name, "binary", reached.astype(np.int32), (0, 1))
