"""Several treatments as a reader sees them: by name, each in units of its own."""

from __future__ import annotations

import json

import numpy as np
import pytest

import whence
from whence.report.prose import answer_sentence, sureness


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(1)
    x, z1, z2, noise = rng.normal(size=(4, 300))
    drug = (x + z1 + rng.normal(size=300) > 0).astype(int)
    dollars = np.round(1000 * (x + z2 + rng.normal(size=300)), 1)
    y = drug + dollars / 5000 + x + noise
    lines = ["drug,dollars,y,x,z1,z2"] + [",".join(str(v) for v in row)
                                         for row in zip(drug, dollars, y, x, z1, z2, strict=True)]
    (tmp_path / "d.csv").write_text("\n".join(lines))
    return tmp_path


def spec(strategy, **more):
    return {"strategy": strategy, "treatments": ["drug", "dollars"], "outcomes": ["y"], "controls": ["x"]} | more


def test_the_report_names_the_treatments(folder):
    finding = whence.study(str(folder / "d.csv"), spec=spec("adjustment")).run()
    assert "setting drug to 1 rather than 0, with dollars held fixed," in answer_sentence(finding)
    assert "drug and dollars were not assigned by chance" in sureness(finding)
    finding.report(str(folder / "r.html"))
    page = (folder / "r.html").read_text()
    assert "drug (1 vs 0)" in page and "dollars (one more unit)" in page
    assert "Each treatment, the others held fixed" in page
    assert not finding.alternatives  # those that take one treatment are not tried


def test_other_designs_name_them_too(folder):
    lot = whence.study(str(folder / "d.csv"), spec=spec("rct")).run()
    assert "As drug and dollars were assigned at random," in answer_sentence(lot)
    moved = whence.study(str(folder / "d.csv"), spec=spec("iv", instruments=["z1", "z2"], controls=[])).run()
    assert "what z1 and z2 moved of them is used alone" in sureness(moved)


def test_the_command_line_shows_each_with_its_own_digits(folder, capsys):
    from whence.cli.main import main

    (folder / "s.json").write_text(json.dumps(spec("adjustment")))
    code = main(["estimate", str(folder / "d.csv"), "--spec", str(folder / "s.json"), "--no-checks"])
    shown = capsys.readouterr().out
    assert not code and "Each treatment" in shown and "drug (1 vs 0)" in shown
    row = next(line for line in shown.splitlines() if line.startswith("dollars (one more unit)"))
    assert "× 10" in row and "× 10" not in shown.split("drug (1 vs 0)")[1].splitlines()[0]
