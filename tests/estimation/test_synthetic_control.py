"""Synthetic control: known numbers, the quadratic program, placebos, and every refusal."""

from __future__ import annotations

import numpy as np
import pytest

from whence import Refused, Spec, estimate, read
from whence.estimation.synthetic_weights import simplex, synthetic_did
from whence.report.designs import design_picture
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
    assert found.diagnostics["donors"] == 38
    rank = "ratio" if kind == "simplex" else "estimate"  # California is 3rd and 2nd of 39
    assert found.diagnostics["p_values"][rank] == pytest.approx({"simplex": 3, "did": 2}[kind] / 39)


def test_published_errors(cases):
    """Printed: 8.4 (synthetic difference in differences) and 9.9 (weights on levels), each from 200 placebos drawn at
    random; ours takes every untreated unit once, and such draws from it spread over both."""
    spec = Spec("synthetic_control", ("treated",), ("PacksPerCapita",), time="Year", unit="State")
    table = read(cases / "effects" / "prop99.csv")
    order = np.lexsort((table.numeric("Year"), table.column("State").values.astype(str)))
    panel = table.numeric("PacksPerCapita")[order].reshape(39, 31)
    treated = table.numeric("treated")[order].reshape(39, 31).any(axis=1)
    donors, before = panel[~treated], np.arange(31) < 19
    for kind, fit, printed in (("did", synthetic_did, 8.4), ("simplex", simplex, 9.9)):
        effects = [fit(donors[i], np.delete(donors, i, axis=0), before).effect for i in range(38)]
        found = estimate(table, spec, kind=kind, errors="spread")
        assert found.standard_error == pytest.approx(np.std(effects, ddof=1), rel=1e-9)
        assert found.diagnostics["placebo_spread"] == pytest.approx(found.standard_error)
        drawn = np.std(np.random.default_rng(0).choice(effects, (1000, 200)), axis=1)
        assert np.quantile(drawn, 0.01) < printed < np.quantile(drawn, 0.99)


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


def test_augmented_follows_a_treated_unit_outside_the_hull():
    data = panel(4)
    far = data | {"y": data["y"] + np.where(data["u"] == 19, 8.0, 0.0)}
    plain, better = estimate(far, SPEC), estimate(far, SPEC, kind="augmented")
    assert {"poor_fit", "outside_hull"} <= {w.code for w in plain.warnings}
    assert better.diagnostics["misfit_before"] < 0.5 * plain.diagnostics["misfit_before"]
    assert abs(better.estimate - 3) < abs(plain.estimate - 3)
    said = next(w for w in plain.warnings if w.code == "outside_hull")
    assert said.evidence["outside"] > 0 and said.evidence["misfit"] == plain.diagnostics["misfit_before"]


def test_several_units_together():
    data = panel(5, treated=3)
    separate, together = estimate(data, SPEC), estimate(data, SPEC, kind="pooled")
    assert 0 < together.diagnostics["share"] < 1 and abs(together.estimate - 3) < 1
    assert len(separate.diagnostics["by_start"]) == 3 and separate.p_value < 0.05
    assert sum(part["share"] for part in separate.diagnostics["by_start"]) == pytest.approx(1)
    one = estimate(panel(5), SPEC, kind="pooled")
    assert one.estimate == pytest.approx(estimate(panel(5), SPEC).estimate)


def test_traits_are_matched():
    """A control that tells the loadings apart draws the weights to units that are alike."""
    data = panel(6)
    trait = np.where(np.isin(data["u"], (0, 1, 19)), 1.0, 0.0) + 0.001 * data["u"]
    plain, matched = estimate(data, SPEC), estimate(data | {"x": 100 * trait}, SPEC.replace(controls=("x",)))
    share = [sum(e.diagnostics["weights"].get(name, 0.0) for name in ("0", "1")) for e in (plain, matched)]
    assert share[1] > share[0] and matched.estimate != plain.estimate
    constant = estimate(data | {"x": np.ones(len(data["u"]))}, SPEC.replace(controls=("x",)))
    assert constant.estimate == plain.estimate
    rescaled = estimate(data | {"x": trait - 7}, SPEC.replace(controls=("x",)))
    assert rescaled.estimate == pytest.approx(matched.estimate, abs=1e-6)


def test_controls_that_move_are_taken_out_of_differences():
    data = panel(7)
    x = np.random.default_rng(1).standard_normal(len(data["u"]))
    moved = data | {"x": x, "y": data["y"] + 4 * x}
    without, found = (estimate(moved, SPEC.replace(controls=c), kind="did") for c in ((), ("x",)))
    assert found.estimate == pytest.approx(estimate(data, SPEC, kind="did").estimate, abs=0.3)
    assert found.standard_error < 0.5 * without.standard_error


