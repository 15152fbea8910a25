"""Differences in differences: known numbers, how treatment is read, coverage, and every refusal."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from whence import Effect, Refused, Spec, WhenceError, estimate, read

SPEC = Spec("did", ("d",), ("y",), time="t", unit="u")
MPDTA = Spec("did", ("first.treat",), ("lemp",), time="year", unit="countyreal")


def panel(
    seed: int = 0, units: int = 60, periods: int = 6, starts: tuple[int, ...] = (3, 5, 99)
) -> dict[str, np.ndarray]:
    """Effects that grow with time and are larger for early starts, so that two-way regression goes wrong."""
    rng = np.random.default_rng(seed)
    start = rng.permutation(np.resize(starts, units))
    u, t = np.repeat(np.arange(units), periods), np.tile(np.arange(1, periods + 1), units)
    d = (t >= start[u]).astype(int)
    y = rng.standard_normal(units)[u] + 0.3 * t + d * (t - start[u] + 1.0) * (start[u] == starts[0])
    return {"u": u, "t": t, "d": d, "y": y + 0.5 * rng.standard_normal(len(u)), "start": start[u],
            "ever": (start[u] < 99).astype(int)}


@pytest.mark.parametrize(("method", "params", "controls", "value"), [
    ("group_time", {"average": "simple"}, (), -0.03995), ("group_time", {"average": "dynamic"}, (), -0.0772),
    ("group_time", {"average": "group"}, (), -0.0310), ("group_time", {}, ("lpop",), -0.04175),
    ("twfe", {}, (), -0.0365),
])
def test_known_values(cases, method, params, controls, value):
    found = estimate(read(cases / "effects" / "mpdta.csv"), MPDTA.replace(controls=controls), method, **params)
    assert found.estimate == pytest.approx(value, abs=1e-4 if method == "twfe" else 5.1e-5)


def test_known_two_by_two(cases):
    found = estimate(read(cases / "effects" / "prop99.csv"), Spec("did", ("treated",), ("PacksPerCapita",), time="Year",
                                                                 unit="State"))
    assert found.estimate == pytest.approx(-27.35, abs=0.005) and found.quantity == "ATT"
    assert found.diagnostics["covariance"] == "placebo" and found.interval[0] < found.estimate < found.interval[1]


def test_treatment_is_read_as_status_flag_or_date():
    data = panel(starts=(3, 99))
    by_status = estimate(data, SPEC)
    assert by_status.method == "twfe" and by_status.diagnostics["treatment_read_as"] == "status"
    by_date = estimate(data | {"date": np.where(data["start"] < 99, data["start"], 0)},
                       SPEC.replace(treatments=("date",)))
    assert by_date.estimate == pytest.approx(by_status.estimate)
    after = data | {"post": (data["t"] >= 3).astype(int)}
    by_flag = estimate(after, SPEC.replace(treatments=("ever",), time="post"))
    assert by_flag.estimate == pytest.approx(by_status.estimate)
    assert "ever treated" in by_flag.warnings[-1].text or any("ever treated" in w.text for w in by_flag.warnings)
    cross = estimate({k: after[k] for k in ("ever", "post", "y")},
                     Spec("did", ("ever",), ("y",), time="post"))
    means = {(e, p): data["y"][(data["ever"] == e) & (after["post"] == p)].mean() for e in (0, 1) for p in (0, 1)}
    assert cross.estimate == pytest.approx(means[1, 1] - means[1, 0] - means[0, 1] + means[0, 0])
    assert cross.diagnostics["groups"] == "groups"


def test_dates_and_words_are_times():
    data = panel(starts=(3, 99))
    words = np.array(["", "2001-01", "2001-02", "2001-03", "2001-04", "2001-05", "2001-06"])[data["t"]]
    days = np.array([f"2001-0{t}-15" for t in data["t"]], dtype="datetime64[D]")
    for time in (words, days):
        assert estimate(data | {"t": time}, SPEC).estimate == pytest.approx(estimate(data, SPEC).estimate)


def test_two_way_regression_is_warned_about_where_it_has_the_wrong_sign():
    """One group whose effect grows and one without effect: the truth is positive, the regression is not."""
    data = panel(1, units=40, periods=12, starts=(3, 6))
    data["y"] = data["y"] + 3.0 * data["d"] * (data["start"] == 6)
    plain = estimate(data, SPEC, "twfe")
    assert any(w.code == "staggered" for w in plain.warnings)
    assert plain.diagnostics["already_treated_share"] > 0.3
    found = estimate(data, SPEC, "group_time")
    assert any(w.code == "no_never_treated" for w in found.warnings)
    first = {c.label: c for c in found.comparisons}["+0 periods"]
    assert first.interval[0] < 1.5 < first.interval[1] or first.estimate > 0.5
    assert plain.estimate < found.estimate


def truth(data: dict[str, np.ndarray]) -> float:
    on = data["d"] == 1
    return float(((data["t"] - data["start"] + 1.0) * (data["start"] == 3))[on].mean())


def covered(method: str, sets: int, units: int = 60) -> float:
    inside = 0
    for seed in range(sets):
        data = panel(seed, units)
        found = estimate(data, SPEC, method)
        inside += found.interval[0] <= truth(data) <= found.interval[1]
    return inside / sets


@pytest.mark.parametrize("method", ["imputation", "group_time"])
def test_intervals_cover(method):
    assert covered(method, 30) >= 0.83  # Monte Carlo error 4 points


METHODS = ("imputation", "group_time", "sun_abraham", "local_projection", "stacked")
STAGGERED = (*METHODS, "switchers")


@pytest.mark.parametrize("method", STAGGERED)
def test_methods_for_staggered_starts_have_the_sign_that_two_way_regression_gets_wrong(method):
    """Effects of the early start grow from 1 by 1 a period, those of the late one are nought: the truth is positive."""
    data = panel(1, units=80, periods=14, starts=(3, 10))
    data["y"] = data["y"] + 0.5 * data["d"]
    never = panel(2, units=8, periods=14, starts=(99,))  # few of them, so that the regression leans on the treated
    data = {k: np.concatenate([v, never[k] + (1000 if k == "u" else 0)]) for k, v in data.items()}
    assert estimate(data, SPEC, "twfe").estimate < 0
    found = estimate(data, SPEC, method)
    assert found.interval[0] > 0 and all(c.estimate > 0 for c in found.comparisons if c.label.startswith("+"))


def test_those_that_switch_are_compared_with_those_that_stay():
    rng = np.random.default_rng(3)
    inside = 0
    for _ in range(30):  # Monte Carlo error 4 points
        d = (rng.random((80, 6)) < 0.3).cumsum(axis=1) % 2
        effect = 1 + 0.5 * rng.standard_normal(80)
        y = rng.standard_normal((80, 1)) + 0.3 * np.arange(6) + effect[:, None] * d + rng.standard_normal((80, 6))
        data = {"u": np.repeat(np.arange(80), 6), "t": np.tile(np.arange(6), 80), "d": d.ravel(), "y": y.ravel()}
        found = estimate(data, SPEC, "switchers")
        moved = np.diff(d, axis=1) != 0
        truth_ = float((effect[:, None] * moved).sum() / moved.sum())
        inside += found.interval[0] <= truth_ <= found.interval[1]
    assert inside >= 25 and {c.label for c in found.comparisons} >= {"switching on", "switching off", "-1 period"}
    plain = estimate(data, SPEC)
    assert plain.method == "twfe" and any(w.code == "switches_off" for w in plain.warnings)


def test_uniform_bands_are_those_of_the_multiplier_bootstrap():
    """The largest t of 20,000 draws of signs by unit has the quantile behind the joint intervals (error 0.02, and
    0.03 for the t distribution)."""
    from whence.estimation.group_time import group_time
    from whence.estimation.prepare import prepare

    rows = panel(3, units=150)
    data = read(rows | {"same": rows["u"]})
    answer = group_time(prepare(data, SPEC.replace(cluster="same")))  # the values of all comparisons are kept
    units = np.array([answer.influence[answer.data.clusters == g].sum(axis=0) for g in range(150)])
    brief = group_time(prepare(data, SPEC))
    assert brief.influence.shape[1] == 1 and brief.influence[:, 0] == pytest.approx(answer.influence[:, 0])
    assert brief.covariance == pytest.approx(answer.covariance, rel=1e-9, abs=1e-15)
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (20_000, 150))
    largest = np.abs(signs @ units / np.sqrt((units**2).sum(axis=0))).max(axis=1)
    found = estimate(data, SPEC, "group_time")
    half = [(c.joint_interval[1] - c.joint_interval[0]) / 2 / c.standard_error for c in found.comparisons]
    assert np.ptp(half) < 1e-9 and half[0] == pytest.approx(np.quantile(largest, 0.95), abs=0.07)


@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("compared_with", ["never", "not_yet"])
def test_means_of_those_that_start_together_give_what_each_comparison_gives(compared_with, weights):
    """Balanced panels take a way of their own; a row in an order of its own takes the general one."""
    from whence.estimation import group_time as module

    data = panel(7, units=60)
    data["w"] = np.repeat(np.random.default_rng(7).uniform(0.5, 2, 60), len(data["u"]) // 60)
    spec = SPEC.replace(weights=weights)
    for average in module.AVERAGES:
        quick = estimate(data, spec, "group_time", average=average, compared_with=compared_with)
        with pytest.MonkeyPatch.context() as patch:
            cells = module.panel_cells
            patch.setattr(module, "panel_cells", lambda *a, cells=cells: dataclasses.replace(cells(*a), paths=None))
            slow = estimate(data, spec, "group_time", average=average, compared_with=compared_with)
        for a, b in zip(quick.comparisons, slow.comparisons, strict=True):
            assert (a.estimate, a.standard_error) == pytest.approx((b.estimate, b.standard_error), rel=1e-9)
        assert quick.influence == pytest.approx(slow.influence, abs=1e-9)
        for a, b in zip(quick.diagnostics["group_time"], slow.diagnostics["group_time"], strict=True):
            assert a == pytest.approx(b, rel=1e-9)


def test_rows_without_units_are_read_by_their_cluster_or_their_start():
    data = panel(4, units=40, starts=(3, 5, 99))
    rng = np.random.default_rng(4)
    rows = np.repeat(np.arange(len(data["u"])), 3)
    people = {k: v[rows] for k, v in data.items()} | {"y": data["y"][rows] + rng.standard_normal(len(rows))}
    people["first"] = np.where(people["start"] < 99, people["start"], 0)
    by_cluster = Spec("did", ("d",), ("y",), time="t", cluster="u")
    found = estimate(people, by_cluster, "group_time")
    assert found.diagnostics["adoption"] == "staggered" and abs(found.estimate - truth(data)) < 4 * found.standard_error
    assert any(w.code == "repeated_sections" for w in found.warnings)
    by_start = estimate(people, Spec("did", ("first",), ("y",), time="t", cluster="u"), "group_time")
    assert by_start.estimate == pytest.approx(found.estimate) and by_start.interval == pytest.approx(found.interval)
    assert estimate(people, by_cluster).method == "imputation"
    as_units = estimate(people, SPEC, "group_time")  # most units have several rows in a period: places, not people
    assert as_units.estimate == pytest.approx(found.estimate)


def test_what_is_left_out_is_said():
    data = panel()
    alone = {k: np.append(v, v[0]) for k, v in data.items()}
    alone["u"][-1] = 999
    assert any(w.code == "singletons" for w in estimate(alone, SPEC, "twfe").warnings)
    always = panel(starts=(1, 3, 5, 99))
    codes = {m: {w.code for w in estimate(always, SPEC, m).warnings} for m in ("imputation", "group_time")}
    assert "rows_not_imputed" in codes["imputation"] and "always_treated" in codes["group_time"]


def test_switching_and_doses_go_to_two_way_regression():
    data = panel()
    data["d"] = np.where(data["t"] == 6, 0, data["d"])
    found = estimate(data, SPEC)
    assert found.method == "twfe" and found.diagnostics["adoption"] == "switching"
    for method in ("group_time", "imputation"):
        assert estimate(data, SPEC, method).code == "treatment_switches"
    dose = estimate(data | {"d": data["d"] * 1.5 + data["t"] * 0.01 * data["u"]}, SPEC)
    assert isinstance(dose, Effect) and dose.diagnostics["adoption"] == "dose"


@pytest.mark.parametrize(("change", "spec", "code"), [
    ({"d": "ever"}, SPEC, "start_unknown"),
    ({"d": "post"}, SPEC, "no_untreated"),
    ({"t": "one"}, SPEC, "one_period"),
    ({"d": "post", "t": "post"}, SPEC.replace(unit=None), "groups_unknown"),
    ({"d": "words"}, SPEC, "several_arms"),
    ({"d": "from_the_start"}, SPEC, "start_unknown"),
    ({}, SPEC.replace(quantity="ATC"), "quantity_not_available"),
    ({"d": "date", "t": "year"}, SPEC, "nothing_changes"),
    ({}, SPEC.replace(unit=None), "start_unknown"),
    ({"d": "never"}, SPEC, "treatment_constant"),
])
def test_refusals(change, spec, code):
    data = panel()
    made = data | {"post": (data["t"] >= 3).astype(int), "one": np.ones(len(data["t"])),
                   "words": np.array(["a", "b", "c"])[data["u"] % 3], "from_the_start": data["ever"],
                   "never": np.zeros(len(data["t"])), "year": 2000 + data["t"],
                   "date": np.where(data["start"] == 3, 2001, 0)}
    found = estimate(data | {k: made[v] for k, v in change.items()}, spec)
    assert isinstance(found, Refused) and found.code == code, found


@pytest.mark.parametrize("method", ["auto", "twfe", *STAGGERED])
@pytest.mark.parametrize("planted", ["everywhere at once", "all from the start", "nobody"])
def test_without_an_untreated_group_there_is_no_answer(method, planted):
    """Nobody shows what would have happened: treatment starts everywhere at once, was always there, or never comes."""
    data = panel()
    data["d"] = {"everywhere at once": (data["t"] >= 3).astype(int), "all from the start": np.ones(len(data["t"])),
                 "nobody": np.zeros(len(data["t"]))}[planted]
    codes = {"everywhere at once": "no_untreated", "all from the start": "treatment_constant",
             "nobody": "treatment_constant"}
    found = estimate(data, SPEC, method)
    assert isinstance(found, Refused) and found.code == codes[planted], found
    # Where all end up treated, the last to start show it for the others until they do.
    later = panel(starts=(3, 5))
    assert isinstance(estimate(later, SPEC, method), Effect)


def test_refusals_of_the_methods():
    data = panel()
    twice = {k: np.append(v, v[0]) for k, v in data.items()}
    assert estimate(twice, SPEC, "group_time").code == "repeated_rows"
    with pytest.raises(WhenceError) as caught:
        estimate(data, SPEC.replace(time=None))
    assert caught.value.code == "missing_role"
    follows = data | {"z": data["d"] * 1.0 + 1e-3 * data["u"]}
    assert estimate(follows, SPEC.replace(controls=("z",)), "twfe").code == "treatment_determined"


@pytest.mark.parametrize(("method", "change", "code"), [
    ("switchers", "dose", "dose"), ("stacked", "off", "treatment_switches"),
    ("sun_abraham", "off", "treatment_switches"), ("local_projection", "dose", "treatment_switches"),
    ("stacked", "twice", "repeated_rows"), ("sun_abraham", "no_unit", "no_unit"),
    ("switchers", "no_unit", "groups_unknown"),
    ("switchers", "mixed", "mixed_status"), ("stacked", "long", "no_comparison"),
    ("switchers", "together", "no_untreated")])
def test_refusals_of_the_methods_for_staggered_starts(method, change, code):
    data, spec, params = panel(), SPEC, {}
    if change == "dose":
        data = data | {"d": data["d"] * (1.0 + data["u"] % 3)}
    elif change == "off":
        data = data | {"d": np.where(data["t"] == 6, 0, data["d"])}
    elif change == "twice":
        data = {k: np.append(v, v[0]) for k, v in data.items()}
    elif change == "no_unit":
        data, spec = data | {"d": np.where(data["start"] < 99, data["start"], 0)}, SPEC.replace(unit=None)
    elif change == "mixed":
        data = {k: np.concatenate([v, v[:200]]) for k, v in data.items()}
        data["d"] = np.append(data["d"][:-200], 1 - data["d"][-200:])
    elif change == "long":
        params = {"before": 4, "after": 4}
    elif change == "together":
        data = data | {"d": (data["t"] >= 3).astype(int)}
    found = estimate(data, spec, method, **params)
    assert isinstance(found, Refused) and found.code == code, found


def test_a_start_in_a_gap_is_said():
    data = panel()
    keep = ~((data["t"] == 2) & (data["start"] == 3) & (data["u"] == data["u"][data["start"] == 3][0]))
    assert any(w.code == "start_in_gap" for w in estimate({k: v[keep] for k, v in data.items()}, SPEC).warnings)


def test_order_of_rows_and_columns_does_not_matter():
    data = panel(7)
    shuffled = np.random.default_rng(0).permutation(len(data["u"]))
    again = {k: v[shuffled] for k, v in reversed(data.items())}
    for method in ("twfe", "switchers", *METHODS):
        a, b = estimate(data, SPEC, method), estimate(again, SPEC, method)
        assert a.interval == pytest.approx(b.interval, rel=1e-9)
