"""``whence discover --alpha-path``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from whence.cli.main import main
from whence.cli.status import ANSWERED, REFUSED


@pytest.fixture
def data(tmp_path: Path) -> str:
    rng = np.random.default_rng(1)
    a = rng.standard_normal(400)
    b = 0.1 * a + rng.standard_normal(400)
    file = tmp_path / "data.csv"
    np.savetxt(file, np.column_stack([a, b]), delimiter=",", header="a,b", comments="")
    return str(file)


def test_ranges_on_the_screen_and_as_json(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["discover", data, "--alpha-path"]) == ANSWERED
    shown = capsys.readouterr().out
    assert "a, b not joined" in shown and "a --- b" in shown
    assert main(["discover", data, "--alpha-path", "--json"]) == ANSWERED
    told = json.loads(capsys.readouterr().out)["alpha_path"]
    apart, joined = told["pairs"][0]["held"]
    assert apart["edge"] is None and joined["edge"] == "---"
    assert apart["high"] < apart["p_value"] <= joined["low"]


def test_what_does_not_go_together_and_too_few_rows(data: str, tmp_path: Path,
                                                    capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["discover", data, "--alpha-path", "--alpha", "0.1"]) not in (ANSWERED, REFUSED)
    assert "does not go with it" in capsys.readouterr().err
    small = tmp_path / "small.csv"
    small.write_text("a,b\n1,2\n2,1\n3,5\n")
    assert main(["discover", str(small), "--alpha-path"]) == REFUSED
    assert main(["discover", str(small), "--alpha-path", "--json"]) == REFUSED


def test_one_graph_with_the_levels_of_its_edges(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["discover", data, "--alpha", "0.09", "--param", "alpha_path=true"]) == ANSWERED
    shown = capsys.readouterr().out
    assert "a --- b" in shown and "from level" in shown
