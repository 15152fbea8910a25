"""Awkward tables: every answer is a finite effect or a refusal with a reason, never a crash."""

from __future__ import annotations

import itertools
import json
import math
from types import MappingProxyType

import numpy as np
import pytest

from whence.core.result import Refused
from whence.data.table import Column, Table
from whence.estimation.estimate import estimate
from whence.identification.spec import Spec

METHODS = ("auto", "difference", "regression", "ipw", "aipw")
SIZES = (1, 2, 3, 5, 8, 15, 40, 120)
OUTCOMES = ("continuous", "binary", "count", "ordinal", "heavy", "almost constant", "rounded",
            "huge", "tiny", "far")
TREATMENTS = ("binary", "rare", "arms", "dose", "clustered")


def column(name, what, n, rng):
    """One column of a shape that has broken estimators before."""
    noise = rng.normal(size=n)
    if what in ("binary", "rare", "ordinal", "arms", "levels", "constant level"):
        count = {"binary": 2, "rare": 2, "ordinal": 4, "arms": 3, "levels": 6, "constant level": 1}[what]
        p = np.array([0.97, 0.03]) if what == "rare" else np.full(count, 1 / count)
        kind = {"ordinal": "ordinal", "binary": "binary", "rare": "binary"}.get(what, "categorical")
        codes = rng.choice(count, n, p=p).astype(np.int32)
        codes[rng.random(n) < 0.05] = -1
        return Column(name, kind, codes, tuple(range(count)) if kind != "categorical" else tuple("abcdef"[:count]))
    values = {
        "continuous": noise, "dose": np.abs(noise), "heavy": rng.standard_cauchy(n) * 1e3, "tiny": noise * 1e-200,
        "huge": noise * 1e200, "rounded": np.round(noise), "count": rng.poisson(2, n).astype(float),
        "almost constant": np.where(np.arange(n) == 0, 1.0, 0.0), "constant": np.full(n, 4.0),
        "far": 1e8 + noise, "clustered": np.repeat([0.0, 1.0], [n // 2, n - n // 2]), "missing": np.full(n, np.nan),
    }[what].astype(float)
    if what not in ("missing", "clustered"):
        values[rng.random(n) < 0.05] = np.nan
    return Column(name, "count" if what in ("count", "clustered") else "continuous", values)


@pytest.mark.parametrize("seed", range(45))
def test_awkward_tables(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.choice(SIZES))
    shapes = ("continuous", "binary", "rare", "levels", "constant", "constant level", "huge", "tiny", "far", "heavy",
              "rounded", "almost constant", "missing")
    controls = [f"x{j}" for j in range(rng.integers(0, 6))]
    columns = {name: column(name, rng.choice(shapes, p=[0.2] + [0.8 / 12] * 12), n, rng) for name in controls}
    columns["t"] = column("t", rng.choice(TREATMENTS), n, rng)
    columns["y"] = column("y", rng.choice(OUTCOMES), n, rng)
    columns["g"] = Column("g", "count", rng.integers(0, max(2, n // 4), n).astype(float))
    columns["w"] = Column("w", "continuous", rng.uniform(0, 2, n))
    table = Table(MappingProxyType(columns), n)
    for strategy, quantity in itertools.product(("rct", "adjustment"), ("ATE", "ATT", "ATC")):
        spec = Spec(strategy, ("t",), ("y",), quantity, controls=tuple(controls),
                    cluster="g" if rng.random() < 0.3 else None, weights="w" if rng.random() < 0.3 else None)
        for method in METHODS:
            cheap = {"outcome_learner": "linear", "treatment_learner": "linear", "n_splits": 1}
            answer = estimate(table, spec, method, seed, **(cheap if method == "aipw" else {}))
            if isinstance(answer, Refused):
                assert answer.code and answer.reason and answer.remedy and answer.evidence, answer
                json.dumps(answer.evidence, allow_nan=False, default=float)
                continue
            numbers = [answer.estimate, answer.standard_error, *answer.interval, answer.p_value]
            assert all(math.isfinite(v) for v in numbers), (method, answer)
            assert answer.interval[0] <= answer.estimate <= answer.interval[1] and 0 <= answer.p_value <= 1
            assert answer.n == len(answer.rows) <= n
            json.dumps(answer.to_dict(), allow_nan=False)
