"""Refusals on data with which a user meets them, each violation planted; what method files' own tests leave out."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from whence import Refused, Spec, WhenceError, bounds, estimate, read

N = 300
RNG = np.random.default_rng(0)
X, Z, E = RNG.normal(size=(3, N))
T = (RNG.random(N) < 1 / (1 + np.exp(-X))).astype(int)
GIVEN = {"x": X, "z": Z, "t": T, "y": X + T + E}
SPEC = Spec("adjustment", ("t",), ("y",), controls=("x", "z"))
LINEAR = {"outcome_learner": "linear", "treatment_learner": "linear", "n_splits": 1}
HALVES = np.arange(N) < N // 2


def refused(given, code, spec=SPEC, method="auto", kinds=None, **params):
    answer = estimate(read(GIVEN | given, kinds={"t": "binary"} | (kinds or {})), spec, method, **params)
    assert isinstance(answer, Refused) and answer.code == code and answer.reason.endswith(".") and answer.remedy
    return answer


# The violations that every design can have, by name


def test_no_overlap():
    split = {"x": X + 8 * T}
    for method in ("aipw", "tmle"):
        assert refused(split, "no_overlap", method=method, **LINEAR).evidence
    refused(split, "separation", method="ipw")


def test_constant_treatment():
    for spec in (SPEC, SPEC.replace(strategy="rct"), SPEC.replace(strategy="iv", quantity="LATE", controls=("x",),
                                                                  instruments=("z",))):
        assert refused({"t": np.ones(N)}, "treatment_constant", spec).evidence["values"] == ["1"]


def test_a_control_after_the_treatment_known_from_the_graph():
    spec = SPEC.replace(graph="t --> z; z --> y; x --> t; x --> y")
    assert "z" in refused({}, "post_treatment_control", spec).reason


def test_a_weak_instrument():
    pushed = 0.03 * Z + X + E
    refused({"t": pushed, "y": pushed + E}, "weak_instrument", Spec("iv", ("t",), ("y",), instruments=("z",)),
            kinds={"t": "continuous"})


def test_an_irrelevant_instrument():
    spec = Spec("iv", ("t",), ("y",), "LATE", controls=("x",), instruments=("z",))
    for method in ("iv", "partially_linear_iv"):
        refused({}, "weak_instrument", spec, method, **(LINEAR if method != "iv" else {}))
    lot = {"z": np.random.default_rng(1).integers(0, 2, N)}
    refused(lot, "weak_instrument", spec, "late", kinds={"z": "binary"}, **LINEAR)


def test_too_few_clusters():
    whole = {"g": np.repeat([0, 1, 2], N // 3), "t": np.repeat([0, 1, 1], N // 3)}
    assert refused(whole, "too_few_clusters", SPEC.replace(cluster="g")).evidence["clusters_by_arm"] == {"0": 1, "1": 2}


def test_perfect_separation():
    """Of the treatment by a control, and of a yes-or-no outcome by a control and by the treatment."""
    level = np.where((T == 1) & (Z > 0), "seen", np.where(X > 0, "other", "more"))
    assert "x=seen" in refused({"x": level}, "separation", method="ipw").reason
    yes = {"y": (Z > 0).astype(int)}
    assert "z" in refused(yes, "separation", method="glm").reason
    assert "t = 1" in refused({"y": np.where(T == 1, 1, X > 0).astype(int)}, "separation", method="glm").reason


# The others, one by one


def test_models_that_do_not_converge():
    """Two controls differ on rows alone whose weights are next to nothing."""
    differ = np.where(np.arange(N) < 40, Z, X)
    for tiny, method in ((1e-20, "ipw"), (1e-30, "glm")):
        given = {"z": differ, "w": np.where(np.arange(N) < 40, tiny, 1.0), "y": (X + T + E > 0).astype(int)}
        refused(given, "no_convergence", SPEC.replace(weights="w"), method, degree=1)


def test_imputations_that_set_different_rows_aside():
    gone = {"x": np.where(RNG.random(N) < 0.3, np.nan, 2.0 * X)}
    refused(gone, "rows_differ", SPEC.replace(missing_controls="impute"), "ipw", trim=0.2, degree=1)


def test_a_role_that_the_method_does_not_read():
    found = refused({"seen": HALVES.astype(int)}, "role_not_used", SPEC.replace(event="seen"), "aipw")
    assert found.evidence["roles"] == ["event"]


def test_balance_that_hangs_on_a_handful():
    """The treated lie where few untreated are: weights exist, but those few carry all."""
    rng = np.random.default_rng(3)
    t = np.repeat([0, 1], [240, 60])
    x = np.where(t == 1, rng.normal(2.6, 0.1, N), rng.normal(0, 1, N))
    refused({"t": t, "x": x, "y": x + t}, "no_overlap", SPEC.replace(quantity="ATT", controls=("x",)),
            "entropy_balancing", moments="means")


def test_controls_that_decide_the_treatment_behind_the_front_door():
    """One level of a control has treated rows alone, too few to spoil the mediator's overlap."""
    spec = Spec("frontdoor", ("t",), ("y",), controls=("x",), mediators=("m",))
    level = np.where((T == 1) & (np.arange(N) < 40), "seen", np.where(Z > 0, "a", "b"))
    refused({"m": 0.3 * T + E, "x": level}, "separation", spec, "frontdoor")


