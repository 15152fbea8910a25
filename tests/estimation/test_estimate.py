"""The front door: what it accepts, what it chooses, what it refuses, what it records."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.core.registry import methods
from whence.core.result import Refused
from whence.estimation import choose
from whence.estimation.choose import STRATEGIES
from whence.estimation.effect import Effect
from whence.estimation.estimate import estimate
from whence.identification.spec import Contrast, Spec

METHODS = ("difference", "regression", "ipw", "aipw")


def test_the_cards_are_found():
    assert {*METHODS, "frontdoor", "plugin"} <= {card.name for card in methods("estimation")}


@pytest.mark.parametrize(("changes", "method"), [
    ({"strategy": "rct", "controls": ()}, "difference"), ({"strategy": "rct"}, "regression"),
    ({"strategy": "adjustment"}, "aipw"), ({"strategy": "adjustment", "controls": ()}, "difference"),
    ({"strategy": "adjustment", "treatments": ("x0",), "controls": ("x1",)}, "regression"),
])
def test_auto(sample, spec, changes, method):
    effect = estimate(sample(200, 1).table, spec(**changes), **({"n_splits": 1} if method == "aipw" else {}))
    assert isinstance(effect, Effect) and effect.method == method


def test_a_strategy_without_a_method_is_refused(sample, spec, monkeypatch):
    known = choose.methods("estimation")
    monkeypatch.setattr(choose, "methods", lambda task: [c for c in known if "interrupted_series" not in c.strategies])
    answer = estimate(sample(50, 1).table, spec("interrupted_series"))
    assert isinstance(answer, Refused) and answer.code == "no_estimator"
    assert answer.evidence == {"strategy": "interrupted_series", "available": list(STRATEGIES)}
    assert "'rct'" in answer.remedy and "'adjustment'" in answer.remedy


@pytest.mark.parametrize("quantity", ["LATE", "CATE"])
def test_other_quantities_are_refused(sample, spec, quantity):
    answer = estimate(sample(50, 1).table, spec(quantity=quantity))
    assert isinstance(answer, Refused) and answer.code == "quantity_not_available"


def test_att_of_a_dose_is_refused(sample, spec):
    answer = estimate(sample(50, 1).table, spec(treatments=("x0",), controls=(), quantity="ATT"))
    assert isinstance(answer, Refused) and answer.code == "quantity_not_available"


def test_spec_as_mapping_or_identification(sample, spec):
    @dataclass
    class Found:
        spec: Spec

        def to_spec(self):
            return self.spec

    table = sample(100, 1).table
    a = estimate(table, spec(), "regression")
    assert estimate(table, json.loads(spec().to_json()), "regression").estimate == a.estimate
    assert estimate(table, Found(spec()), "regression").estimate == a.estimate  # pyright: ignore
    with pytest.raises(WhenceError) as error:
        estimate(table, 3)  # pyright: ignore[reportArgumentType]
    assert error.value.code == "bad_spec"


def test_what_is_not_identified_is_refused(sample):
    @dataclass
    class NotFound:
        reason: str = "There is a hidden common cause."
        witness: tuple = ("t", "<->", "y")
        remedy: str = "Measure it."

    answer = estimate(sample(50, 1).table, NotFound())  # pyright: ignore[reportArgumentType]
    assert isinstance(answer, Refused) and answer.code == "not_identified" and answer.remedy == "Measure it."


def test_unknown_names(sample, spec):
    table = sample(50, 1).table
    for call, code in ((lambda: estimate(table, spec(), "regresion"), "unknown_method"),
                       (lambda: estimate(table, spec(controls=("z",))), "unknown_column"),
                       (lambda: estimate(table, spec(), "ipw", clip=0.1), "unknown_parameter")):
        with pytest.raises(WhenceError) as error:
            call()
        assert error.value.code == code


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("clusters", [None, 30])
def test_influence_values_reproduce_the_standard_error(sample, spec, quick, method, clusters):
    s = sample(300, 2, clusters=clusters)
    effect = estimate(s.table, spec(cluster="c" if clusters else None), method, **quick[method])
    sums = effect.influence if clusters is None else np.bincount(effect.clusters, weights=effect.influence)
    assert effect.standard_error == pytest.approx(np.sqrt(sums @ sums) / effect.n, rel=1e-12)
    assert len(effect.influence) == len(effect.rows) == effect.n
    # Mean zero up to the leverage correction of HC3.
    assert abs(effect.influence.mean()) < 0.02 * effect.influence.std()


@pytest.mark.parametrize("method", METHODS)
def test_json_and_provenance(sample, spec, quick, method):
    effect = estimate(sample(200, 3).table, spec(), method, 7, **quick[method])
    again = json.loads(json.dumps(effect.to_dict(), allow_nan=False))
    assert again["estimate"] == effect.estimate and again["provenance"]["seed"] == 7
    assert set(again["provenance"]["parameters"]) == {p.name for c in methods("estimation") if c.name == method
                                                      for p in c.parameters}
    assert again["provenance"]["spec"] == effect.spec.hash and "influence" not in again
    assert again["assumptions"] and again["provenance"]["citations"]
    assert (effect.propensity is not None) == (method in ("ipw", "aipw"))


@pytest.mark.parametrize("method", METHODS)
def test_level(sample, spec, quick, method):
    table = sample(200, 4).table
    wide = estimate(table, spec(), method, level=0.99, **quick[method])
    narrow = estimate(table, spec(), method, level=0.5, **quick[method])
    assert wide.interval[0] < narrow.interval[0] < narrow.estimate < narrow.interval[1] < wide.interval[1]
    assert wide.level == 0.99


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shift", [0.0, 1e9])
@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_units_do_not_matter(sample, spec, quick, make_table, method, shift, scale):
    s = sample(200, 5)
    plain = {"t": s.t, "y": s.y, "x0": s.x[:, 0], "x1": s.x[:, 1]}
    turned = {**plain, "y": s.y * scale, "x0": shift + s.x[:, 0] * 1e4}
    a, b = (estimate(make_table(c, t="binary"), spec(), method, **quick[method]) for c in (plain, turned))
    assert b.estimate == pytest.approx(a.estimate * scale, rel=1e-5)
    assert b.standard_error == pytest.approx(a.standard_error * scale, rel=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_renaming_the_arms_turns_the_sign(sample, spec, quick, make_table, method):
    s = sample(200, 6)
    columns = {"t": np.where(s.t == 1, "b", "a"), "y": s.y, "x0": s.x[:, 0], "x1": s.x[:, 1]}
    table = make_table(columns, t="binary")
    forth = estimate(table, spec(contrast=Contrast("b", "a")), method, **quick[method])
    back = estimate(table, spec(contrast=Contrast("a", "b")), method, **quick[method])
    assert forth.contrast == "t: b vs a" and back.contrast == "t: a vs b"
    if method != "aipw":  # its folds are dealt arm by arm
        assert forth.estimate == pytest.approx(-back.estimate)
        assert forth.standard_error == pytest.approx(back.standard_error)


def test_any_source_the_reader_takes(sample, spec):
    s = sample(100, 7)
    columns = {"t": s.t, "y": s.y, "x0": s.x[:, 0], "x1": s.x[:, 1]}
    effect = estimate(columns, spec(), "regression")
    assert effect.estimate == pytest.approx(estimate(s.table, spec(), "regression").estimate)


def test_a_part_of_an_effect_within_levels_has_no_estimator() -> None:
    from whence.identification.mediation import mediation

    drawn = mediation("x --> m; m --> y; x --> y; w --> y", "x", "y", "m", given="w")
    answer = estimate({"x": [0, 1], "m": [0, 1], "y": [0, 1]}, drawn)
    assert isinstance(answer, Refused) and answer.code == "no_estimator" and "natural direct effect" in answer.reason
