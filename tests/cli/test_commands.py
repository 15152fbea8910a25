"""Each command on real files: what it answers, in which form, with which status."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

GRAPH = "age --> dose; age --> recovery; dose --> recovery"
HIDDEN = "dag { u [latent] u -> dose u -> recovery dose -> recovery }"


# profile


def test_profile_for_people_and_as_json(whence: Any, trial: Path) -> None:
    ran = whence("profile", trial)
    assert ran.status == 0 and ran.err == ""
    for word in ("600", "age", "dose", "recovery", "binary", "continuous"):
        assert word in ran.out
    data = whence("profile", trial, "--json").json
    assert data["schema"] == 1 and data["n_rows"] == 600
    assert [c["name"] for c in data["columns"]] == ["age", "dose", "recovery"]


def test_profile_takes_kinds_and_missing_words(whence: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("stage,value\n" + "\n".join(f"{i % 3},{-999 if i % 5 == 0 else i / 7}" for i in range(50)) + "\n")
    data = whence("profile", path, "--kinds", "stage=ordinal", "--missing", "-999", "--missing", "none",
                  "--json").json
    columns = {c["name"]: c for c in data["columns"]}
    assert columns["stage"]["kind"] == "ordinal"
    assert columns["value"]["n_missing"] == 10


@pytest.mark.parametrize("content, code", [
    (b"", None), (b"a,b\n", None), (b"a,b\n1,2\n3\n", None), (b"a,a\n1,2\n3,4\n", None),
    (b"a,b\n1,gr\xf6\xdf\n2,\xff\n", None), (b"\x00\x01\x02\x03", None),
])
def test_bad_files_are_2_with_a_clear_message(whence: Any, tmp_path: Path, content: bytes, code: None) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    ran = whence("profile", path, "--json")
    assert ran.status == 2, ran.out
    assert ran.json["error"]["message"] and ran.json["error"]["code"] not in ("defect", "system")
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("name", ["absent.csv", "", ".", "a\0b", "x" * 3000, "data.unknown"])
def test_no_such_file_is_2(whence: Any, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ran = whence("profile", name, "--json")
    assert ran.status == 2 and ran.json["error"]["code"] != "defect"


def test_names_from_the_file_cannot_steer_the_terminal(whence: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('"\x1b[31m[red]x","y\n2"\n' + "\n".join(f"{i},{i * i % 7}" for i in range(30)) + "\n")
    ran = whence("profile", path)
    assert "\x1b" not in ran.out and ran.status in (0, 2)


# discover


def test_discover(whence: Any, trial: Path, tmp_path: Path) -> None:
    svg = tmp_path / "graph.svg"
    ran = whence("discover", trial, "--columns", "age,recovery", "--method", "pc", "--alpha", "0.01", "--svg", svg)
    assert ran.status == 0 and "age" in ran.out and "recovery" in ran.out
    assert svg.read_text().lstrip().startswith("<svg")
    data = whence("discover", trial, "--columns", "age,recovery", "--json").json
    assert data["graph"]["names"] and data["graph"]["kind"] == "CPDAG"
    assert data["graph"]["edges"] == [["age", "---", "recovery"]]
    assert "warnings" in data and "provenance" in data


def test_discover_with_knowledge_and_stability(whence: Any, trial: Path, tmp_path: Path) -> None:
    knowledge = tmp_path / "knowledge.json"
    knowledge.write_text(json.dumps({"tiers": [["age"], ["recovery"]]}))
    argv = ("discover", trial, "--columns", "age,recovery", "--knowledge", knowledge, "--stability", "5", "--json")
    data = whence(*argv).json
    assert data["graph"]["edges"] == [["age", "-->", "recovery"]]
    assert data["stability"]
    assert whence(*argv).out == whence(*argv).out


@pytest.mark.parametrize("extra, code", [
    (("--columns", "age,recvery"), "unknown_column"),
    (("--method", "pcc"), "unknown_method"),
    (("--method", "pc", "--method", "pc"), "usage"),
    (("--alpha", "7"), "bad_parameter"),
    (("--param", "alpha=x"), "bad_parameter"),
    (("--param", "nonsense=1"), "unknown_parameter"),
    (("--param", "alpha"), "bad_option"),
    (("--seed", "-1"), "usage"),
    (("--knowledge", "absent.json"), "no_file"),
    (("--svg", "trial.csv/x.svg"), "cannot_write"),
    (("--kinds", "age=colour"), None),
])
def test_discover_says_what_is_wrong(
    whence: Any, trial: Path, extra: tuple[str, ...], code: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trial.parent)
    ran = whence("discover", trial, *extra, "--json")
    assert ran.status == 2, ran.out
    assert code is None or ran.json["error"]["code"] == code


# identify


def test_identify(whence: Any, tmp_path: Path) -> None:
    path = tmp_path / "graph.txt"
    path.write_text(GRAPH)
    for graph in (GRAPH, path):
        ran = whence("identify", graph, "--treatment", "dose", "--outcome", "recovery", "--json")
        assert ran.status == 0
        assert ran.json["identified"]["adjustment"] == ["age"] and ran.json["not_identified"] is None
    assert "Adjust for: age" in whence("identify", GRAPH, "--treatment", "dose", "--outcome", "recovery").out


def test_not_identified_is_3(whence: Any) -> None:
    argv = ("identify", HIDDEN, "--treatment", "dose", "--outcome", "recovery")
    ran = whence(*argv, "--json")
    assert ran.status == 3
    assert ran.json["identified"] is None and ran.json["not_identified"]["reason"]
    plain = whence(*argv)
    assert plain.status == 3 and "not identified" in plain.out


def test_identify_with_mediators(whence: Any) -> None:
    argv = ("identify", "x --> m; m --> y; x --> y; m --> n; n --> y", "--treatment", "x", "--outcome", "y",
            "--mediators", "m,n")
    ran = whence(*argv, "--quantity", "NDE", "--json")
    assert ran.status == 0 and ran.json["not_identified"] is None
    assert ran.json["identified"]["mediators"] == ["m", "n"] and ran.json["identified"]["quantity"] == "NDE"
    plain = whence(*argv, "--quantity", "NIE")
    assert plain.status == 0 and "indirect effect of x on y through m and n is identified" in plain.out
    assert "x --> m  through mediators" in plain.out and "P(y | m, n, x′)" in plain.out
    assert whence(*argv, "--json").json["error"]["code"] == "unsupported_quantity"
    assert whence(*argv[:-2], "--quantity", "NDE", "--json").json["error"]["code"] == "missing_role"
    assert whence(*argv[:-2], "--quantity", "ATT", "--json").json["identified"]["quantity"] == "ATT"


def test_a_part_that_is_not_identified_is_3(whence: Any) -> None:
    argv = ("identify", "x --> z; z --> m; z --> y; m --> y; x --> y", "--treatment", "x", "--outcome", "y",
            "--mediators", "m", "--quantity", "NDE")
    ran = whence(*argv, "--json")
    assert ran.status == 3 and ran.json["identified"] is None
    assert ran.json["not_identified"]["code"] == "recanting_witness"
    plain = whence(*argv)
    assert plain.status == 3 and "Not identified" in plain.out and "quantity='CDE'" in plain.out


@pytest.mark.parametrize("argv", [
    ("a --> b; b --> a", "--treatment", "a", "--outcome", "b"),
    ("a --> b", "--treatment", "a", "--outcome", "c"),
    ("a --> b", "--treatment", "a", "--outcome", "a"),
    ("a ==> b;", "--treatment", "a", "--outcome", "b"),
    ("", "--treatment", "a", "--outcome", "b"),
    ("absent.dot", "--treatment", "a", "--outcome", "b"),
])
def test_bad_graphs_are_2(whence: Any, argv: tuple[str, ...]) -> None:
    ran = whence("identify", *argv, "--json")
    assert ran.status == 2 and ran.json["error"]["code"] != "defect"


# estimate

KEYS = {"schema", "spec", "effect", "refused", "checks", "warnings", "provenance"}


def test_estimate(whence: Any, trial: Path, spec: Path) -> None:
    data = whence("estimate", trial, "--spec", spec, "--json").json
    assert set(data) == KEYS
    effect = data["effect"]
    assert abs(effect["estimate"] - 2) < 4 * effect["standard_error"] < 1
    assert effect["interval"][0] < effect["estimate"] < effect["interval"][1]
    assert data["refused"] is None and data["checks"] and data["provenance"]["data"]
    plain = whence("estimate", trial, "--spec", spec)
    assert plain.status == 0 and "Answer" in plain.out and "Checks" in plain.out and "\x1b" not in plain.out


def test_estimate_with_method_parameters_and_no_checks(whence: Any, trial: Path, spec: Path) -> None:
    argv = ("estimate", trial, "--spec", spec, "--method", "regression", "--param", "level=0.9", "--no-checks",
            "--json")
    data = whence(*argv).json
    assert data["checks"] == [] and data["effect"]["level"] == 0.9 and data["effect"]["method"] == "regression"
    assert whence(*argv).out == whence(*argv).out, "the same bytes every time"


def test_a_refusal_is_3_with_the_same_keys(whence: Any, trial: Path, tmp_path: Path) -> None:
    spec = tmp_path / "other.json"
    spec.write_text(json.dumps({"strategy": "rct", "treatments": ["dose"], "outcomes": ["recovery"],
                                "quantity": "CATE"}))
    ran = whence("estimate", trial, "--spec", spec, "--json")
    assert ran.status == 3 and set(ran.json) == KEYS
    assert ran.json["effect"] is None and ran.json["refused"]["reason"] and ran.json["provenance"]["rows"] == 600
    plain = whence("estimate", trial, "--spec", spec)
    assert plain.status == 3 and "No answer" in plain.out


@pytest.mark.parametrize("content, code", [
    ("{", "bad_json"), ("[]", "bad_spec"), ("{}", "bad_spec"), ('{"strategy": "magic"}', None),
    ('{"strategy": "rct", "treatments": ["dose"], "outcomes": ["dose"]}', "role_conflict"),
    ('{"strategy": "rct", "treatments": ["dos"], "outcomes": ["recovery"]}', "unknown_column"),
    ('{"strategy": "rct", "treatments": ["dose"], "outcomes": ["recovery"], "seed": 1}', "unknown_field"),
    ("\xff", None),
])
def test_bad_specs_are_2(whence: Any, trial: Path, tmp_path: Path, content: str, code: str | None) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(content.encode("latin-1"))
    ran = whence("estimate", trial, "--spec", path, "--json")
    assert ran.status == 2 and ran.json["error"]["code"] not in ("defect", "system")
    assert code is None or ran.json["error"]["code"] == code


# bound


def test_bound(whence: Any, trial: Path, spec: Path) -> None:
    argv = ("bound", trial, "--treatment", "dose", "--outcome", "recovery", "--param", "lowest=0", "highest=20",
            "level=0.9")
    data = whence(*argv, "--json").json
    assert set(data) == {"schema", "spec", "bounds", "refused"} and data["refused"] is None
    found = data["bounds"]
    assert found["interval"][0] < found["lower"] < 2 < found["upper"] < found["interval"][1]
    assert found["level"] == 0.9 and found["method"] == "manski" and data["spec"]["controls"] == []
    plain = whence(*argv)
    assert plain.status == 0 and "Its sign stays open." in plain.out and "90% interval of both ends" in plain.out
    assert "mean outcome, dose 1" in plain.out and "The outcome lies within its limits." in plain.out
    assert "Keep in mind" in whence("bound", trial, "--spec", spec).out, "the limits are those seen"


def test_bounds_that_are_refused_are_3(whence: Any, trial: Path, spec: Path) -> None:
    argv = ("bound", trial, "--spec", spec, "--method", "marginal_sensitivity")
    ran = whence(*argv, "--json")
    assert ran.status == 3 and ran.json["bounds"] is None and ran.json["refused"]["code"] == "too_many_strata"
    plain = whence(*argv)
    assert plain.status == 3 and "No answer" in plain.out


@pytest.mark.parametrize("extra, code", [
    ((), "bad_option"), (("--treatment", "dose"), "bad_option"),
    (("--spec", "spec.json", "--treatment", "dose"), "bad_option"),
    (("--spec", "spec.json", "--method", "aipw"), "unknown_method"),
    (("--spec", "spec.json", "--param", "gamma=2"), "unknown_parameter"),
    (("--spec", "spec.json", "--method", "marginal_sensitivity", "--param", "gamma=0.5"), "bad_parameter"),
    (("--spec", "spec.json", "--param", "lowest=100"), "bad_limits"),
    (("--treatment", "dos", "--outcome", "recovery"), "unknown_column"),
])
def test_bound_says_what_is_wrong(whence: Any, trial: Path, spec: Path, extra: tuple[str, ...], code: str,
                                  monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trial.parent)
    ran = whence("bound", trial, *extra, "--json")
    assert ran.status == 2 and ran.json["error"]["code"] == code


# ask, study, report


def test_ask(whence: Any, trial: Path, tmp_path: Path) -> None:
    page, script = tmp_path / "answer.html", tmp_path / "answer.py"
    argv = ("ask", trial, "Does the dose raise recovery?", "--graph", GRAPH)
    ran = whence(*argv, "--report", page, "--script", script)
    assert ran.status == 0
    plan, answer = ran.out.index("Plan"), ran.out.index("Answer")
    assert plan < answer and str(page) in ran.out
    assert page.read_text(encoding="utf-8").lstrip().lower().startswith("<!doctype html>")
    data = whence(*argv, "--json").json
    assert set(data) >= KEYS | {"question"}
    assert data["question"] == "Does the dose raise recovery?"
    assert data["spec"]["treatments"] == ["dose"] and data["spec"]["controls"] == ["age"]
    assert abs(data["effect"]["estimate"] - 2) < 4 * data["effect"]["standard_error"]


def test_the_script_repeats_the_numbers(whence: Any, trial: Path, tmp_path: Path) -> None:
    script = tmp_path / "answer.py"
    data = whence("ask", trial, "Does the dose raise recovery?", "--script", script, "--json").json
    ran = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert f"{data['effect']['estimate']:.3g}"[:4] in ran.stdout


def test_ask_with_roles_given(whence: Any, trial: Path) -> None:
    data = whence("ask", trial, "--treatment", "dose", "--outcome", "recovery", "--controls", "", "--json").json
    assert data["spec"]["controls"] == []
    data = whence("ask", trial, "--treatment", "dose", "--outcome", "recovery", "--controls", "age", "--json").json
    assert data["spec"]["controls"] == ["age"]


def test_ask_for_another_quantity_with_clusters_and_weights(whence: Any, trial: Path) -> None:
    lines = trial.read_text().splitlines()
    trial.write_text("\n".join(
        f"{line},{'ward,share' if i == 0 else f'w{i % 20},{1 + i % 3}'}" for i, line in enumerate(lines)
    ) + "\n")
    argv = ("ask", trial, "--treatment", "dose", "--outcome", "recovery", "--controls", "age", "--method", "regression")
    data = whence(*argv, "--quantity", "ATT", "--cluster", "ward", "--weights", "share", "--json").json
    assert (data["spec"]["quantity"], data["spec"]["cluster"], data["spec"]["weights"]) == ("ATT", "ward", "share")
    assert data["effect"]["diagnostics"]["clusters"] == 20
    assert whence(*argv, "--quantity", "XYZ").status == 2
    assert whence(*argv, "--cluster", "wrd").status == 2


def test_ask_with_a_description_as_file_or_text(whence: Any, trial: Path, tmp_path: Path) -> None:
    about = tmp_path / "about.txt"
    about.write_text("dose: whether the drug was given\nrecovery: how well the patient was after a month\n")
    for given in (about, about.read_text()):
        data = whence("ask", trial, "Does the drug make patients well?", "--about", given, "--json").json
        assert data["spec"]["treatments"] == ["dose"] and data["spec"]["outcomes"] == ["recovery"]


def test_an_unclear_question_is_3(whence: Any, trial: Path) -> None:
    ran = whence("ask", trial, "Do elephants cause thunder?", "--json")
    assert ran.status == 3 and ran.json["refused"]["reason"] and ran.json["effect"] is None
    assert whence("ask", trial, "Do elephants cause thunder?").status == 3


@pytest.mark.parametrize("extra", [
    (), ("Does dose raise recovery?", "--treatment", "dos"), ("Does dose raise recovery?", "--graph", "absent.dot"),
    ("Does dose raise recovery?", "--report", "trial.csv/x.html"),
    ("Does dose raise recovery?", "--report", "x.doc"),
    ("Does dose raise recovery?", "--about", "absent.txt"), ("Does dose raise recovery?", "--method", "magic"),
])
def test_ask_says_what_is_wrong(
    whence: Any, trial: Path, extra: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = whence("ask", trial, *extra, "--json")
    assert ran.status == 2, ran.out
    assert ran.json["error"]["code"] not in ("defect", "system")


def test_study_and_report(whence: Any, trial: Path, spec: Path, tmp_path: Path) -> None:
    page = tmp_path / "study.html"
    data = whence("study", trial, "--spec", spec, "--graph", GRAPH, "--json").json
    assert data["question"] is None and data["effect"] and data["alternatives"]
    ran = whence("report", trial, "--spec", spec, "--out", page)
    assert ran.status == 0 and page.stat().st_size > 5000 and str(page) in ran.out


# methods, doctor


def test_methods(whence: Any) -> None:
    data = whence("methods", "--json").json
    assert {m["task"] for m in data["methods"]} == {"discovery", "independence_test", "score", "estimation", "bounds",
                                                  "check", "heterogeneity"}
    assert all(m["task"] == "estimation" for m in whence("methods", "--task", "estimation", "--json").json["methods"])
    one = whence("methods", "aipw")
    assert one.status == 0
    for section in ("Assumes", "Parameters", "Sources"):
        assert section in one.out
    assert whence("methods", "aipv", "--json").json["error"]["hint"].count("aipw") == 1
    assert whence("methods", "--task", "magic").status == 2


def test_doctor(whence: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    data = whence("doctor", "--json").json
    assert data["healthy"] and data["kernel"]["backend"] in ("native", "numpy")
    assert {"python", "whence", "numpy", "duckdb"} <= set(data["versions"])
    assert {o["name"] for o in data["optional"]} >= {"causaldata", "pandas"}
    assert "All well." in whence("doctor").out

    import whence.cli.doctor as doctor

    monkeypatch.setitem(doctor.REQUIRED, "no-such-package", "no_such_module")
    ran = whence("doctor", "--json")
    assert ran.status == 1 and "no-such-package" in ran.json["problems"][0]


def test_doctor_names_the_way_to_what_is_missing(whence: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import whence.cli.doctor as doctor
    import whence.kernels as kernels

    monkeypatch.setattr(kernels, "BACKEND", "numpy")
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    monkeypatch.setitem(doctor.OPTIONAL, "no-such-package", ("no_such_module", "nothing"))
    ran = whence("doctor")
    assert ran.status == 0, "slower and without optional parts is still well"
    assert "C++17 compiler" in ran.out and "pip install no-such-package" in ran.out