def test_a_treatment_that_is_a_sum_of_controls():
    spec = Spec("iv", ("t",), ("y",), controls=("x", "z"), instruments=("i",))
    refused({"t": X + 2 * Z, "i": E}, "treatment_is_control", spec, kinds={"t": "continuous"})


def test_clusters_that_each_decide_a_coefficient():
    """Four clusters, each given its treatment and two controls as a whole."""
    by = np.repeat([0, 1, 2, 3], N // 4)
    given = {"g": by, "t": by % 2, "x": np.array([0.3, 1.2, 2.9, 4.0])[by], "z": np.array([1.0, 0.2, 0.1, 0.7])[by]}
    refused(given, "too_few_clusters", SPEC.replace(cluster="g"), "regression", degree=1, interactions=False,
            covariance="CR2")


def test_an_instrument_given_to_one_cluster():
    """Clusters of both treatments, but those with the instrument are one."""
    given = {"g": np.arange(N) // 30, "i": (np.arange(N) < 30).astype(int), "t": (np.arange(N) % 3 > 0).astype(int)}
    spec = Spec("iv", ("t",), ("y",), "LATE", controls=("x",), instruments=("i",), cluster="g")
    refused(given, "too_few_clusters", spec, "late", kinds={"i": "binary"}, **LINEAR)


def test_outcomes_seen_in_one_cluster_of_an_arm():
    y = np.where((T == 1) & (np.arange(N) >= 60), np.nan, GIVEN["y"])
    given = {"g": np.arange(N) // 60, "y": y}
    refused(given, "too_few_clusters", SPEC.replace(cluster="g"), "missing_outcome", **LINEAR)


def test_an_arm_outside_the_contrast_without_outcomes():
    arm = np.array(["a", "b", "c"])[np.arange(N) % 3]
    y = np.where((arm == "c") & (np.arange(N) > 12), np.nan, GIVEN["y"])
    found = refused({"t": arm, "y": y}, "small_arm", method="missing_outcome", kinds={"t": "categorical"}, **LINEAR)
    assert "t = c" in found.reason


def test_learners_of_another_kind():
    from sklearn.linear_model import LinearRegression, LogisticRegression

    lot = read(GIVEN | {"i": HALVES.astype(int)}, kinds={"t": "binary", "i": "binary"})
    spec = Spec("iv", ("t",), ("y",), "LATE", controls=("x",), instruments=("i",))
    dose = SPEC.replace(treatments=("z",), controls=("x",))
    for table, asked, method, params in (
        (lot, dose, "dose_response", {"outcome_learner": LogisticRegression()}),
        (lot, spec, "late", {"treatment_learner": LinearRegression()}),
        (lot, SPEC, "aipw", {"treatment_learner": LinearRegression()}),
        (lot, SPEC, "aipw", {"outcome_learner": LogisticRegression()}),
        (lot, dose, "partially_linear", {"treatment_learner": LogisticRegression()}),
    ):
        with pytest.raises(WhenceError) as error:
            estimate(table, asked, method, **params)
        assert error.value.code == "bad_learner"


def test_effects_stripped_of_their_influence_values():
    effect = estimate(read(GIVEN, kinds={"t": "binary"}), SPEC, "regression")
    with pytest.raises(WhenceError) as error:
        effect - dataclasses.replace(effect, influence=None)
    assert error.value.code == "no_influence"


def test_errors_of_an_interval_of_another_kind():
    """Anderson and Rubin's interval of a weak instrument does not come from an error, so rows cannot be two-way."""
    rng = np.random.default_rng(5)
    hidden, i = rng.normal(size=(2, N))
    t = 0.2 * i + hidden + rng.normal(size=N)
    given = {"t": t, "i": i, "y": t + hidden, "g": np.arange(N) % 30, "h": np.arange(N) // 10}
    spec = Spec("iv", ("t",), ("y",), "LATE", controls=("x",), instruments=("i",), cluster="g")
    refused(given, "errors_not_available", spec, "partially_linear_iv", kinds={"t": "continuous"},
            covariance="two_way", also_cluster="h", **LINEAR)


def test_a_formula_with_too_many_cells():
    rng = np.random.default_rng(6)
    given = {name: rng.integers(0, 15, 3000) for name in "abcde"} | {"m": rng.integers(0, 2, 3000)}
    given |= {"t": rng.integers(0, 2, 3000), "y": rng.integers(0, 2, 3000)}
    graph = "; ".join(f"{c} --> t; {c} --> m; {c} --> y" for c in "abcde") + "; t --> m; m --> y; t <-> y"
    answer = estimate(read(given, kinds=dict.fromkeys("abcde", "categorical") | {"t": "binary", "m": "binary"}),
                      Spec("id", ("t",), ("y",), graph=graph))
    assert isinstance(answer, Refused) and answer.code == "too_many_cells" and answer.evidence["levels"]


def test_rows_of_a_period_have_no_errors_of_their_own():
    day = np.repeat(np.arange(60), 5)
    given = {"t": (day >= 40).astype(int), "day": day, "u": np.arange(N) % 5}
    spec = Spec("interrupted_series", ("t",), ("y",), time="day", unit="u")
    refused(given, "errors_not_available", spec, covariance="hac")


def test_an_effect_that_grows_is_not_one_that_stays_the_same():
    """A second unit grows twice as fast after the start, so that weights lean on it whatever steady effect is taken
    off, and the days after the start never look like those before."""
    rng = np.random.default_rng(7)
    days, start = 240, 228
    walk, grown = rng.normal(size=days).cumsum(), np.zeros(days)
    grown[start:] = np.linspace(0, 100, days - start)
    level = np.array([walk + grown, walk + 2 * grown, walk, *rng.normal(20, 5, size=(6, days))])
    level += 0.01 * rng.normal(size=level.shape)
    unit, time = np.meshgrid(np.arange(9), np.arange(days), indexing="ij")
    panel = {"u": unit.ravel(), "day": time.ravel(), "y": level.ravel(),
             "t": ((unit == 0) & (time >= start)).ravel().astype(int)}
    answer = estimate(panel, Spec("synthetic_control", ("t",), ("y",), unit="u", time="day"), errors="conformal")
    assert isinstance(answer, Refused) and answer.code == "no_interval" and "stays the same" in answer.reason


def test_a_running_variable_of_few_values():
    grade = np.array([1.0, 2.0, 3.0, 4.0])[np.arange(N) % 4]
    refused({"t": (grade >= 3).astype(int), "x": grade}, "too_few_values",
            Spec("rdd", ("t",), ("y",), running_variable="x", cutoff=3.0), interval="honest")


def test_bounds_of_other_quantities():
    table = read(GIVEN | {"k": HALVES.astype(int)}, kinds={"t": "binary", "k": "binary"})
    spec = SPEC.replace(controls=("k",), quantity="QTE")
    ball = bounds(table, spec.replace(quantity="ATT"), "propensity_ball", lowest=-9.0, highest=9.0)
    for answer in (bounds(table, spec), ball):
        assert isinstance(answer, Refused) and answer.code == "quantity_not_available" and answer.remedy


def panel(starts, periods, per=6):
    """Units that start at these periods, the same number of each; a start beyond the last period never comes."""
    rng = np.random.default_rng(11)
    start = np.repeat(np.array(starts), per)
    unit, time = np.meshgrid(np.arange(len(start)), np.arange(periods), indexing="ij")
    on = (time >= start[:, None]).astype(int)
    y = rng.normal(size=(len(start), 1)) + 0.3 * time + on + rng.normal(size=on.shape)
    return {"u": unit.ravel(), "day": time.ravel(), "t": on.ravel(), "y": y.ravel(), "group": np.repeat(start, periods)}


@pytest.mark.parametrize("method", ["imputation", "switchers"])
def test_a_start_while_all_others_are_treated(method):
    answer = estimate(panel((0, 3), 6), Spec("did", ("t",), ("y",), time="day", unit="u"), method)
    assert isinstance(answer, Refused) and answer.code == "no_comparison" and answer.remedy


def test_two_periods_without_units():
    data = panel((1, 9), 2)
    flag = (data["group"] < 9).astype(int)
    dose = flag * (1.5 + data["u"] % 3)
    spec = Spec("did", ("t",), ("y",), time="day")
    for given, asked, code in ((flag, spec.replace(strategy="synthetic_control"), "no_unit"),
                               (dose, spec, "groups_unknown")):
        answer = estimate(data | {"t": given}, asked)
        assert isinstance(answer, Refused) and answer.code == code and answer.remedy
