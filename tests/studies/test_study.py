"""Studies end to end: roads from a question to a finding or a refusal, and scripts that repeat the numbers."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest

import whence
from whence.core.errors import WhenceError
from whence.core.result import to_plain
from whence.report.finding import Finding
from whence.report.html import render

ABOUT = """trained: 1 if the worker took the course in 2001, 0 otherwise
wage: hourly wage in 2003
wage_before: hourly wage in 1999
schooling: years of schooling by 1998
mood: satisfaction with life in 2003
"""
GRAPH = ("schooling --> trained; schooling --> wage; schooling --> wage_before; wage_before --> trained; "
         "wage_before --> wage; trained --> wage; wage --> mood")
QUESTION = "Does taking the course raise the hourly wage?"
TRUTH = 2.0


def workers(n: int = 1200, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    schooling = rng.normal(12, 2, n)
    before = 5 + 0.5 * schooling + rng.normal(0, 1, n)
    logit = -0.5 * (schooling - 12) - 0.4 * (before - 11)
    trained = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(int)
    wage = TRUTH * trained + before + 0.3 * schooling + rng.normal(0, 1, n)
    mood = wage + rng.normal(0, 1, n)
    return {"trained": trained, "wage": wage, "wage_before": before, "schooling": schooling, "mood": mood}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "workers.csv"
    data = workers()
    lines = [",".join(data)] + [",".join(repr(v.item()) for v in row) for row in zip(*data.values(), strict=True)]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def finding(file: Path) -> Finding:
    return whence.study(file, QUESTION, ABOUT, GRAPH, method="regression").run()


class TestAnswers:
    def test_graph_given(self, finding: Finding) -> None:
        effect = finding.effect
        assert effect is not None
        assert effect.spec.controls == ("schooling", "wage_before")
        assert effect.interval[0] < TRUTH < effect.interval[1]
        assert finding.alternatives[0].method == "difference"
        assert abs(finding.alternatives[0].estimate - TRUTH) > 1  # confounded, and shown as such
        assert {c.name for c in finding.checks} >= {"balance", "overlap", "placebo", "robustness"}

    def test_default_method_is_cross_fitted_and_right(self, file: Path) -> None:
        study = whence.study(file, QUESTION, ABOUT, GRAPH)
        effect = study.run().effect
        assert effect is not None
        assert effect.method == "aipw"
        assert effect.interval[0] < TRUTH < effect.interval[1]

    def test_no_graph_adjusts_for_what_came_before_and_says_so(self, file: Path) -> None:
        plan = whence.study(file, QUESTION, ABOUT).plan
        assert plan.spec is not None
        assert plan.spec.controls == ("schooling", "wage_before")
        assert [w.code for w in plan.warnings] == ["assumed_pretreatment"]
        assert any(c.about == ("mood",) and "2003" in c.text for c in plan.choices)

    def test_graph_learned_with_knowledge(self, file: Path) -> None:
        tiers = (("schooling",), ("wage_before",), ("trained",), ("wage",), ("mood",))
        study = whence.study(file, QUESTION, ABOUT, knowledge=whence.Knowledge(tiers=tiers), method="regression")
        assert study.plan.discovery is not None
        effect = study.run().effect
        assert effect is not None
        assert set(effect.spec.controls) == {"schooling", "wage_before"}
        assert effect.interval[0] < TRUTH < effect.interval[1]

    def test_randomised_by_the_description(self) -> None:
        data = workers() | {"trained": np.random.default_rng(5).integers(0, 2, 1200)}
        plan = whence.study(data, QUESTION, ABOUT + "Workers were randomly assigned to the course.").plan
        assert plan.spec is not None
        assert plan.spec.strategy == "rct"
        assert plan.spec.controls == ("schooling", "wage_before")  # alike in the arms: adjusted for, to be more precise

    def test_chance_that_is_said_and_not_seen_is_doubted(self, file: Path) -> None:
        plan = whence.study(file, QUESTION, ABOUT + "Workers were randomly assigned to the course.").plan
        assert plan.spec is not None
        assert plan.spec.strategy == "adjustment"
        assert any(w.code == "said_not_seen" and "not left to chance" in w.text for w in plan.warnings)

    def test_roles_and_spec_fields_given(self, file: Path) -> None:
        study = whence.study(file, treatment="schooling", outcome="wage", controls=[], quantity="ATE")
        assert study.plan.spec is not None
        assert study.plan.spec.treatment == "schooling"

    def test_spec_given(self, file: Path) -> None:
        spec = whence.Spec("adjustment", ("trained",), ("wage",), controls=("schooling", "wage_before"))
        assert whence.study(file, spec=spec.to_dict()).plan.spec == spec


class TestRefusals:
    def test_words_that_fit_nothing(self, file: Path) -> None:
        study = whence.study(file, "Does rain cause floods?", ABOUT)
        finding = study.run()
        assert finding.effect is None
        assert finding.refused is not None
        assert finding.refused.code == "question_unclear"
        with pytest.raises(WhenceError, match="nothing to repeat"):
            study.script()

    def test_hidden_cause(self, file: Path) -> None:
        graph = "dag { u [latent] u -> trained; u -> wage; trained -> wage }"
        refused = whence.study(file, graph=graph, treatment="trained", outcome="wage").plan.refused
        assert refused is not None
        assert refused.code == "not_identified"
        assert refused.evidence["witness"]

    def test_adjustment_set_not_in_the_data(self, file: Path) -> None:
        graph = "talent --> trained; talent --> wage; trained --> wage"
        refused = whence.study(file, graph=graph, treatment="trained", outcome="wage").plan.refused
        assert refused is not None
        assert refused.code == "unmeasured_control"

    def test_an_effect_that_the_graph_denies_tests_the_graph(self, file: Path) -> None:
        graph = "schooling --> trained; schooling --> wage"
        finding = whence.study(file, graph=graph, treatment="trained", outcome="wage", method="regression").run()
        assert "no_effect" in {w.code for w in finding.warnings}
        assert {c.name: c.verdict for c in finding.checks}["implications"] == "worry"

    def test_no_causal_path_and_nothing_but_confounding(self, file: Path) -> None:
        graph = "dag { u [latent] u -> trained; u -> wage }"
        refused = whence.study(file, graph=graph, treatment="trained", outcome="wage").plan.refused
        assert refused is not None
        assert refused.code == "no_causal_path"

    def test_constant_treatment(self, file: Path) -> None:
        data = workers(300) | {"trained": np.ones(300, dtype=int)}
        finding = whence.study(data, treatment="trained", outcome="wage", controls=["schooling"]).run()
        assert finding.refused is not None
        assert finding.report

    @pytest.mark.parametrize(("arguments", "code"), [
        ({}, "no_question"),
        ({"treatment": "trainde", "outcome": "wage"}, "unknown_column"),
        ({"treatment": "trained", "outcome": "wage", "controls": ["nope"]}, "unknown_column"),
        ({"treatment": "trained", "outcome": "trained"}, "role_conflict"),
        ({"treatment": "trained", "outcome": "wage", "method": "magic"}, "unknown_method"),
        ({"treatment": "trained", "outcome": "wage", "quantity": "XYZ"}, "unknown_quantity"),
        ({"spec": {"strategy": "adjustment", "treatments": ["trained"]}}, None),
    ])
    def test_bad_input_is_an_error_that_names_it(self, file: Path, arguments: dict, code: str | None) -> None:
        with pytest.raises(WhenceError) as caught:
            whence.study(file, **arguments)
        assert code is None or caught.value.code == code


class TestRepeatable:
    def test_script_gives_the_same_numbers(self, finding: Finding) -> None:
        printed = io.StringIO()
        scope: dict = {}
        with contextlib.redirect_stdout(printed):
            exec(compile(finding.script, "script", "exec"), scope)
        assert finding.effect is not None
        assert scope["effect"].estimate == finding.effect.estimate
        assert scope["effect"].standard_error == finding.effect.standard_error
        assert str(finding.effect) in printed.getvalue()
        for check in finding.checks:
            assert str(check) in printed.getvalue()

    def test_script_notices_other_data(self, finding: Finding, tmp_path: Path) -> None:
        other = tmp_path / "other.csv"
        other.write_text("trained,wage,wage_before,schooling,mood\n1,2,3,4,5\n0,1,2,3,4\n")
        script = finding.script.replace(finding.script.split("read(")[1].split(")")[0], repr(str(other)))
        with pytest.raises(AssertionError, match="not the data"):
            exec(compile(script, "script", "exec"), {})

    def test_column_order_does_not_matter(self, finding: Finding) -> None:
        data = workers()
        flipped = {name: data[name] for name in reversed(list(data))}
        again = whence.study(flipped, QUESTION, ABOUT, GRAPH, method="regression").run()
        assert again.effect is not None
        assert finding.effect is not None
        assert again.effect.estimate == pytest.approx(finding.effect.estimate, rel=1e-12)
        assert again.provenance["data"] == finding.provenance["data"]

    def test_finding_is_json_ready_and_traced(self, finding: Finding) -> None:
        plain = json.loads(json.dumps(to_plain(finding), allow_nan=False))
        assert plain["effect"]["estimate"] == finding.effect.estimate  # type: ignore[union-attr]
        assert {"data", "spec", "graph", "seed", "versions", "kernels", "method"} <= set(plain["provenance"])

    def test_report_is_written(self, finding: Finding, tmp_path: Path) -> None:
        path = finding.report(tmp_path / "report.html")
        assert path.read_text(encoding="utf-8").lstrip().lower().startswith("<!doctype html>")


def test_missing_markers_reach_the_script(tmp_path: Path) -> None:
    data = workers(300)
    path = tmp_path / "coded.csv"
    rows = [",".join(data)] + [",".join("-9" if v == 1 and i % 7 == 0 and j == 0 else repr(v.item()) for j, v in
                                        enumerate(row)) for i, row in enumerate(zip(*data.values(), strict=True))]
    path.write_text("\n".join(rows) + "\n")
    study = whence.study(path, treatment="trained", outcome="wage", controls=["schooling"], missing=["-9"],
                         method="regression")
    effect = study.run().effect
    assert effect is not None
    assert effect.n < 300
    scope: dict = {}
    exec(compile(study.script(), "script", "exec"), scope)
    assert scope["effect"].estimate == effect.estimate


class TestOtherWaysThanAdjustment:
    """Effects that hidden causes keep from adjustment: through mediators, and by a formula of the ID algorithm."""

    DOOR = "course --> skill; skill --> wage; course <-> wage; city --> wage"
    NAPKIN = "habit --> advice; advice --> course; course --> wage; habit <-> course; habit <-> wage"

    @staticmethod
    def people(n: int = 3000) -> dict[str, np.ndarray]:
        """course raises skill by 0.9 and wage by 1.8 through it; drive, which nobody measured, raises both."""
        rng = np.random.default_rng(1)
        drive = rng.normal(size=n)
        course = (rng.random(n) < 1 / (1 + np.exp(-drive))).astype(int)
        skill, city = 0.9 * course + rng.normal(size=n), rng.normal(size=n)
        wage = 2 * skill + 2 * drive + city + rng.normal(size=n)
        return {"course": course, "skill": skill, "city": city, "wage": wage}

    @staticmethod
    def patients(n: int = 4000) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(2)
        u, v = rng.random((2, n)) < 0.5
        habit = (rng.random(n) < 0.2 + 0.3 * u + 0.3 * v).astype(int)
        advice = (rng.random(n) < 0.3 + 0.4 * habit).astype(int)
        course = (rng.random(n) < 0.1 + 0.4 * advice + 0.4 * u).astype(int)
        return {"habit": habit, "advice": advice, "course": course, "wage": course + v + rng.normal(size=n)}

    def test_front_door(self) -> None:
        study = whence.study(self.people(), "Does the course raise the wage?", graph=self.DOOR)
        assert "Through: skill" in str(study.plan) and "nothing" not in str(study.plan)
        finding = study.run()
        assert finding.effect is not None and finding.effect.method == "frontdoor"
        low, high = finding.effect.interval
        assert low < 1.8 < high
        assert [(a.method, a.estimate > high) for a in finding.alternatives] == [("difference", True)]
        assert [c.name for c in finding.checks] == ["implications"]
        page = render(finding)
        assert "Nothing was adjusted for" not in page and "through" in page and 'class="node mediator"' in page
        self.repeats(study, finding)

    def test_formula(self) -> None:
        study = whence.study(self.patients(), treatment="course", outcome="wage", graph=self.NAPKIN)
        assert "By the formula that the graph gives, with: advice, habit" in str(study.plan)
        finding = study.run()
        assert finding.effect is not None and finding.effect.method == "plugin"
        assert finding.effect.interval[0] < 1 < finding.effect.interval[1]
        assert [a.method for a in finding.alternatives] == ["difference"] and not finding.checks
        page = render(finding)
        assert "Nothing was adjusted for" not in page and "in the formula" in page
        self.repeats(study, finding)

    @staticmethod
    def repeats(study: whence.Study, finding: Finding) -> None:
        spec = whence.Spec.from_json(finding.spec.to_json()) if finding.spec is not None else None
        assert spec is not None and spec.hash == study.plan.spec.hash  # pyright: ignore
        assert spec.to_json() in finding.script  # pyright: ignore[reportOperatorIssue]
        again = whence.estimate(study.table, spec)
        assert finding.effect is not None and again.estimate == finding.effect.estimate  # pyright: ignore

    def test_checks_that_compare_groups_do_not_apply(self) -> None:
        study = whence.study(self.people(400), treatment="course", outcome="wage", graph=self.DOOR)
        effect = study.run().effect
        assert effect is not None
        names = ["balance", "overlap", "placebo", "dropped", "robustness", "evalue"]
        found = whence.check(study.table, effect, names)
        assert len(found) == len(names) and not any(c.applies for c in found)
        assert all("another way" in c.saw for c in found)

    def test_controls_are_refused_and_absent_columns_named(self) -> None:
        given = whence.study(self.people(200), treatment="course", outcome="wage", graph=self.DOOR, controls=["city"])
        assert given.plan.refused is not None and given.plan.refused.code == "no_adjustment_set"
        data = self.people(200)
        del data["skill"]
        absent = whence.study(data, treatment="course", outcome="wage", graph=self.DOOR).plan.refused
        assert absent is not None and absent.code == "unmeasured_control" and "skill" in absent.reason


class TestEdits:
    def test_only_what_changed_is_made_again(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        study = whence.study(file, QUESTION, ABOUT, method="regression")
        first = study.run()
        estimated, profiled = [], []
        module = sys.modules["whence.studies.study"]
        estimate, profile = module.estimate, module.profile
        monkeypatch.setattr(module, "estimate", lambda *a, **k: estimated.append(a[1:3]) or estimate(*a, **k))
        monkeypatch.setattr(module, "profile", lambda *a, **k: profiled.append(a) or profile(*a, **k))
        assert study.run() == first
        assert (estimated, profiled) == ([], [])
        edited = study.edit(controls=("schooling",)).run()
        assert profiled == []
        assert all(spec.controls == ("schooling",) for spec, _ in estimated)  # the unadjusted comparison is kept
        assert edited.effect is not None
        assert edited.effect == whence.study(file, spec=edited.spec, method="regression").run().effect
        assert edited.choices[-1].evidence == {"fields": ["controls"]}

    def test_bad_edits_are_named(self, file: Path) -> None:
        study = whence.study(file, QUESTION, ABOUT)
        with pytest.raises(WhenceError, match="mood2"):
            study.edit(controls=("mood2",))
        with pytest.raises(WhenceError, match="colour"):
            study.edit(colour="red")
        with pytest.raises(WhenceError, match="no plan"):
            whence.study(file, "Does rain cause floods?", ABOUT).edit(controls=())


class TestAskedWithWords:
    def test_a_close_call_takes_the_first_and_keeps_the_other(self) -> None:
        rng = np.random.default_rng(3)
        data = {"score_a": rng.normal(size=300), "score_b": rng.normal(size=300), "course": rng.integers(0, 2, 300)}
        about = "score_a: exam score in maths\nscore_b: exam score in reading\ncourse: took the course"
        plan = whence.study(data, "Does the course raise the exam score?", about).plan
        assert plan.spec is not None
        assert plan.runner_up is not None
        assert {plan.spec.outcome, plan.runner_up.outcome} == {"score_a", "score_b"}
        assert [w.code for w in plan.warnings].count("close_call") == 1

    def test_for_whom_the_question_asks(self) -> None:
        rng = np.random.default_rng(4)
        sex = rng.choice(["man", "woman"], 400)
        data = {"sex": sex, "course": rng.integers(0, 2, 400), "wage": rng.normal(size=400)}
        plan = whence.study(data, "Does the course raise the wage among women?",
                            "course: took the course\nsex: sex of the worker").plan
        assert plan.spec is not None
        assert [(c.column, c.value) for c in plan.spec.population] == [("sex", "woman")]
