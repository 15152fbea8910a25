"""Instrumental variables: known answers, weak instruments, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import whence
from whence import Refused, Spec, WhenceError, estimate
from whence.core.rng import generator

SPEC = Spec("iv", ("d",), ("y",), instruments=("z",))


def simulated(seed: int, n: int = 500, strength: float = 0.5, instruments: int = 1, effect: float = 1.0,
              noise: float = 1.0, groups: int = 0) -> dict[str, Any]:
    """A hidden cause moves d and y; the instruments move d; x moves all of them."""
    rng = generator(seed, "iv")
    x, u = rng.normal(size=(2, n))
    z = rng.normal(size=(instruments, n)) + 0.5 * x
    spread = 1.0 + 0.5 * np.abs(x)
    shared = np.zeros(n)
    columns: dict[str, Any] = {}
    if groups:
        group = np.arange(n) % groups
        shared = rng.normal(size=groups)[group]
        z = z + rng.normal(size=(instruments, groups))[:, group]
        columns["g"] = [f"g{k}" for k in group]
    d = strength * z.sum(axis=0) + x + u + rng.normal(size=n)
    y = effect * d + x + u + shared + noise * spread * rng.normal(size=n)
    names = ["z", *(f"z{k}" for k in range(2, instruments + 1))]
    return columns | {"x": x, "d": d, "y": y} | dict(zip(names, z, strict=True))


def spec_for(instruments: int = 1, **changes: Any) -> Spec:
    names = ("z", *(f"z{k}" for k in range(2, instruments + 1)))
    return SPEC.replace(instruments=names, controls=("x",), **changes)


def test_card_returns_to_schooling(cases: Path) -> None:
    controls = ("exper", "expersq", "black", "south", "smsa", *(f"reg66{k}" for k in range(1, 9)), "smsa66")
    spec = Spec("iv", ("educ",), ("lwage",), controls=controls, instruments=("nearc4",))
    found = estimate(cases / "effects" / "card.csv", spec)
    assert found.estimate == pytest.approx(0.1315, abs=5e-5)
    assert found.standard_error == pytest.approx(0.0541, abs=1e-3)
    assert found.diagnostics["first_stage_f"] == pytest.approx(13.26, abs=0.05)
    assert found.diagnostics["least_squares"] == pytest.approx(0.0747, abs=5e-5)
    assert found.quantity == "LATE" and "weak_instruments" in {w.code for w in found.warnings}
    assert found.interval == pytest.approx((0.0281, 0.2819), abs=1e-3)


def test_by_matrices() -> None:
    data = simulated(1, instruments=2)
    found = estimate(data, spec_for(2))
    n = len(data["y"])
    w = np.column_stack([np.ones(n), data["x"]])
    z, x, y = np.column_stack([w, data["z"], data["z2"]]), np.column_stack([data["d"], w]), data["y"]
    hat = z @ np.linalg.solve(z.T @ z, z.T @ x)
    beta = np.linalg.solve(hat.T @ x, hat.T @ y)
    u = y - x @ beta
    bread = np.linalg.inv(hat.T @ hat)
    covariance = n / (n - 3) * bread @ (hat.T * u**2) @ hat @ bread
    assert found.estimate == pytest.approx(beta[0], rel=1e-9)
    assert found.standard_error == pytest.approx(np.sqrt(covariance[0, 0]), rel=1e-9)


def test_liml_minimises_the_ratio_it_is_named_for() -> None:
    data = simulated(2, n=200, strength=0.2, instruments=4)
    spec = spec_for(4)
    found = {e: estimate(data, spec, estimator=e).estimate for e in ("2sls", "liml", "fuller")}
    w = np.column_stack([np.ones(200), data["x"]])
    z = np.column_stack([w, *(data[name] for name in spec.instruments)])

    def left(v: np.ndarray, on: np.ndarray) -> float:
        rest = v - on @ np.linalg.lstsq(on, v, rcond=None)[0]
        return float(rest @ rest)

    def ratio(b: float) -> float:
        v = data["y"] - b * data["d"]
        return left(v, w) / left(v, z)

    assert ratio(found["liml"]) <= min(ratio(found["liml"] + step) for step in (-1e-3, 1e-3))
    low, high = sorted((found["2sls"], found["liml"]))
    assert low - 0.1 < found["fuller"] < high + 0.1 and len(set(found.values())) == 3


@pytest.mark.parametrize("instruments", [1, 3])
def test_anderson_rubin_ends_are_where_the_test_rejects(instruments: int) -> None:
    data = simulated(3, n=300, strength=0.25, instruments=instruments)
    found = estimate(data, spec_for(instruments), interval="anderson_rubin")
    from scipy.special import fdtri

    n = 300
    w = np.column_stack([np.ones(n), data["x"]])
    z = np.column_stack([data[name] for name in spec_for(instruments).instruments])
    z = z - w @ np.linalg.lstsq(w, z, rcond=None)[0]

    def statistic(b: float) -> float:
        v = data["y"] - b * data["d"]
        scores = z * (v - w @ np.linalg.lstsq(w, v, rcond=None)[0])[:, None]
        total = scores.sum(axis=0)
        return float(total @ np.linalg.solve(n / (n - 3) * scores.T @ scores, total)) / instruments

    limit = float(fdtri(instruments, n - 3, 0.95))
    for end in found.interval:
        assert statistic(end) == pytest.approx(limit, rel=1e-4)
    assert statistic(sum(found.interval) / 2) < limit


def test_a_binary_instrument_is_the_ratio_of_two_differences() -> None:
    rng = np.random.default_rng(4)
    z = rng.integers(0, 2, 800)
    u = rng.normal(size=800)
    d = ((0.8 * z + u) > 0.5).astype(int)
    y = 2.0 * d + u + rng.normal(size=800)
    found = estimate({"z": z, "d": d, "y": y}, SPEC)
    wald = (y[z == 1].mean() - y[z == 0].mean()) / (d[z == 1].mean() - d[z == 0].mean())
    assert found.estimate == pytest.approx(wald, rel=1e-10)
    words = {"z": np.where(z == 1, "offered", "not offered"), "d": np.where(d == 1, "yes", "no"), "y": y}
    assert estimate(words, SPEC).estimate == pytest.approx(wald, rel=1e-10)


def test_weights_repeat_rows_and_units_scale() -> None:
    data = simulated(5, n=120)
    twice = np.arange(120) % 3 == 0
    repeated = {name: np.concatenate([v, v[twice]]) for name, v in data.items()}
    a = estimate(repeated, spec_for())
    b = estimate(data | {"w": np.where(twice, 2.0, 1.0)}, spec_for(weights="w"))
    assert a.estimate == pytest.approx(b.estimate, rel=1e-9)
    c = estimate(data | {"d": 100 * data["d"], "z": 1e5 + 1e-3 * data["z"]}, spec_for())
    assert 100 * c.estimate == pytest.approx(estimate(data, spec_for()).estimate, rel=1e-7)


def coverage(samples: int, interval: str = "auto", **settings: Any) -> tuple[float, int]:
    """Share of intervals that hold the effect 1, and how many samples were refused (they count as held)."""
    spec = spec_for(settings.get("instruments", 1), cluster="g" if settings.get("groups") else None)
    held = refused = 0
    for seed in range(samples):
        found = estimate(simulated(seed, **settings), spec, interval=interval)
        if isinstance(found, Refused):
            assert found.code == "weak_instrument"
            refused += 1
        held += isinstance(found, Refused) or found.interval[0] <= 1 <= found.interval[1]
    return held / samples, refused


def test_intervals_hold_with_strong_and_weak_instruments() -> None:
    # 120 samples: two Monte Carlo standard errors are 4 points.
    assert coverage(120, strength=0.5)[0] >= 0.91
    assert coverage(120, strength=0.15, n=300)[0] >= 0.91


@pytest.mark.slow
@pytest.mark.parametrize("settings", [
    {"strength": 0.5}, {"strength": 0.15, "n": 300}, {"strength": 0.4, "instruments": 3},
    {"strength": 0.08, "instruments": 3, "n": 400}, {"strength": 0.5, "groups": 30, "n": 600},
], ids=str)
def test_coverage(settings: dict[str, Any]) -> None:
    share, _ = coverage(500, **settings)
    assert share >= 0.93, share  # refused sets count as held, which is conservative


def test_what_is_refused() -> None:
    data = simulated(6, strength=0.0, n=300)
    found = estimate(data, spec_for())
    assert isinstance(found, Refused) and found.code == "weak_instrument" and "effective F" in found.reason
    copied = data | {"z": 2 * data["x"] + 1}
    assert estimate(copied, spec_for()).code == "instrument_is_control"
    assert estimate(data | {"x": data["d"] * 2.0, "q": data["x"]},
                    SPEC.replace(controls=("x", "q"))).code in ("treatment_is_control", "control_is_treatment")
    arms = np.array(["a", "b", "c"])[np.arange(300) % 3]
    assert estimate(data | {"d": arms}, spec_for()).code == "several_arms"
    few = {name: v[:4] for name, v in data.items()}
    assert isinstance(estimate(few, spec_for()), Refused)
    with pytest.raises(WhenceError, match="instruments"):
        estimate(data, SPEC.replace(instruments=()))
    assert estimate(data, spec_for(), method="regression").code == "other_design"
    assert estimate(data, spec_for(quantity="ATT")).code == "quantity_not_available"


def test_instruments_that_disagree_are_named() -> None:
    data = simulated(7, n=2000, instruments=2)
    data["y"] = data["y"] + 0.7 * data["z2"]
    found = estimate(data, spec_for(2))
    assert "instruments_disagree" in {w.code for w in found.warnings} and found.diagnostics["hansen_p"] < 1e-4


def test_missing_instruments_cost_rows_that_are_counted() -> None:
    data = simulated(8)
    data["z"] = np.where(np.arange(500) < 40, np.nan, data["z"])
    found = estimate(data, spec_for())
    assert found.n == 460 and any(w.code == "rows_dropped" for w in found.warnings)
    assert isinstance(whence.check(whence.read(data), found), list)


def encouraged(seed: int = 0, n: int = 4000, always: float = 0.0) -> dict[str, Any]:
    """A letter drawn by lot; the effect of those who take the course because of it is 2."""
    rng = generator(seed, "letter")
    z, u = rng.integers(0, 2, n), rng.normal(size=n)
    complier, taker = rng.random(n) < 0.6, rng.random(n) < always
    d = np.where(taker, 1, z * complier)
    return {"letter": np.where(z == 1, "sent", "kept"), "course": d, "y": 2.0 * d + u + complier + rng.normal(size=n)}


ENCOURAGED = Spec("iv", ("course",), ("y",), instruments=("letter",))


def test_encouragement_tells_itt_first_stage_and_take_up() -> None:
    data = encouraged()
    found = estimate(data, ENCOURAGED)
    told = found.diagnostics["encouragement"]
    sent, d, y = data["letter"] == "sent", data["course"], data["y"]
    assert told["of"] == "sent vs kept"
    assert told["itt"] == pytest.approx(y[sent].mean() - y[~sent].mean())
    assert told["first_stage"] == pytest.approx(d[sent].mean() - d[~sent].mean())
    assert found.estimate == pytest.approx(told["itt"] / told["first_stage"])
    plain = {"letter": data["letter"], "y": y, "course": d}
    for what, outcome in (("itt", "y"), ("first_stage", "course")):
        by_hand = estimate(plain, Spec("rct", ("letter",), (outcome,)), "regression", covariance="HC1")
        assert told[f"{what}_error"] == pytest.approx(by_hand.standard_error, rel=1e-6)
    assert told["take_up"] == pytest.approx({"sent": d[sent].mean(), "kept": 0.0})
    assert told["one_sided"] == "nobody_else_treated"
    assert "ATT" in next(w.text for w in found.warnings if w.code == "one_sided_take_up")


def test_two_sided_take_up_is_not_flagged() -> None:
    found = estimate(encouraged(always=0.2), ENCOURAGED)
    assert found.diagnostics["encouragement"]["one_sided"] is None
    assert "one_sided_take_up" not in {w.code for w in found.warnings}


def test_many_weak_instruments_are_said() -> None:
    data = simulated(4, n=300, strength=0.03, instruments=8)
    found = estimate(data, spec_for(8), interval="wald")
    codes = {w.code for w in found.warnings} if found else {found.code}
    assert codes & {"many_instruments", "weak_instrument"}
    strong = estimate(simulated(4, n=300, instruments=8), spec_for(8))
    assert "many_instruments" not in {w.code for w in strong.warnings}


@pytest.mark.parametrize("kind", ["HC0", "HC2", "HC3", "CR1", "CR2", "CR3"])
def test_errors_by_matrices(kind: str) -> None:
    """Sandwiches of the second stage's design, with blocks of its hat matrix."""
    data = simulated(6, n=240, groups=12, strength=2.0)
    groups = np.array(data["g"])
    found = estimate(data, spec_for(cluster="g" if kind[0] == "C" else None), covariance=kind, interval="wald")
    n = 240
    w = np.column_stack([np.ones(n), data["x"]])
    z, x = np.column_stack([w, data["z"]]), np.column_stack([data["d"], w])
    second = z @ np.linalg.solve(z.T @ z, z.T @ x)
    bread = np.linalg.inv(second.T @ second)
    u = data["y"] - x @ (bread @ second.T @ data["y"])
    hat = second @ bread @ second.T
    direction, total = second @ bread[:, 0], 0.0
    for one in (sorted(set(groups)) if kind[0] == "C" else range(n)):
        inside = groups == one if kind[0] == "C" else np.arange(n) == one
        values, vectors = np.linalg.eigh(np.eye(inside.sum()) - hat[np.ix_(inside, inside)])
        power = {"HC0": 0.0, "HC2": -0.5, "HC3": -1.0, "CR1": 0.0, "CR2": -0.5, "CR3": -1.0}[kind]
        total += float(direction[inside] @ (vectors * values**power) @ vectors.T @ u[inside]) ** 2
    factor = {"CR1": 12 / 11 * (n - 1) / (n - 3), "CR3": 11 / 12}.get(kind, 1.0)
    assert found.standard_error == pytest.approx(np.sqrt(factor * total), rel=1e-8)


