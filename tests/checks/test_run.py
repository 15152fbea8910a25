from __future__ import annotations

import json
import re
import time

import numpy as np
import pytest

from whence.checks.run import ORDER, check
from whence.checks.words import number, p_text, percent
from whence.core.errors import WhenceError
from whence.core.registry import load_function, methods
from whence.core.result import Refused, to_plain
from whence.graphs.build import graph

CONTROLS = ["x1", "x2", "group"]
# Checks that have no meaning for the effect of these tests, or are made only when asked for.
ELSEWHERE = ("omitted_variable", "mediator_confounding", "assignment", "attrition", "negative_control", "sorting",
             "cutoff_choices", "pretrends", "honest_trends", "instrument", "donor_choices", "series_choices")
GRAPH = "x1 --> d; group --> d; d --> y; x1 --> y; x2 --> y; group --> y"


@pytest.fixture(scope="module")
def effect(confounded, effect_of):
    return effect_of(confounded, CONTROLS, "ipw")


def test_every_check_has_a_card_and_a_place(confounded, effect):
    assert {card.name for card in methods("check")} == set(ORDER)
    for card in methods("check"):
        assert callable(load_function(card)) and card.citations and card.assumptions


def test_all_in_a_fixed_order(confounded, effect):
    apply = [n for n in ORDER if n not in ELSEWHERE]
    assert [c.name for c in check(confounded, effect, graph=graph(GRAPH))] == apply
    assert [c.name for c in check(confounded, effect)] == [n for n in apply if n != "implications"]


def test_one_several_and_unknown(confounded, effect):
    assert [c.name for c in check(confounded, effect, "evalue")] == ["evalue"]
    assert [c.name for c in check(confounded, effect, ["evalue", "balance"])] == ["balance", "evalue"]
    with pytest.raises(WhenceError) as error:
        check(confounded, effect, "balence")
    assert error.value.code == "unknown_check" and "balance" in str(error.value)


def test_a_check_without_meaning_is_left_out_or_explained(table_of, effect_of):
    rng = np.random.default_rng(0)
    dose = table_of({"d": rng.normal(size=80), "y": rng.normal(size=80), "x": rng.normal(size=80)})
    found = effect_of(dose, ["x"])
    assert [c.name for c in check(dose, found)] == ["placebo", "dropped", "robustness", "evalue", "tipping_point"]
    asked = check(dose, found, ["overlap", "implications"])
    assert [c.applies for c in asked] == [False, False] and all(c.verdict == "informational" for c in asked)


def test_not_an_effect_and_not_its_table(confounded, effect, table_of):
    with pytest.raises(WhenceError) as error:
        check(confounded, Refused("no_overlap", "No."))  # pyright: ignore[reportArgumentType]
    assert error.value.code == "bad_effect"
    other = table_of({name: confounded.numeric(name) + 1 for name in ("d", "y", "x1")})
    with pytest.raises(WhenceError) as error:
        check(other, effect)
    assert error.value.code == "other_table"
    with pytest.raises(WhenceError) as error:
        check(confounded, effect, seed=-1)
    assert error.value.code == "bad_seed"


def test_a_combination_of_effects_is_explained(confounded, effect, effect_of):
    gap = effect - effect_of(confounded, CONTROLS, "regression")
    (found,) = check(confounded, gap, "placebo")
    assert found.verdict == "informational" and "combination" in found.saw


def test_a_defect_in_one_check_does_not_cost_the_study(confounded, effect, monkeypatch):
    import whence.checks.placebo as module

    def broken(*args, **kwargs):
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(module, "placebo", broken)
    found = {c.name: c for c in check(confounded, effect)}
    assert found["placebo"].verdict == "informational" and found["placebo"].numbers == {"error": "defect"}
    assert "planted" in found["placebo"].saw and found["balance"].verdict == "pass"


def test_ctrl_c_passes_through(confounded, effect, monkeypatch):
    import whence.checks.placebo as module

    def stopped(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "placebo", stopped)
    with pytest.raises(KeyboardInterrupt):
        check(confounded, effect)


def leaves(value):
    if isinstance(value, dict):
        for v in value.values():
            yield from leaves(v)
    elif isinstance(value, (list, tuple)):
        for v in value:
            yield from leaves(v)
    else:
        yield value


def told(text, names):
    """Numbers in a sentence, without column names in quotes and without the fixed words "of 100 cases"."""
    text = re.sub(r"'[^']*'", "", text).replace("of 100 cases", "")
    for name in names:
        text = text.replace(name, "")
    return re.findall(r"(?:p [=<] )?(?:under )?-?\d[\d,]*(?:\.\d+)?(?:e[+-]\d+)?%?", text)


@pytest.mark.parametrize("method", ["difference", "regression", "ipw", "aipw"])
def test_every_number_in_a_sentence_is_among_the_numbers(confounded, effect_of, method):
    controls = CONTROLS if method != "difference" else []
    for drawn in (GRAPH, "x1 --> d; d --> y"):
        for c in check(confounded, effect_of(confounded, controls, method), graph=graph(drawn)):
            known = [v for v in leaves(c.numbers) if isinstance(v, (int, float)) and not isinstance(v, bool)]
            words = {w for v in known for w in (number(v), percent(v), p_text(v), f"{v:,}", number(100 * v))}
            missing = [n for n in told(c.saw, confounded.names) if n not in words]
            assert not missing, (c.name, missing, c.saw)


