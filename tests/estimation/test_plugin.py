"""The plug-in estimate: the formula on the data, its error, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.core.result import Refused
from whence.data.load import read
from whence.data.table import Table
from whence.estimation.effect import Effect
from whence.estimation.estimate import estimate
from whence.identification.identify import Identified, identify
from whence.identification.spec import Contrast, Spec

NAPKIN = "w --> r; r --> x; x --> y; w <-> x; w <-> y"
COVARIATES = "x --> m; m --> y; x <-> y; w --> x; w --> m; w --> y"
SIX = "w --> r; z --> r; r --> x; x --> m; z --> m; m --> y; z --> y; w <-> x; w <-> y"


def coin(rng: np.random.Generator, p: Any) -> np.ndarray:
    return (rng.random(len(p)) < p).astype(int)


def napkin(rng: np.random.Generator, n: int) -> tuple[dict[str, np.ndarray], float]:
    u, v = rng.random((2, n)) < 0.5
    w = coin(rng, 0.2 + 0.3 * u + 0.3 * v)
    r = coin(rng, 0.3 + 0.4 * w)
    x = coin(rng, 0.1 + 0.4 * r + 0.4 * u)
    return {"w": w, "r": r, "x": x, "y": 0.3 * x + 0.4 * v + rng.normal(size=n)}, 0.3


def covariates(rng: np.random.Generator, n: int) -> tuple[dict[str, np.ndarray], float]:
    w, u = rng.integers(0, 3, n), rng.random(n) < 0.5
    x = coin(rng, 0.2 + 0.1 * w + 0.4 * u)
    m = coin(rng, 0.15 + 0.5 * x + 0.1 * w - 0.1 * x * w)
    y = 2 * m * (1 + 0.3 * w) + w + 2 * u + rng.normal(size=n)
    return {"w": w, "x": x, "m": m, "y": y}, float(np.mean([(0.5 - 0.1 * k) * 2 * (1 + 0.3 * k) for k in range(3)]))


def six(rng: np.random.Generator, n: int) -> tuple[dict[str, np.ndarray], float]:
    u, v = rng.random((2, n)) < 0.5
    z = coin(rng, np.full(n, 0.4))
    w = coin(rng, 0.2 + 0.3 * u + 0.3 * v)
    r = coin(rng, 0.3 + 0.3 * w + 0.1 * z)
    x = coin(rng, 0.1 + 0.4 * r + 0.4 * u)
    m = coin(rng, 0.2 + 0.4 * x + 0.2 * z)
    return {"z": z, "w": w, "r": r, "x": x, "m": m, "y": coin(rng, 0.1 + 0.3 * m + 0.3 * v + 0.2 * z)}, 0.12


CASES: dict[str, tuple[str, Callable[..., tuple[dict[str, np.ndarray], float]]]] = {
    "napkin": (NAPKIN, napkin), "covariates": (COVARIATES, covariates), "six": (SIX, six)}
every_case = pytest.mark.parametrize("case", CASES)


def found(text: str) -> Identified:
    answer = identify(text, "x", "y")
    assert isinstance(answer, Identified) and answer.strategy == "id"
    return answer


def table_of(columns: dict[str, np.ndarray]) -> Table:
    return read(columns, kinds={n: "categorical" for n, v in columns.items() if n != "y" and len(np.unique(v)) > 2})


@every_case
def test_equals_the_formula_on_the_distribution_of_the_data(case: str) -> None:
    text, draw = CASES[case]
    columns, _ = draw(np.random.default_rng(1), 4000)
    columns["y"] = (columns["y"] > 0.5).astype(int)
    identified = found(text)
    names = sorted(columns)
    joint = np.histogramdd(np.column_stack([columns[n] for n in names]),
                           [np.arange(columns[n].max() + 2) - 0.5 for n in names])[0]
    effect = estimate(table_of(columns), identified)
    assert isinstance(effect, Effect) and effect.method == "plugin" and effect.spec.strategy == "id"
    wanted = identified.distribution(joint, names, 1)[1] - identified.distribution(joint, names, 0)[1]
    assert effect.estimate == pytest.approx(wanted, abs=1e-10)
    assert abs(np.mean(effect.influence)) < 1e-12  # pyright: ignore
    assert effect.diagnostics["formula"] == identified.expression.text()


@every_case
def test_error_is_that_of_leaving_rows_out(case: str) -> None:
    text, draw = CASES[case]
    columns, _ = draw(np.random.default_rng(2), 400)
    spec = found(text).to_spec()
    whole = estimate(table_of(columns), spec)
    assert isinstance(whole, Effect) and whole.influence is not None
    for row in (0, 17, 399):
        left = estimate(table_of({n: np.delete(v, row) for n, v in columns.items()}), spec)
        assert isinstance(left, Effect)
        assert 399 * (whole.estimate - left.estimate) == pytest.approx(whole.influence[row], rel=0.15, abs=0.1)


@every_case
def test_coverage(case: str) -> None:
    """40 sets: 95 % less three Monte Carlo errors of 3.4 %."""
    assert coverage(case, 40, 5000 if case == "six" else 1500) >= 0.85


@pytest.mark.slow
@every_case
def test_coverage_in_many_sets(case: str) -> None:
    assert 0.93 <= coverage(case, 500, 6000 if case == "six" else 3000) <= 0.97


def coverage(case: str, sets: int, n: int) -> float:
    text, draw = CASES[case]
    spec, hits = found(text).to_spec(), 0
    for k in range(sets):
        columns, truth = draw(np.random.default_rng([9, k]), n)
        effect = estimate(table_of(columns), spec)
        assert isinstance(effect, Effect)
        hits += effect.interval[0] <= truth <= effect.interval[1]
    return hits / sets


def test_weights_are_copies_of_rows() -> None:
    columns, _ = covariates(np.random.default_rng(3), 1500)
    weight = np.random.default_rng(4).integers(1, 4, 1500)
    spec = found(COVARIATES).to_spec()
    weighted = estimate(table_of(columns | {"weight": weight}), spec.replace(weights="weight"))
    copied = estimate(table_of({n: np.repeat(v, weight) for n, v in columns.items()}), spec)
    assert isinstance(weighted, Effect) and isinstance(copied, Effect)
    assert weighted.estimate == pytest.approx(copied.estimate, abs=1e-12)
    assert weighted.standard_error > copied.standard_error


def test_clusters_of_copies_have_the_error_of_single_rows() -> None:
    columns, _ = napkin(np.random.default_rng(5), 1000)
    spec = found(NAPKIN).to_spec()
    twice = {n: np.repeat(v, 2) for n, v in columns.items()} | {"c": np.repeat(np.arange(1000), 2)}
    single, clustered = estimate(table_of(columns), spec), estimate(read(twice), spec.replace(cluster="c"))
    assert isinstance(single, Effect) and isinstance(clustered, Effect)
    assert clustered.standard_error == pytest.approx(single.standard_error, rel=1e-3)
    assert clustered.df == 999


def test_several_arms_and_a_chosen_contrast() -> None:
    rng = np.random.default_rng(6)
    columns, _ = covariates(rng, 3000)
    columns["x"] = columns["x"] + (rng.random(3000) < 0.3)
    spec = found(COVARIATES).to_spec()
    every = estimate(table_of(columns), spec)
    one = estimate(table_of(columns), spec.replace(contrast=Contrast(2, 1)))
    assert isinstance(every, Effect) and isinstance(one, Effect) and len(every.comparisons) == 2
    assert one.estimate == pytest.approx(every.comparisons[1].estimate - every.comparisons[0].estimate, abs=1e-12)
    assert set(every.diagnostics["arms"]) == {"0", "1", "2"}


def test_the_plan_can_be_replayed_from_json() -> None:
    columns, _ = napkin(np.random.default_rng(7), 800)
    identified = found(NAPKIN)
    spec = identified.to_spec(cluster=None)
    assert Spec.from_json(spec.to_json()) == spec and Spec.from_json(spec.to_json()).hash == spec.hash
    assert spec.columns == ("x", "y", "r", "w") and spec.graph is not None
    a, b = estimate(table_of(columns), identified), estimate(table_of(columns), spec.to_dict())
    bare = estimate(table_of(columns), Spec("id", ("x",), ("y",), graph=NAPKIN))
    assert isinstance(a, Effect) and isinstance(b, Effect) and isinstance(bare, Effect)
    assert a.estimate == b.estimate == bare.estimate and bare.spec.formula_columns == ("r", "w")


def test_any_identified_effect_can_be_asked_for_by_its_formula() -> None:
    rng = np.random.default_rng(8)
    z = coin(rng, np.full(2000, 0.5))
    x = coin(rng, 0.3 + 0.4 * z)
    y = x + z + rng.normal(size=2000)
    plug = estimate(read({"x": x, "y": y, "z": z}), Spec("id", ("x",), ("y",), graph="z --> x; z --> y; x --> y"))
    assert isinstance(plug, Effect)
    parts = [[y[(x == a) & (z == b)].mean() for b in (0, 1)] for a in (0, 1)]
    by_hand = sum((parts[1][b] - parts[0][b]) * (z == b).mean() for b in (0, 1))
    assert plug.estimate == pytest.approx(by_hand, abs=1e-12)


def test_missing_rows_are_counted() -> None:
    columns, _ = napkin(np.random.default_rng(9), 800)
    columns["w"] = np.where(np.arange(800) < 30, np.nan, columns["w"])
    effect = estimate(read(columns, kinds={"w": "binary"}), found(NAPKIN))
    assert isinstance(effect, Effect) and effect.n == 770
    assert [w.evidence["missing"] for w in effect.warnings if w.code == "rows_dropped"] == [{"w": 30}]


# Refusals


def refused(columns: dict[str, Any], spec: Any, **kinds: str) -> Refused:
    answer = estimate(read(columns, kinds=kinds), spec)
    assert isinstance(answer, Refused), answer
    assert answer.reason.endswith(".") and answer.remedy.endswith(".")
    return answer


def test_a_combination_that_lacks_is_named() -> None:
    columns, _ = covariates(np.random.default_rng(10), 800)
    keep = ~((columns["w"] == 2) & (columns["m"] == 1) & (columns["x"] == 0))
    answer = refused({n: v[keep] for n, v in columns.items()}, found(COVARIATES), w="categorical")
    assert answer.code == "positivity" and answer.evidence["lacking"] == ["m = 1, w = 2, x = 0"]
    assert "m = 1, w = 2, x = 0" in answer.reason


def test_thin_tables() -> None:
    rng = np.random.default_rng(11)
    columns, _ = covariates(rng, 600)
    few = columns | {"w": np.where(np.arange(600) < 24, 3, columns["w"])}
    effect = estimate(table_of(few), found(COVARIATES))
    assert isinstance(effect, (Effect, Refused))
    if isinstance(effect, Effect):
        assert [w.code for w in effect.warnings if w.code == "thin_cells"]
    many = {n: v[:120] for n, v in columns.items()} | {"w": np.repeat(np.arange(12), 10)}
    many["x"] = np.tile([0, 1], 60)
    many["m"] = np.tile([0, 0, 1, 1], 30)
    assert refused(many, found(COVARIATES), w="categorical", m="binary").code == "thin_cells"


def test_numbers_where_levels_are_needed() -> None:
    columns, _ = covariates(np.random.default_rng(12), 400)
    answer = refused(columns | {"w": np.random.default_rng(1).normal(size=400)}, found(COVARIATES))
    assert answer.code == "too_many_levels" and answer.evidence["column"] == "w" and "Cut w" in answer.remedy
    dose = refused(columns | {"x": np.random.default_rng(1).normal(size=400)}, found(COVARIATES), w="categorical")
    assert dose.code == "continuous_treatment"


def test_what_a_formula_cannot_give() -> None:
    columns, _ = napkin(np.random.default_rng(13), 200)
    spec = found(NAPKIN).to_spec()
    assert refused(columns, spec.replace(quantity="ATT")).code == "quantity_not_available"
    assert refused(columns, spec.replace(graph="x --> y; x <-> y")).code == "not_identified"
    assert refused(columns, spec.replace(graph="y --> x; w --> y")).code == "no_causal_path"
    other = estimate(read(columns), spec, "regression")
    assert isinstance(other, Refused) and other.code == "other_design"
    other = estimate(read(columns), Spec("adjustment", ("x",), ("y",)), "plugin")
    assert isinstance(other, Refused) and other.code == "other_design"
    with pytest.raises(WhenceError) as error:
        estimate(read(columns), spec.replace(graph=None))
    assert error.value.code == "missing_role"
    with pytest.raises(WhenceError) as error:
        estimate(read({n: v for n, v in columns.items() if n != "w"}), spec)
    assert error.value.code == "unknown_column"
    within = identify("x --> m; m --> y; x <-> y; v --> y", "x", "y", given="v")
    conditional = estimate(read(columns | {"m": columns["w"], "v": columns["r"]}), within)
    assert isinstance(conditional, Refused) and conditional.code == "quantity_not_available"
