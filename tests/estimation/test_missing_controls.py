"""Missing controls: rows kept or left out as asked, counted, with what that takes for granted; truth, coverage."""

from __future__ import annotations

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.core.result import Refused
from whence.data.table import Column
from whence.estimation.estimate import estimate
from whence.identification.spec import Spec

RCT = Spec("rct", ("t",), ("y",), controls=("x", "k"))
DROPPED = RCT.replace(missing_controls="drop")
ADJUSTED = Spec("adjustment", ("t",), ("y",), controls=("x", "k"), missing_controls="indicator")


def drawn(n, seed, recorded=True):
    """Effect 1 + u / 2, u hidden. x is missing mostly where u is high; treatment by lot (``recorded`` is None), or by
    what was recorded of x, or by x itself. k: three levels, a tenth of them missing by chance."""
    rng = np.random.default_rng([seed, n])
    x, u, noise = rng.standard_normal((3, n))
    k = rng.integers(3, size=n)
    gone = rng.random(n) < np.where(u > 0.5, 0.7, 0.1)
    if recorded is None:
        t = rng.permutation(n) < 0.4 * n
    else:
        seen = np.where(gone, 0.7, x) if recorded else x
        t = rng.random(n) < 1 / (1 + np.exp(-0.9 * seen))
    y = 1 + t * (1 + 0.5 * u) + x + 0.5 * k + 0.8 * noise + 0.5 * u
    level = np.array(["a", "b", "c"], dtype=object)[k]
    level[rng.random(n) < 0.1] = None
    return {"t": t.astype(int), "y": y, "x": np.where(gone, np.nan, x), "k": level}


def read(make_table, columns, **kinds):
    """k as codes of the levels, -1 where missing."""
    levels = ("a", "b", "c")
    k = np.array([-1 if v is None else levels.index(v) for v in columns["k"]], dtype=np.int32)
    table = make_table({name: v for name, v in columns.items() if name != "k"}, t="binary", **kinds)
    return table.replace(Column("k", "categorical", k, levels))


def codes(effect):
    return {w.code for w in effect.warnings}


def test_an_experiment_keeps_every_row_and_says_so(make_table):
    table = read(make_table, drawn(400, 0, None))
    effect = estimate(table, RCT)
    gaps = {name: int(table.column(name).missing.sum()) for name in ("x", "k")}
    said = next(w for w in effect.warnings if w.code == "controls_filled")
    assert effect.n == 400 and "rows_dropped" not in codes(effect)
    assert said.evidence["missing"] == gaps and said.evidence["used"] == 400
    assert said.evidence["rows"] == int((table.column("x").missing | table.column("k").missing).sum())
    assert any("settled before the treatment" in a for a in effect.assumptions)
    assert {"x missing", "k missing"} <= set(effect.diagnostics["controls"])


def test_elsewhere_rows_are_left_out_unless_asked_for(make_table):
    table = read(make_table, drawn(400, 1))
    left = estimate(table, ADJUSTED.replace(missing_controls=None), "regression")
    kept = estimate(table, ADJUSTED, "regression")
    assert left.n == int(table.complete(["x", "k"]).sum()) and "rows_dropped" in codes(left)
    assert any("Whether a control is missing does not depend on the outcome" in a for a in left.assumptions)
    assert kept.n == 400 and any("has nothing to do with who was treated" in a for a in kept.assumptions)
    assert estimate(table, DROPPED).n == left.n


def test_without_gaps_nothing_changes_and_nothing_is_said(make_table):
    columns = drawn(300, 2)
    columns |= {"x": np.nan_to_num(columns["x"]), "k": np.where([v is None for v in columns["k"]], "a", columns["k"])}
    table = read(make_table, columns)
    plain, asked = (estimate(table, ADJUSTED.replace(missing_controls=m), "ipw") for m in (None, "indicator"))
    assert plain.estimate == asked.estimate and plain.standard_error == asked.standard_error
    assert codes(asked) == codes(plain) and asked.assumptions == plain.assumptions


def test_the_value_filled_in_does_not_matter(make_table):
    """With an indicator every constant gives the same regression (Zhao and Ding 2022, section 4)."""
    columns = drawn(300, 3, None)
    gone = np.isnan(columns["x"])
    by_hand = columns | {"x": np.where(gone, 17.0, columns["x"]), "gone": gone.astype(float)}
    both = (("t",), ("y",))
    ours = estimate(read(make_table, columns), Spec("rct", *both, controls=("x",)), "regression")
    theirs = estimate(read(make_table, by_hand), Spec("rct", *both, controls=("x", "gone")), "regression")
    assert ours.estimate == pytest.approx(theirs.estimate, rel=1e-10)
    assert ours.standard_error == pytest.approx(theirs.standard_error, rel=1e-10)


@pytest.mark.parametrize(("method", "params"), [
    ("aipw", {"outcome_learner": "linear", "treatment_learner": "linear"}),
    ("tmle", {"outcome_learner": "linear", "treatment_learner": "linear"}),
    ("ipw", {}), ("entropy_balancing", {}), ("matching", {}), ("regression", {}),
    ("partially_linear", {"outcome_learner": "linear", "treatment_learner": "linear"}),
])
def test_every_method_of_adjustment_takes_them(make_table, method, params):
    """Truth within four errors, where what was recorded decided the treatment."""
    effect = estimate(read(make_table, drawn(4000, 4)), ADJUSTED, method, **params)
    assert effect.n == 4000 and abs(effect.estimate - 1) < 4 * effect.standard_error


