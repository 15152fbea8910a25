"""Mediation: known truths in experiments, with controls, several mediators, weights; levels; and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import whence
from whence.core.errors import WhenceError
from whence.core.result import Refused
from whence.data.load import read
from whence.estimation.effect import Effect
from whence.estimation.estimate import estimate
from whence.identification.spec import Contrast, Spec

SPEC = Spec("adjustment", ("x",), ("y",), quantity="NDE", mediators=("m",), controls=("c",))
LINEAR = {"outcome_learner": "linear", "treatment_learner": "linear", "n_splits": 1}
GRAPH = "c --> x; c --> m; c --> y; x --> m; x --> y; m --> y"


def drawn(n: int = 1500, seed: int = 0, levels: bool = False) -> dict[str, Any]:
    """NDE 0.5, NIE 0.56 and no interaction; levels: the mediator is cut into three."""
    rng = np.random.default_rng([seed, n])
    c = rng.normal(size=n)
    x = (rng.random(n) < 1 / (1 + np.exp(-0.7 * c))).astype(int)
    m = 0.8 * x + 0.5 * c + rng.normal(size=n)
    if levels:
        m = np.digitize(m, [-0.3, 0.9])
    return {"c": c, "x": x, "m": m, "y": 0.5 * x + 0.7 * m + c + rng.normal(size=n)}


def answered(columns: Any, spec: Spec = SPEC, **params: Any) -> Effect:
    effect = estimate(read(columns), spec, **(LINEAR | params))
    assert isinstance(effect, Effect), effect
    return effect


def refused(columns: Any, spec: Spec = SPEC, **params: Any) -> Refused:
    answer = estimate(read(columns), spec, **(LINEAR | params))
    assert isinstance(answer, Refused) and answer.remedy, answer
    return answer


def parts(effect: Effect) -> dict[str, float]:
    return {c.label: c.estimate for c in effect.comparisons}


@pytest.mark.parametrize("quantity, truth", [("NDE", 0.5), ("NIE", 0.56), ("TDE", 0.5), ("TIE", 0.56)])
def test_each_part_and_the_same_whole(quantity: Any, truth: float) -> None:
    effect = answered(drawn(3000), SPEC.replace(quantity=quantity))
    assert effect.quantity == quantity and effect.method == "mediation"
    assert abs(effect.estimate - truth) < 3 * effect.standard_error < 0.25
    assert set(parts(effect)) == {"natural direct effect", "natural indirect effect", "total direct effect",
                                  "total indirect effect", "total effect", "mediated interaction"}
    share = effect.diagnostics["proportion_mediated"]
    assert share["interval"][0] < 0.56 / 1.06 < share["interval"][1]


def test_several_mediators_are_one_block() -> None:
    """Two mediators that affect each other: through both together 0.8 + 0.3 + 0.5 * 0.8 * 0.6."""
    rng = np.random.default_rng(4)
    n = 3000
    x = (rng.random(n) < 0.5).astype(int)
    one = 0.8 * x + rng.normal(size=n)
    two = 0.6 * one + 0.3 * x + rng.normal(size=n)
    y = x + one + 0.5 * two + rng.normal(size=n)
    spec = Spec("rct", ("x",), ("y",), quantity="NIE", mediators=("one", "two"))
    effect = answered({"x": x, "one": one, "two": two, "y": y}, spec)
    assert abs(effect.estimate - (0.8 + 0.5 * (0.3 + 0.6 * 0.8))) < 3 * effect.standard_error < 0.3
    assert any("not even in an experiment" in said for said in effect.assumptions)


def test_levels_of_a_category() -> None:
    columns = drawn(2500, 3, levels=True)
    table = read(columns, kinds={"m": "categorical"})
    spec = SPEC.replace(quantity="CDE")
    effect = estimate(table, spec, mediator_level="2", **LINEAR)
    assert isinstance(effect, Effect)
    assert [c.label for c in effect.comparisons] == [f"controlled direct effect, m = {k}" for k in (2, 0, 1)]
    assert all(abs(c.estimate - 0.5) < 4 * c.standard_error for c in effect.comparisons)
    chosen = estimate(table, spec, **LINEAR)
    assert isinstance(chosen, Effect) and [w.code for w in chosen.warnings] == ["level_chosen"]
    with pytest.raises(WhenceError, match="no value") as caught:
        estimate(table, spec, mediator_level="9", **LINEAR)
    assert caught.value.code == "bad_level"
    four = estimate(table, SPEC, mediator_level="1", **LINEAR)
    assert isinstance(four, Effect) and "reference interaction" in parts(four)


def test_levels_of_several_mediators() -> None:
    columns = drawn(2500, 3, levels=True) | {"k": np.random.default_rng(1).integers(0, 2, 2500)}
    spec = SPEC.replace(quantity="CDE", mediators=("m", "k"))
    effect = answered(columns, spec, mediator_level="m=1, k=0")
    assert effect.contrast == "x: controlled direct effect, k = 0 and m = 1" and not effect.comparisons
    with pytest.raises(WhenceError, match="one value for each mediator"):
        answered(columns, spec, mediator_level="m=1")


def test_clusters_weights_and_arms() -> None:
    columns = drawn(1200, 5) | {"g": np.arange(1200) // 4, "w": 0.5 + np.arange(1200) % 3}
    effect = answered(columns, SPEC.replace(cluster="g", weights="w"))
    assert effect.diagnostics["clusters"] == 300 and abs(effect.estimate - 0.5) < 4 * effect.standard_error
    words = np.array(["none", "low", "high"])
    rng = np.random.default_rng(0)
    columns["x"] = words[np.where(rng.random(1200) < 0.3, 2, columns["x"])]
    effect = answered(columns, SPEC.replace(contrast=Contrast("low", "none")))
    assert abs(effect.estimate - 0.5) < 4 * effect.standard_error


def test_rows_without_a_mediator_are_counted() -> None:
    columns = drawn(800)
    columns["m"] = np.where(np.arange(800) % 10 == 0, np.nan, columns["m"])
    effect = answered(columns)
    assert effect.n == 720 and effect.warnings[0].evidence["missing"] == {"m": 80}
    columns["c"] = np.where(np.arange(800) % 10 == 1, np.nan, columns["c"])
    assert answered(columns, SPEC.replace(strategy="rct")).n == 640  # chance decided no mediator, so no stand-ins


def test_total_near_zero_has_no_share() -> None:
    columns = drawn(1500)
    columns["y"] = columns["y"] - 1.06 * columns["x"]
    effect = answered(columns)
    assert effect.diagnostics["proportion_mediated"]["interval"] is None
    assert any(w.code == "proportion_unbounded" for w in effect.warnings)
    columns["y"] = columns["y"] + 0.4 * columns["x"]
    assert any(w.code == "parts_oppose" for w in answered(columns | {"y": columns["y"]}).warnings)


def test_refusals() -> None:
    columns = drawn(600)
    told_apart = columns | {"m": columns["x"] + 0.01 * columns["m"]}
    found = refused(told_apart)
    assert found.code == "positivity" and found.evidence["share_without_counterpart"] > 0.9
    assert refused(columns | {"m": np.full(600, 2.0)}).code == "mediator_constant"
    apart = columns | {"c": columns["c"] + 9 * columns["x"]}
    assert refused(apart).code == "no_overlap"
    assert refused(columns, SPEC.replace(quantity="CDE"), mediator_level=str(columns["m"][0])).code \
        == "mediator_level_rare"
    assert refused(columns | {"x": columns["c"] + 1.0, "c": columns["m"] ** 2}).code == "quantity_not_available"
    few = {k: v[:30] for k, v in columns.items()} | {"x": (np.arange(30) < 5).astype(int)}
    assert refused(few).code == "small_arm"
    with pytest.raises(WhenceError, match="needs its mediators"):
        estimate(read(columns), SPEC.replace(mediators=()))
    with pytest.raises(WhenceError, match="as control and as mediator"):
        SPEC.replace(mediators=("c",))
    assert refused(columns, SPEC.replace(strategy="did", controls=())).code == "quantity_not_available"


def test_rare_value_leaves_the_four_way_out() -> None:
    columns = drawn(1000)
    columns["m"] = (np.arange(1000) % 250 > 0).astype(int)  # no is rare
    effect = estimate(read(columns), SPEC, **LINEAR)
    assert isinstance(effect, Refused) or any(w.code == "no_four_way" for w in effect.warnings)


def test_a_graph_decides() -> None:
    columns = drawn(800) | {"l": np.random.default_rng(3).normal(size=800)}
    right = answered(columns, SPEC.replace(graph=GRAPH))
    assert right.estimate == answered(columns).estimate
    found = refused(columns, SPEC.replace(graph=GRAPH, controls=()))
    assert found.code == "wrong_controls" and found.evidence["adjustment"] == ["c"]
    after = GRAPH + "; x --> l; l --> m; l --> y"
    assert refused(columns, SPEC.replace(graph=after)).code == "not_identified"
    cde = SPEC.replace(graph=after, quantity="CDE", controls=("c", "l"))
    assert refused(columns, cde).code == "post_treatment_control"


def test_an_identified_part_is_estimated() -> None:
    columns = drawn(800)
    found = whence.identify(whence.graph(GRAPH), "x", "y", mediators="m", quantity="NIE")
    effect = estimate(read(columns), found, **LINEAR)
    assert isinstance(effect, Effect) and effect.spec.controls == ("c",) and effect.quantity == "NIE"
    # Identified, but by another formula: the mediator and the outcome have different causes in common with x.
    zero = whence.identify(whence.graph("c --> x; c --> y; x --> y; m --> y"), "x", "y", mediators="m", quantity="NIE")
    answer = estimate(read(columns), zero)
    assert isinstance(answer, Refused) and answer.code == "nothing_to_estimate"
    nested = whence.identify(whence.graph("x --> l; l --> m; m --> y; l --> y; x --> m; l <-> x"), "x", "y",
                             mediators=("m",), quantity="CDE")
    answer = estimate(read(columns | {"l": columns["c"]}), nested)
    assert answer.code in ("no_estimator", "nothing_to_estimate", "not_identified")


def coverage(sets: int, n: int, hard: bool) -> tuple[np.ndarray, np.ndarray]:
    """Shares of intervals that hold the truth, and errors over spread, of NDE, NIE, CDE and reference interaction."""
    truth = _truth(hard)
    labels = list(truth)
    inside, found, errors = [], [], []
    for seed in range(sets):
        columns = _interacting(np.random.default_rng([seed, n]), n, hard)
        learner = "quadratic" if hard else "linear"
        effect = answered(columns, SPEC.replace(controls=("c", "k")), outcome_learner=learner,
                          treatment_learner=learner)
        by = {c.label: c for c in effect.comparisons}
        inside.append([by[k].interval[0] <= truth[k] <= by[k].interval[1] for k in labels])
        found.append([by[k].estimate for k in labels])
        errors.append([by[k].standard_error for k in labels])
    return np.mean(inside, axis=0), np.mean(errors, axis=0) / np.std(found, axis=0)


def _chance(x: Any, c: Any, k: Any, hard: bool) -> Any:
    return 1 / (1 + np.exp(-(-0.4 + 0.9 * x + 0.5 * c - 0.5 * k + 0.3 * hard * c * c)))


def _interacting(rng: np.random.Generator, n: int, hard: bool) -> dict[str, np.ndarray]:
    c, k = rng.normal(size=n), rng.integers(0, 2, n)
    push = (1.2 if hard else 0.6) * c + 0.5 * k + (0.4 * c * c - 0.4 if hard else 0)
    x = (rng.random(n) < 1 / (1 + np.exp(-push))).astype(int)
    m = (rng.random(n) < _chance(x, c, k, hard)).astype(int)
    noise = rng.normal(size=n) * (1 + 0.5 * hard * m)
    return {"c": c, "k": k, "x": x, "m": m, "y": 0.5 * x + m + 0.8 * x * m + c + (c * c if hard else 0) + k + noise}


def _truth(hard: bool) -> dict[str, float]:
    """By integration over c on a fine grid: y is linear in m given the rest."""
    c = np.linspace(-8, 8, 4001)
    density = np.exp(-c * c / 2) / np.exp(-c * c / 2).sum()
    chance = [sum(0.5 * density @ _chance(x, c, k, hard) for k in (0, 1)) for x in (0, 1)]
    return {"natural direct effect": 0.5 + 0.8 * chance[0], "natural indirect effect": chance[1] - chance[0],
            "controlled direct effect, m = 0": 0.5, "reference interaction": 0.8 * chance[0]}


def test_coverage_in_forty_sets() -> None:
    inside, _ = coverage(40, 800, False)
    assert inside.min() >= 0.84  # 95 % less three Monte Carlo errors


@pytest.mark.slow
@pytest.mark.parametrize("hard", [False, True])
def test_coverage_of_300_sets(hard: bool) -> None:
    inside, ratio = coverage(300, 2000, hard)
    assert ((inside >= 0.915) & (inside <= 0.985)).all(), (inside, ratio)
    assert (np.abs(ratio - 1) < 0.15).all(), (inside, ratio)
