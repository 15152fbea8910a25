"""Codes are those of numpy.unique, whichever way they are made."""

from __future__ import annotations

import numpy as np
import pytest

from whence.stats.codes import compact

RNG = np.random.default_rng(0)
GIVEN = {
    "whole": RNG.integers(-5, 5, 100), "gaps": RNG.integers(0, 10, 50) * 20, "far": RNG.integers(0, 2**60, 100),
    "small": RNG.integers(0, 200, 100).astype(np.uint8), "floats": RNG.integers(0, 9, 30) / 2.0,
    "whole floats": RNG.integers(-3, 9, 30).astype(float), "large floats": RNG.integers(0, 3, 9) + 2.0**60,
    "infinite": np.array([1.0, np.inf, 2.0, 1.0]), "words": np.array(["b", "a", "b"]), "none": np.zeros(0),
    "dates": np.array(["2020-01-02", "2020-01-01"], dtype="datetime64[D]"), "truth": np.array([True, False, True]),
}


@pytest.mark.parametrize("name", GIVEN)
def test_as_unique(name):
    levels, codes = np.unique(GIVEN[name], return_inverse=True)
    found, values = compact(GIVEN[name])
    assert found.dtype == np.int64 and values.dtype == levels.dtype
    assert found.tolist() == codes.tolist() and values.tolist() == levels.tolist()