def test_results_are_plain_json(confounded, effect):
    for c in check(confounded, effect, graph=graph(GRAPH)):
        assert json.loads(json.dumps(to_plain(c), allow_nan=False))["name"] == c.name
        json.dumps([c.numbers, c.figure], allow_nan=False)
        assert c.worry.endswith(".") and c.saw.endswith(".") and c.cannot_show.endswith(".")


def test_same_seed_same_answer_in_any_column_order(confounded, effect, effect_of):
    turned = confounded.select(confounded.names[::-1])
    again = effect_of(turned, CONTROLS[::-1], "ipw")
    for one, two in zip(check(confounded, effect, seed=3), check(turned, again, seed=3), strict=True):
        assert one.saw == two.saw and one.verdict == two.verdict


def test_progress_begins_and_ends_in_pairs(confounded, effect):
    class Watch:
        def __init__(self):
            self.depth, self.labels = 0, []

        def begin(self, label, total=None):
            self.depth += 1
            self.labels.append(label)

        def step(self, count=1):
            assert self.depth > 0

        def end(self):
            self.depth -= 1

    watch = Watch()
    check(confounded, effect, progress=watch)
    assert watch.depth == 0 and "checking" in watch.labels


def test_missing_values_a_constant_control_weights_and_clusters(table_of, effect_of):
    rng = np.random.default_rng(6)
    n = 500
    x = rng.normal(size=n)
    d = (x + rng.normal(size=n) > 0).astype(float)
    y = d + x + rng.normal(size=n)
    x[:50] = np.nan
    word = np.where(rng.random(n) < 0.3, "yes", "no").astype(object)
    word[60:80] = None
    table = table_of({
        "d": d, "y": y, "x": x, "word": word, "same": np.full(n, 2.0), "w": rng.uniform(0.1, 5, n),
        "g": rng.integers(0, 40, n).astype(str).astype(object),
    })
    for method in ("regression", "ipw"):
        found = check(table, effect_of(table, ["x", "word", "same"], method, cluster="g", weights="w"))
        assert [c.name for c in found] == [n for n in ORDER if n not in (*ELSEWHERE, "implications")]
        assert not any("error" in c.numbers for c in found), [c.saw for c in found]


def test_a_categorical_treatment(table_of, effect_of):
    from whence.identification.spec import Contrast

    rng = np.random.default_rng(7)
    n = 900
    x = rng.normal(size=n)
    d = np.array(["a", "b", "c"], dtype=object)[np.clip(np.round(1 + 0.5 * x + rng.normal(size=n)), 0, 2).astype(int)]
    y = np.select([d == "b", d == "c"], [1.0, 3.0], 0.0) + x + rng.normal(size=n)
    table = table_of({"d": d, "y": y, "x": x})
    for contrast, truth in ((Contrast("b", "a"), 1.0), (Contrast("c", "a"), 3.0)):
        for method in ("regression", "ipw"):
            found = {c.name: c for c in check(table, effect_of(table, ["x"], method, contrast=contrast))}
            assert not any("error" in c.numbers for c in found.values())
            assert found["placebo"].numbers["actual"] == pytest.approx(truth, abs=0.35)
            assert found["balance"].verdict == "pass"


def test_nhefs(nhefs, effect_of):
    """On the real cohort everything passes, and quickly: under 1.5 s for all, once things are imported."""
    controls = [n for n in nhefs.names if n not in ("qsmk", "wt82_71")]
    found = effect_of(nhefs, controls, "ipw", treatments=("qsmk",), outcomes=("wt82_71",))
    drawn = graph("; ".join(f"{c} --> qsmk; {c} --> wt82_71" for c in controls) + "; qsmk --> wt82_71")
    check(nhefs, found, graph=drawn)
    start = time.process_time()
    checks = check(nhefs, found, graph=drawn)
    assert time.process_time() - start < 3.0  # two cores' worth
    assert [c.name for c in checks if c.verdict == "worry"] == ["implications"]  # the controls are of course related
    assert all(c.verdict == "pass" for c in checks if c.name != "implications")
    numbers = {c.name: c.numbers for c in checks}
    assert numbers["robustness"]["robustness_value"] == pytest.approx(0.18, abs=0.01)
    assert numbers["balance"]["largest"] < 0.1 < numbers["balance"]["largest_before"]


def test_nsw_treated_against_survey_controls_hardly_overlap(cases, effect_of, table_of):
    """LaLonde's trainees against the PSID: hardly any overlap, and the checks say so."""
    import csv

    def rows(name):
        with (cases / "effects" / name).open(newline="") as file:
            return list(csv.DictReader(file))

    people = [r for r in rows("nsw_dw.csv") if float(r["treat"]) == 1] + rows("psid_controls.csv")
    names = ["treat", "re78", "age", "education", "black", "hispanic", "married", "nodegree", "re74", "re75"]
    table = table_of({n: np.array([float(r[n]) for r in people]) for n in names})
    effect = effect_of(table, names[2:], degree=1, interactions=False, treatments=("treat",), outcomes=("re78",))
    found = {c.name: c for c in check(table, effect)}
    assert found["overlap"].verdict == "worry" and not any("error" in c.numbers for c in found.values())