def test_quantiles_doses_missing_outcomes_and_instruments(make_table):
    columns = drawn(1500, 5)
    table = read(make_table, columns)
    assert estimate(table, ADJUSTED.replace(quantity="QTE")).n == 1500
    columns["y"] = np.where(np.arange(1500) % 7 == 0, np.nan, columns["y"])
    found = estimate(read(make_table, columns), ADJUSTED, "missing_outcome", outcome_learner="linear",
                     treatment_learner="linear", n_splits=1)
    assert found.n == 1500 and codes(found) >= {"controls_filled", "outcomes_missing"}
    said = [w for w in found.warnings if w.code == "controls_filled"]
    assert len(said) == 1 and said[0].evidence["used"] == 1500
    columns |= {"z": columns["t"] ^ (np.random.default_rng(0).random(1500) < 0.2), "y": drawn(1500, 5)["y"]}
    by = Spec("iv", ("t",), ("y",), controls=("x",), instruments=("z",), missing_controls="indicator")
    found = estimate(read(make_table, columns, z="binary"), by)
    assert found.n == 1500 and any("nothing to do with the instruments" in a for a in found.assumptions)


def test_experiments_in_blocks_and_by_permutation(make_table):
    columns = drawn(400, 10, None) | {"s": np.arange(400) % 4}
    table = read(make_table, columns, s="categorical")
    for method, params in (("stratified", {}), ("randomisation", {"draws": 200})):
        effect = estimate(table, RCT.replace(strata=("s",)), method, **params)
        assert effect.n == 400 and abs(effect.estimate - 1) < 0.6


def test_other_designs_refuse(make_table):
    columns = drawn(200, 6) | {"m": np.arange(200.0)}
    asked = Spec("frontdoor", ("t",), ("y",), mediators=("m",), controls=("x",), missing_controls="indicator")
    found = estimate(read(make_table, columns), asked)
    assert isinstance(found, Refused) and found.code == "missing_controls_not_available" and found.remedy


def test_missing_in_one_arm_alone_is_the_treatment_by_another_name(make_table):
    columns = drawn(200, 7, None)
    columns["x"] = np.where(columns["t"] == 1, 0.5 + np.arange(200), np.nan)
    found = estimate(read(make_table, columns), RCT)
    assert isinstance(found, Refused) and found.code == "control_is_treatment" and "x missing" in found.reason


def test_a_control_without_any_value_adds_nothing(make_table):
    columns = drawn(200, 8, None) | {"x": np.full(200, np.nan)}
    found = estimate(read(make_table, columns), RCT)
    assert found.n == 200
    assert "x" in next(w for w in found.warnings if w.code == "controls_dropped").evidence["dropped"]


def test_names_and_json():
    with pytest.raises(WhenceError) as error:
        RCT.replace(missing_controls="guess")
    assert error.value.code == "unknown_handling"
    assert Spec.from_json(DROPPED.to_json()) == DROPPED
    with pytest.raises(WhenceError):
        Spec.from_dict(DROPPED.to_dict() | {"missing_controls": "guess"})


def test_the_checks_see_the_same_rows(make_table):
    from whence.checks.run import check

    table = read(make_table, drawn(500, 9))
    effect = estimate(table, ADJUSTED, "aipw", outcome_learner="linear", treatment_learner="linear")
    found = {c.name: c for c in check(table, effect)}
    assert not [c for c in found.values() if "error" in c.numbers]
    assert any("x missing" in str(r["label"]) for r in found["balance"].figure["rows"])


def coverage(make_table, spec, n, recorded, method, sets=500, **params):
    found = [estimate(read(make_table, drawn(n, seed, recorded)), spec, method, seed, **params) for seed in range(sets)]
    return float(np.mean([e.interval[0] <= 1 <= e.interval[1] for e in found]))


def test_an_experiment_that_drops_rows_is_about_others(make_table):
    """Rows without a gap have lower effects here: the indicator covers the truth, leaving rows out does not."""
    assert 0.9 <= coverage(make_table, RCT, 400, None, "regression", 100) <= 0.99  # two errors of 100 sets are 4.4 %
    assert coverage(make_table, DROPPED, 900, None, "regression", 100) < 0.75


@pytest.mark.slow
@pytest.mark.parametrize(("spec", "n", "recorded", "method", "params"), [
    (RCT, 300, None, "regression", {}), (RCT, 80, None, "regression", {}),
    (ADJUSTED, 500, True, "regression", {}), (ADJUSTED, 1000, True, "ipw", {"degree": 1}),
    (ADJUSTED, 500, True, "aipw", {"outcome_learner": "linear", "treatment_learner": "linear", "n_splits": 1}),
], ids=["experiment-300", "experiment-80", "regression", "ipw", "aipw"])
def test_coverage(make_table, spec, n, recorded, method, params):
    assert 0.93 <= coverage(make_table, spec, n, recorded, method, **params) <= 0.97
