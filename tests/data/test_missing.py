"""Missingness: patterns and what it depends on, with its size by simulation."""

from __future__ import annotations

import math

import numpy as np

import whence
from whence.data.missing import _chi_square, dependences, patterns


def test_patterns_most_common_first():
    masks = np.array([[0, 0], [1, 1], [0, 0], [1, 0], [1, 1], [0, 0]], dtype=bool)
    found = patterns(masks, ["a", "b"])
    assert [(p.missing, p.rows) for p in found] == [((), 3), (("a", "b"), 2), (("a",), 1)]


def test_chi_square_by_hand():
    gone = np.array([True] * 30 + [False] * 70)
    codes = np.array([0] * 20 + [1] * 10 + [0] * 30 + [1] * 40, dtype=np.int32)
    table = [[30, 20], [40, 10]]  # rows: code, columns: present, missing
    expected = [[35, 15], [35, 15]]
    by_hand = sum((o - e) ** 2 / e for r, s in zip(table, expected, strict=True) for o, e in zip(r, s, strict=True))
    statistic, df, n = _chi_square(gone, codes)
    assert (df, n) == (1, 100)
    assert math.isclose(statistic, by_hand)


def test_finds_what_missingness_depends_on():
    rng = np.random.default_rng(5)
    x, z = rng.normal(size=2000), rng.normal(size=2000)
    y = np.where(rng.random(2000) < 1 / (1 + np.exp(-x)), np.nan, z)
    found, tried = dependences(whence.read({"x": x, "y": y, "z": z}), ["x", "y", "z"], 0.05)
    assert [(d.column, d.other) for d in found] == [("y", "x")]
    assert tried == 2


def test_size_over_all_pairs_together():
    """400 tables missing completely at random: any finding at most 5 % plus 3.3 Monte Carlo standard errors."""
    rng = np.random.default_rng(6)
    false = 0
    for _ in range(400):
        data = rng.normal(size=(400, 5))
        data[rng.random(data.shape) < 0.2] = np.nan
        table = whence.read(data)
        found, tried = dependences(table, table.names, 0.05)
        assert tried == 20
        false += bool(found)
    assert false / 400 < 0.05 + 3.3 * math.sqrt(0.05 * 0.95 / 400)
    assert false > 0  # not so careful that it never speaks
