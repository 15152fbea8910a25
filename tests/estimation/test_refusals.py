"""Refusals that no method's own tests plant."""

from __future__ import annotations

import numpy as np

from whence.core.result import Refused
from whence.data.load import read
from whence.estimation.estimate import estimate
from whence.identification.spec import Spec

RNG = np.random.default_rng(0)
N = 200
X = RNG.normal(size=N)
T = (RNG.random(N) < 0.5).astype(int)
GIVEN = {"x": X, "t": T, "y": X + T + RNG.normal(size=N), "day": np.datetime64("2020-01-01") + np.arange(N)}
SPEC = Spec("adjustment", ("t",), ("y",), controls=("x",))


def refused(changes, code, spec=SPEC, method="auto", **params):
    answer = estimate(read(GIVEN | changes, kinds={"t": "binary"}), spec, method, **params)
    assert isinstance(answer, Refused) and answer.code == code and answer.reason.endswith(".") and answer.remedy


def test_dates_are_no_treatment():
    refused({}, "treatment_not_usable", SPEC.replace(treatments=("day",)))


def test_numbers_beyond_what_can_be_squared():
    refused({"y": GIVEN["y"] * 1e130}, "out_of_scale")


def test_missing_outcomes_along_time():
    refused({"y": np.where(X > 1, np.nan, GIVEN["y"])}, "dependence_not_available", SPEC.replace(time="day"),
            "missing_outcome", covariance="hac")
