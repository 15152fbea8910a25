"""Proximal two-stage least squares in two plain regressions, its influence by moving a row's weight, and its errors."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import pytest

from whence.data.table import Column, Table
from whence.estimation.effect import Effect
from whence.estimation.estimate import estimate
from whence.identification.spec import Spec

SPEC = Spec("proximal", ("a",), ("y",), controls=("x",), treatment_proxies=("z", "z2", "k"),
            outcome_proxies=("w", "w2"))
EXACT = ("z", "z2")
N = 120


def columns() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(12)
    u, v, x = rng.normal(size=(3, N))
    z, z2 = u + rng.normal(size=N), v + rng.normal(size=N)
    w, w2 = u + v + rng.normal(size=N), u - v + rng.normal(size=N)
    a = (u + v + x + rng.normal(size=N) > 0).astype(float)
    return {"a": a, "x": x, "z": z, "z2": z2, "k": (u + rng.normal(size=N) > 0).astype(float), "w": w, "w2": w2,
            "y": a + u - v + x + rng.normal(size=N), "c": np.arange(N) // 4 + 0.0, "q": 0.5 + rng.random(N)}


def table_of(given: dict[str, np.ndarray]) -> Table:
    coded = ("a", "k")
    made = {name: Column(name, "binary", v.astype(np.int32), (0, 1)) if name in coded else
            Column(name, "continuous", v.copy()) for name, v in given.items()}
    return Table(MappingProxyType(made), N)


def by_hand(
    given: dict[str, np.ndarray], weights: np.ndarray | None = None, z: tuple[str, ...] = SPEC.treatment_proxies
) -> tuple[float, np.ndarray, np.ndarray]:
    """The treatment's slope of the second stage, its design with fitted stand-ins, residuals with those seen."""
    root = np.sqrt(np.ones(N) if weights is None else weights)[:, None]
    base = [np.ones(N), given["x"], given["a"]]
    first = np.column_stack([*base, *(given[name] for name in z)]) * root
    seen = np.column_stack([given["w"], given["w2"]])
    fitted = first @ np.linalg.lstsq(first, seen * root, rcond=None)[0] / root
    second = np.column_stack([*base, fitted])
    slopes = np.linalg.lstsq(second * root, given["y"] * root[:, 0], rcond=None)[0]
    return float(slopes[2]), second, given["y"] - np.column_stack([*base, seen]) @ slopes


def answered(spec: Spec = SPEC) -> Effect:
    answer = estimate(table_of(columns()), spec)
    assert isinstance(answer, Effect), answer
    return answer


def test_two_regressions() -> None:
    given = columns()
    assert answered().estimate == pytest.approx(by_hand(given)[0], rel=1e-9)
    weighted = answered(SPEC.replace(weights="q"))
    assert weighted.estimate == pytest.approx(by_hand(given, given["q"])[0], rel=1e-9)


def test_influence_is_the_derivative_by_a_rows_weight() -> None:
    """With as many stand-ins on either side; more on the treatment's add what is zero where the model is right."""
    given, answer, step = columns(), answered(SPEC.replace(treatment_proxies=EXACT)), 1e-5
    assert answer.influence is not None
    factor = np.sqrt(N / (N - 5))  # intercept, control, treatment, two stand-ins
    for i in (0, 17, 60, 119):
        up, down = np.ones(N), np.ones(N)
        up[i] += step
        down[i] -= step
        slope = (by_hand(given, up, EXACT)[0] - by_hand(given, down, EXACT)[0]) / (2 * step)
        assert answer.influence[i] == pytest.approx(N * slope * factor, rel=1e-5)


def test_errors_of_rows_and_of_clusters() -> None:
    given = columns()
    _, second, residuals = by_hand(given)
    bread = np.linalg.inv(second.T @ second)
    scores = second * residuals[:, None]
    rows = bread @ (scores.T @ scores) @ bread * N / (N - 5)
    assert answered().standard_error == pytest.approx(float(np.sqrt(rows[2, 2])))
    sums = np.array([scores[given["c"] == g].sum(axis=0) for g in range(30)])
    groups = bread @ (sums.T @ sums) @ bread * 30 / 29 * (N - 1) / (N - 5)
    clustered = answered(SPEC.replace(cluster="c"))
    assert clustered.standard_error == pytest.approx(float(np.sqrt(groups[2, 2]))) and clustered.df == 29


def test_strength_of_the_stand_ins() -> None:
    """Sanderson and Windmeijer's F by residual regressions, one of two stand-ins at a time."""
    given, answer = columns(), answered()
    base = np.column_stack([np.ones(N), given["x"], given["a"]])

    def left(v: np.ndarray) -> np.ndarray:
        return v - base @ np.linalg.lstsq(base, v, rcond=None)[0]

    z = left(np.column_stack([given["z"], given["z2"], given["k"]]))
    for one, other in (("w", "w2"), ("w2", "w")):
        d, e = left(given[one]), left(given[other])
        fitted = z @ np.linalg.lstsq(z, e, rcond=None)[0]
        gap = d - e * float(fitted @ d) / float(fitted @ fitted)
        rest = gap - z @ np.linalg.lstsq(z, gap, rcond=None)[0]
        f = float(gap @ gap - rest @ rest) / 2 / (float(rest @ rest) / (N - 6))
        spread = np.std(given[one])
        assert answer.diagnostics["conditional_f"][one] == pytest.approx(f) and spread > 0