@pytest.mark.parametrize("errors", ["placebo", "jackknife", "bootstrap"])
def test_errors_of_differences_agree_roughly(errors):
    found = estimate(panel(8, units=30, treated=6), SPEC, kind="did", errors=errors, replicates=60, seed=1)
    assert 0.03 < found.standard_error < 0.3 and abs(found.estimate - 3) < 4 * found.standard_error
    again = estimate(panel(8, units=30, treated=6), SPEC, kind="did", errors=errors, replicates=60, seed=1)
    assert again.standard_error == found.standard_error


def test_ranks_filters_and_one_period_after():
    found = estimate(panel(9), SPEC)
    ranks = found.diagnostics["p_values"]
    assert ranks["ratio"] == 0.05 and len(ranks) == 5
    assert any(w.code == "placebo_rank" and w.evidence["rank"] == 1 for w in found.warnings)
    assert (found.p_value < 0.05) == (not found.interval[0] <= 0 <= found.interval[1])
    one = estimate(panel(9, periods=21), SPEC)
    assert abs(one.estimate - 3) < 2 and len(one.diagnostics["picture"]["placebos"]) == 19


@pytest.mark.parametrize(("treated", "how", "code"), [
    (1, {"errors": "jackknife"}, "errors_not_available"), (1, {"kind": "did", "errors": "jackknife"},
                                                            "errors_not_available"),
    (1, {"kind": "did", "errors": "bootstrap"}, "errors_not_available"),
    (1, {"kind": "did", "errors": "conformal"}, "errors_not_available"),
    (1, {"errors": "conformal", "level": 0.97}, "too_few_periods"), (10, {"kind": "did"}, "too_few_donors"),
])
def test_errors_that_cannot_be_had(treated, how, code):
    found = estimate(panel(treated=treated), SPEC, **how)
    assert isinstance(found, Refused) and found.code == code, found


def test_by_definition():
    """Weights of one treated unit by hand: difference from the weighted donors after the start."""
    data = panel(3)
    found = estimate(data, SPEC)
    y = data["y"].reshape(20, 25)
    weights = np.zeros(19)
    for name, w in found.diagnostics["weights"].items():
        weights[int(float(name))] = w
    assert found.estimate == pytest.approx((y[-1, 20:] - weights @ y[:-1, 20:]).mean(), abs=1e-4)
    effects, noise = [], []
    for i in [19, *range(19)]:
        rest = np.delete(np.arange(19), i) if i < 19 else np.arange(19)
        w = simplex_least_squares(y[rest, :20].T, y[i, :20])
        gap = y[i] - w @ y[rest]
        effects.append(gap[20:].mean())
        noise.append(np.sqrt((gap[:20] ** 2).sum() / (20 - (w > 1e-8).sum() + 1)))
    effects, noise = np.array(effects[1:]), np.array(noise)
    assert found.standard_error == pytest.approx(noise[0] * np.sqrt(((effects / noise[1:]) ** 2).mean()), rel=1e-9)
    assert found.diagnostics["placebo_spread"] == pytest.approx(np.std(effects, ddof=1), rel=1e-9)
    assert found.df == 18


def test_staggered_starts_and_gaps():
    data = panel(5, treated=3)
    data["d"] = np.where((data["u"] == 19) & (data["t"] < 22), 0, data["d"])
    keep = ~((data["u"] == 2) & (data["t"] == 4))
    found = estimate({k: v[keep] for k, v in data.items()}, SPEC)
    assert found.diagnostics["treated_units"] == 3 and found.diagnostics["adoption"] == "staggered"
    assert any(w.code == "units_left_out" for w in found.warnings) and abs(found.estimate - 3) < 1.5
    shown = found.diagnostics["picture"]
    assert shown["since"] == list(range(-20, 3)) and len(shown["each"]) == len(found.diagnostics["by_start"]) == 3
    shares = [one["share"] for one in found.diagnostics["by_start"]]
    assert shown["gap"] == pytest.approx(np.average([one["gap"] for one in shown["each"]], axis=0, weights=shares))
    assert "those of 3 followed" in design_picture(found) and design_picture(found).count("<path") == 4
    always = estimate(data | {"d": np.where(data["u"] == 19, 1, data["d"])}, SPEC)
    assert always.diagnostics["treated_units"] == 2
    assert [w.code for w in always.warnings if w.code in ("always_treated", "units_left_out")] == ["always_treated"]
    bad = data | {"y": data["y"] + 50 * (data["u"] >= 17)}
    assert any(w.code == "poor_fit" for w in estimate(bad, SPEC).warnings)


@pytest.mark.parametrize("kind", ["simplex", "augmented", "did", "pooled"])
def test_two_periods_before_are_too_few(kind):
    assert estimate(panel(start=2), SPEC, kind=kind).code == "too_few_periods"
    assert "after 1 period;" in estimate(panel(start=1), SPEC, kind=kind).reason
    assert not isinstance(estimate(panel(start=3), SPEC, kind=kind), Refused)
    everywhere = panel()
    everywhere["d"] = (everywhere["t"] >= 20).astype(int)
    assert estimate(everywhere, SPEC, kind=kind).code == "no_untreated"


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
