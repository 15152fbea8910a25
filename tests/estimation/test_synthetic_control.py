"""Synthetic control: known numbers, the quadratic program, placebos, and every refusal."""

from __future__ import annotations

import numpy as np
import pytest

from whence import Refused, Spec, estimate, read
from whence.stats.simplex import simplex_least_squares

SPEC = Spec("synthetic_control", ("d",), ("y",), time="t", unit="u")


def panel(seed: int = 0, units: int = 20, periods: int = 25, start: int = 20, effect: float = 3.0, treated: int = 1):
    """Two common factors with loadings per unit; the last units are treated, with loadings inside those of the rest."""
    rng = np.random.default_rng(seed)
    factors = np.cumsum(rng.standard_normal((2, periods)), axis=1)
    loadings = rng.random((units, 2))
    loadings[-treated:] = 0.5 * loadings[:treated] + 0.5 * loadings[treated : 2 * treated]
    y = 10 + loadings @ factors + 0.3 * rng.standard_normal((units, periods))
    d = np.zeros((units, periods), dtype=int)
    d[-treated:, start:] = 1
    u, t = np.meshgrid(np.arange(units), np.arange(periods), indexing="ij")
    return {"u": u.ravel(), "t": t.ravel(), "d": d.ravel(), "y": (y + effect * d).ravel()}


@pytest.mark.parametrize(("kind", "value", "digits"), [("simplex", -19.51, 0.005), ("did", -15.604, 0.002)])
def test_known_values(cases, kind, value, digits):
    """The second was printed after an approximate optimum; ours is exact, -15.6054."""
    spec = Spec("synthetic_control", ("treated",), ("PacksPerCapita",), time="Year", unit="State")
    found = estimate(read(cases / "effects" / "prop99.csv"), spec, kind=kind)
    assert found.estimate == pytest.approx(value, abs=digits)
    assert found.diagnostics["donors"] == 38 and 0 < found.p_value < 0.1


@pytest.mark.parametrize("ridge", [0.0, 0.5])
@pytest.mark.parametrize("shape", [(30, 6), (6, 30), (5, 1), (4, 4)])
def test_weights_are_the_best_on_the_simplex(ridge, shape):
    """No weights on the simplex do better, by the conditions of the optimum and by scipy's own search."""
    from scipy.optimize import minimize

    for seed in range(5):
        rng = np.random.default_rng(seed)
        a, b = rng.standard_normal(shape), rng.standard_normal(shape[0])

        def loss(w, a=a, b=b):
            return float(((a @ w - b) ** 2).sum() + ridge * (w**2).sum())

        w = simplex_least_squares(a, b, ridge)
        assert w.min() >= 0 and w.sum() == pytest.approx(1)
        gradient = 2 * (a.T @ (a @ w - b) + ridge * w)
        assert (gradient - gradient @ w).min() >= -1e-6 * max(1.0, np.abs(gradient).max())
        k = shape[1]
        other = minimize(loss, np.full(k, 1 / k), bounds=[(0, 1)] * k, method="SLSQP",
                         constraints={"type": "eq", "fun": lambda v: v.sum() - 1}).x
        assert loss(w) <= loss(other) + 1e-7


@pytest.mark.parametrize("kind", ["simplex", "did"])
def test_a_planted_effect_is_found_and_its_interval_covers(kind):
    inside, errors = 0, []
    for seed in range(20):
        found = estimate(panel(seed), SPEC, kind=kind)
        inside += found.interval[0] <= 3 <= found.interval[1]
        errors.append(found.estimate - 3)
    assert inside >= 17 and abs(np.mean(errors)) < 0.25


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "treated"), [("simplex", 1), ("did", 1), ("did", 4)])
def test_intervals_cover_300(kind, treated):
    inside = [estimate(panel(seed, treated=treated), SPEC, kind=kind).interval for seed in range(300)]
    assert 0.91 <= np.mean([low <= 3 <= high for low, high in inside]) <= 0.99


def test_by_definition():
    """Weights of one treated unit by hand: difference from the weighted donors after the start."""
    data = panel(3)
    found = estimate(data, SPEC)
    y = data["y"].reshape(20, 25)
    weights = np.zeros(19)
    for name, w in found.diagnostics["weights"].items():
        weights[int(float(name))] = w
    assert found.estimate == pytest.approx((y[-1, 20:] - weights @ y[:-1, 20:]).mean(), abs=1e-4)
    placebos = []
    for i in range(19):
        rest = np.delete(np.arange(19), i)
        w = simplex_least_squares(y[rest, :20].T, y[i, :20])
        placebos.append((y[i, 20:] - w @ y[rest, 20:]).mean())
    assert found.standard_error == pytest.approx(np.std(placebos, ddof=1), rel=1e-9)


def test_staggered_starts_and_gaps():
    data = panel(5, treated=3)
    data["d"] = np.where((data["u"] == 19) & (data["t"] < 22), 0, data["d"])
    keep = ~((data["u"] == 2) & (data["t"] == 4))
    found = estimate({k: v[keep] for k, v in data.items()}, SPEC)
    assert found.diagnostics["treated_units"] == 3 and found.diagnostics["adoption"] == "staggered"
    assert any(w.code == "units_left_out" for w in found.warnings) and abs(found.estimate - 3) < 1.5
    bad = data | {"y": data["y"] + 50 * (data["u"] >= 17)}
    assert any(w.code == "poor_fit" for w in estimate(bad, SPEC).warnings)


@pytest.mark.parametrize(("data", "spec", "code"), [
    (panel(start=2), SPEC, "too_few_periods"), (panel(units=3, treated=2), SPEC, "too_few_donors"),
    (panel(units=3), SPEC, "too_few_donors"), (panel(), SPEC.replace(unit=None), "start_unknown"),
    (panel(start=0), SPEC, "start_unknown"),
])
def test_refusals(data, spec, code):
    found = estimate(data, spec)
    assert isinstance(found, Refused) and found.code == code, found


def test_more_refusals():
    data = panel()
    twice = {k: np.append(v, v[0]) for k, v in data.items()}
    assert estimate(twice, SPEC).code == "repeated_rows"
    assert estimate(data | {"d": np.where(data["t"] == 24, 0, data["d"])}, SPEC).code == "treatment_switches"


def test_order_of_rows_does_not_matter():
    data = panel(2)
    shuffled = np.random.default_rng(0).permutation(len(data["u"]))
    a, b = estimate(data, SPEC), estimate({k: v[shuffled] for k, v in reversed(data.items())}, SPEC)
    assert a.estimate == pytest.approx(b.estimate, rel=1e-9) and a.interval == pytest.approx(b.interval, rel=1e-9)
