"""``whence conditional``: effects that differ, on the screen and as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

QUICK = ("--param", "trees=60", "outcome_learner=linear", "treatment_learner=linear")


@pytest.fixture
def differing(tmp_path: Path) -> tuple[Path, Path]:
    """An experiment on 800 people whose effect is 1 + need, and its spec."""
    rng = np.random.default_rng(3)
    age, need = rng.standard_normal((2, 800))
    dose = rng.integers(0, 2, 800)
    score = age + (1 + need) * dose + rng.standard_normal(800)
    data, spec = tmp_path / "data.csv", tmp_path / "spec.json"
    lines = [f"{a:.4f},{b:.4f},{d},{y:.4f}" for a, b, d, y in zip(age, need, dose, score, strict=True)]
    data.write_text("age,need,dose,score\n" + "\n".join(lines) + "\n")
    spec.write_text(json.dumps({"strategy": "rct", "treatments": ["dose"], "outcomes": ["score"],
                                "controls": ["age", "need"]}))
    return data, spec


def test_it_says_who_benefits(whence: Any, differing: tuple[Path, Path]) -> None:
    data, spec = differing
    plain = whence("conditional", data, "--spec", spec, *QUICK)
    assert plain.status == 0 and "differs between people in a way that can be foreseen" in plain.out
    assert "most affected" in plain.out and "need (" in plain.out and "Assumes" in plain.out
    told = whence("conditional", data, "--spec", spec, "--by", "need", "--json", *QUICK).json
    assert set(told) == {"schema", "spec", "conditional", "rate", "groups", "refused"} and told["refused"] is None
    assert len(told["conditional"]["effects"]) == 800 and told["conditional"]["by"] == ["need"]
    assert told["rate"]["autoc"]["interval"][0] > 0


def test_the_page_is_written(whence: Any, differing: tuple[Path, Path], tmp_path: Path) -> None:
    data, spec = differing
    ran = whence("conditional", data, "--spec", spec, "--report", tmp_path / "who.html", *QUICK)
    assert ran.status == 0 and "who.html" in ran.out
    assert "Who benefits from dose?" in (tmp_path / "who.html").read_text()
    assert whence("conditional", data, "--spec", spec, "--report", tmp_path / "who.pdf").status == 2


def test_a_refusal_is_3(whence: Any, differing: tuple[Path, Path]) -> None:
    data, spec = differing
    given = json.loads(spec.read_text()) | {"controls": []}
    ran = whence("conditional", data, "--spec", json.dumps(given), "--json")
    assert ran.status == 3 and ran.json["refused"]["code"] == "nothing_to_differ_by" and ran.json["rate"] is None
    plain = whence("conditional", data, "--spec", json.dumps(given))
    assert plain.status == 3 and "No answer" in plain.out


@pytest.mark.parametrize("extra, code", [
    (("--method", "aipw"), "unknown_method"), (("--by", "nothing"), "unknown_column"),
    (("--by", "dose"), "role_conflict"), (("--param", "trees=3"), "bad_parameter"),
    (("--param", "depth=3"), "unknown_parameter"),
])
def test_it_says_what_is_wrong(whence: Any, differing: tuple[Path, Path], extra: tuple[str, ...], code: str) -> None:
    data, spec = differing
    ran = whence("conditional", data, "--spec", spec, *extra, "--json")
    assert ran.status == 2 and ran.json["error"]["code"] == code
