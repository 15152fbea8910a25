"""Picks the conditional independence test that fits the kinds of the variables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from whence.core.registry import find_card, load_function
from whence.data.table import CODED, NUMERIC, Table
from whence.stats.citest.result import IndependenceTest, checked_variables

__all__ = ["IndependenceTest", "choose", "test"]


def choose(kinds: Iterable[str]) -> str:
    """``"fisher_z"`` when all kinds are numeric, ``"chi2"`` when all have levels, else ``"gcm"``.

    Of the three tests of mixed data (``bench/citest.py``), the generalised covariance measure keeps its level at 50,
    200 and 1,000 rows in every case, uneven noise among them, and has the power of the degenerate Gaussian ratio.
    The conditional Gaussian ratio alone sees slopes that differ between levels, but has less power for the rest, and
    is only approximate for two categories given numbers.
    """
    kinds = set(kinds)
    if kinds <= NUMERIC:
        return "fisher_z"
    return "chi2" if kinds <= CODED else "gcm"


def test(table: Table, x: str, y: str, given: Sequence[str] = ()) -> IndependenceTest:
    """Tests whether x and y are independent given ``given``, on the rows where all are present.

    Raises ``WhenceError``: ``unknown_column``, ``repeated_variable``, ``wrong_kind`` (datetime, text).
    """
    names = checked_variables(table, x, y, tuple(given))
    card = find_card("independence_test", choose(table.kind(name) for name in names))
    return load_function(card)(table, x, y, tuple(given))