def test_the_wild_bootstrap_of_few_clusters() -> None:
    data = simulated(3, groups=12)
    found = estimate(data, spec_for(cluster="g"), covariance="wild", bootstrap_draws=999)
    again = estimate(data, spec_for(cluster="g"), covariance="wild", bootstrap_draws=999)
    assert found.own_interval and found.interval == again.interval and "wild" in found.errors
    asked = estimate(data, spec_for(cluster="g"), covariance="wild", bootstrap_draws=99, interval="anderson_rubin")
    assert list(asked.interval) == asked.diagnostics["anderson_rubin"]
    with pytest.raises(WhenceError) as error:
        estimate(data, spec_for(), covariance="wild")
    assert error.value.code == "no_cluster"


def test_too_few_clusters_for_anderson_and_rubin() -> None:
    """Of five clusters the test rejects nothing: a strong instrument keeps its other interval, a weak one has none."""
    strong = simulated(3, groups=5)
    assert estimate(strong, spec_for(cluster="g")).diagnostics["effective_f"] > 23.1
    weak = strong | {"d": strong["d"] + 30 * np.random.default_rng(1).normal(size=len(strong["d"]))}
    for data, params in ((strong, {"interval": "anderson_rubin"}), (weak, {})):
        found = estimate(data, spec_for(cluster="g"), **params)
        assert isinstance(found, Refused) and found.code == "too_few_clusters" and found.remedy


def test_strength_and_anderson_rubin_follow_the_covariance() -> None:
    data = simulated(7, n=200) | {"day": np.arange(200)}
    rows = estimate(data, spec_for(), interval="anderson_rubin")
    none = estimate(data, spec_for(time="day"), interval="anderson_rubin", covariance="hac", lags=0)
    some = estimate(data, spec_for(time="day"), interval="anderson_rubin", covariance="hac", lags=8)
    assert none.diagnostics["effective_f"] == pytest.approx(rows.diagnostics["effective_f"])
    assert none.diagnostics["anderson_rubin"] == pytest.approx(rows.diagnostics["anderson_rubin"], rel=0.01)
    assert some.diagnostics["effective_f"] != pytest.approx(rows.diagnostics["effective_f"], rel=0.01)
    assert some.own_interval and "8 lags" in some.errors
    with pytest.raises(WhenceError) as caught:
        some - rows
    assert caught.value.code == "own_interval"
