"""Instrument bounds on tables: those of the sample's distribution, with an interval that holds the true ones."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from whence.core.result import Refused
from whence.estimation.bounding.instrument import exact_region
from whence.estimation.bounds import Bounds, bounds
from whence.identification.bounds import Bounded, instrument_bounds, instrument_bounds_within
from whence.identification.spec import Spec

SPEC = Spec("iv", ("t",), ("y",), instruments=("z",))


def model(seed: int, defiers: bool = False) -> tuple[np.ndarray, float]:
    """P(z, t, y) of a random model with hidden response types, and its true effect."""
    rng = np.random.default_rng(seed)
    takes = [(0, 0), (0, 1), (1, 1), *(((1, 0),) if defiers else ())]
    shares = rng.dirichlet(np.full(4 * len(takes), 0.5)).reshape(len(takes), 4)
    joint, has = np.zeros((2, 2, 2)), list(itertools.product((0, 1), repeat=2))
    for (i, taken), (j, outcome), z in itertools.product(enumerate(takes), enumerate(has), (0, 1)):
        joint[z, taken[z], outcome[taken[z]]] += shares[i, j] / 2
    return joint, float(sum(shares[:, j].sum() * (y[1] - y[0]) for j, y in enumerate(has)))


def drawn(joint: np.ndarray, n: int, seed: int) -> dict[str, np.ndarray]:
    cells = np.random.default_rng(seed).choice(joint.size, n, p=joint.ravel() / joint.sum())
    return dict(zip("zty", np.unravel_index(cells, joint.shape), strict=True))


def coverage(n: int, samples: int, monotone: str) -> tuple[float, float]:
    """How often the interval holds both true bounds, and how often the data are wrongly called contradictory."""
    held = contradicted = 0
    for seed in range(samples):
        joint, effect = model(seed % 12, defiers=monotone == "none")
        truth = instrument_bounds(joint, monotone=monotone != "none")
        assert isinstance(truth, Bounded) and truth.lower - 1e-7 <= effect <= truth.upper + 1e-7
        found = bounds(drawn(joint, n, 1000 + seed), SPEC, "instrument", monotone=monotone)
        if isinstance(found, Refused):
            contradicted += found.code == "instrument_contradicted"
            continue
        held += found.interval[0] <= truth.lower + 1e-7 and found.interval[1] >= truth.upper - 1e-7
    return held / samples, contradicted / samples


@pytest.mark.parametrize("monotone", ["none", "increasing"])
def test_equals_the_exact_bounds_of_the_samples_distribution(monotone: str) -> None:
    joint, _ = model(3)
    data = drawn(joint, 4000, 1)
    counts = np.zeros((2, 2, 2))
    np.add.at(counts, tuple(data.values()), 1)
    found, truth = bounds(data, SPEC, "instrument", monotone=monotone), instrument_bounds(
        counts, monotone=monotone != "none")
    assert isinstance(found, Bounds)
    if isinstance(truth, Bounded):
        assert (found.lower, found.upper) == pytest.approx((truth.lower, truth.upper), abs=1e-6)
        assert found.arms["1"] == pytest.approx(truth.arms["treated"], abs=1e-6)
    else:
        assert "nearest_distribution" in {w.code for w in found.warnings}
    assert found.interval[0] < found.lower and found.interval[1] > found.upper
    assert found.standard_errors is None and "exact binomial" in found.confidence
    assert "instrument_not_used" not in {w.code for w in found.warnings}
    turned = bounds(data | {"z": 1 - data["z"]}, SPEC, "instrument",
                    monotone="none" if monotone == "none" else "decreasing")
    assert isinstance(turned, Bounds) and turned.interval == pytest.approx(found.interval, abs=1e-6)


def test_the_exact_region_against_the_binomial() -> None:
    """At each limit the count seen is just as unlikely as asked."""
    from scipy.special import bdtr, bdtrc

    counts = np.array([[[0, 7], [13, 20]], [[30, 0], [0, 0]]])
    least, most = exact_region(counts, 0.9)
    tail = 0.1 / 8 / 2
    for at in np.ndindex(counts.shape):
        n, k = counts[at[0]].sum(), counts[at]
        assert (least[at] == 0) if k == 0 else bdtrc(k - 1, n, least[at]) == pytest.approx(tail)
        assert (most[at] == 1) if k == n else bdtr(k, n, most[at]) == pytest.approx(tail)


def test_a_region_of_one_point_gives_the_bounds_of_the_point() -> None:
    for seed in range(6):
        joint, _ = model(seed, defiers=True)
        given = joint / joint.sum(axis=(1, 2), keepdims=True)
        point, region = instrument_bounds(joint), instrument_bounds_within(given * (1 - 1e-9), given * (1 + 1e-9))
        assert isinstance(point, Bounded) and isinstance(region, Bounded)
        assert (region.lower, region.upper) == pytest.approx((point.lower, point.upper), abs=1e-6)


def test_the_interval_holds_both_true_bounds_and_the_effect() -> None:
    """12 samples of 200 rows; 95 % asked, 4 standard errors (0.25) allowed."""
    held, contradicted = coverage(200, 12, "none")
    assert held >= 0.95 - 0.25 and contradicted <= 0.05 + 0.25


@pytest.mark.slow
@pytest.mark.parametrize("monotone", ["none", "increasing"])
@pytest.mark.parametrize("n", [60, 500, 5000])
def test_the_interval_holds_both_true_bounds_often_enough(n: int, monotone: str) -> None:
    """300 samples; 95 % asked, 4 standard errors (0.05) allowed."""
    held, contradicted = coverage(n, 300, monotone)
    assert held >= 0.95 - 0.05 and contradicted <= 0.05 + 0.05


def test_data_that_deny_the_instrument_are_refused() -> None:
    rng = np.random.default_rng(1)
    z = rng.integers(0, 2, 500)
    found = bounds({"z": z, "t": (rng.random(500) < 0.05).astype(int), "y": z}, SPEC, "instrument")
    assert isinstance(found, Refused) and found.code == "instrument_contradicted"
    falls = bounds({"z": z, "t": 1 - z, "y": rng.integers(0, 2, 500)}, SPEC, "instrument", monotone="increasing")
    assert isinstance(falls, Refused) and falls.code == "instrument_contradicted"


def test_three_levels_and_missing_instruments() -> None:
    rng = np.random.default_rng(2)
    z = rng.choice([0.0, 1.0, np.nan], 600, p=[0.45, 0.45, 0.1])
    t = (rng.random(600) < 0.2 + 0.6 * np.nan_to_num(z)).astype(int)
    y = rng.choice([0, 5, 10], 600, p=[0.2, 0.3, 0.5])
    for spec in (SPEC, Spec("adjustment", ("t",), ("y",), instruments=("z",))):
        found = bounds({"z": z, "t": t, "y": y}, spec, "instrument")
        assert isinstance(found, Bounds) and found.n == int(np.isfinite(z).sum())
        assert "rows_dropped" in {w.code for w in found.warnings}
        assert -10 <= found.interval[0] < found.lower <= 0 <= found.upper < found.interval[1] <= 10


@pytest.mark.parametrize("change, spec, params, code", [
    ({}, {"instruments": ()}, {}, "no_instrument"),
    ({"w": np.ones(100)}, {"instruments": ("z", "w")}, {}, "several_instruments"),
    ({"w": np.arange(100) % 3}, {"controls": ("w",)}, {}, "controls_not_available"),
    ({"w": 1.0 + np.arange(100) % 3}, {"weights": "w"}, {}, "dependent_rows"),
    ({"w": np.arange(100) // 2}, {"cluster": "w"}, {}, "dependent_rows"),
    ({}, {"quantity": "ATT"}, {}, "quantity_not_available"),
    ({"y": np.arange(100) / 7}, {}, {}, "too_many_levels"),
    ({"z": np.arange(100)}, {}, {}, "too_many_levels"),
    ({"z": np.arange(100) // 10, "t": np.array(["a", "b", "c", "d"] * 25)}, {}, {}, "too_many_types"),
    ({"z": np.zeros(100, dtype=int)}, {}, {}, "instrument_constant"),
    ({"t": np.array(["a", "b", "c", "d"] * 25)}, {}, {"monotone": "increasing"}, "several_levels"),
])
def test_what_it_cannot_do_is_refused(change: Any, spec: Any, params: Any, code: str) -> None:
    data = {"z": np.arange(100) % 2, "t": np.arange(100) // 2 % 2, "y": np.arange(100) // 4 % 2} | change
    found = bounds(data, Spec(**({"strategy": "adjustment", "treatments": ("t",), "outcomes": ("y",),
                                  "instruments": ("z",)} | spec)), "instrument", **params)
    assert isinstance(found, Refused) and found.code == code and found.reason.endswith(".")
