"""The command line, run in this process: fast, and a traceback shows where."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from whence.cli.main import main


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one object on stdout; fails when there is anything else, or a NaN."""
        return json.loads(self.out, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


@pytest.fixture
def whence(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """``whence("profile", path, "--json")`` -> ``Ran``."""
    monkeypatch.delenv("WHENCE_DEBUG", raising=False)

    def run(*argv: object) -> Ran:
        capsys.readouterr()
        status = main([str(word) for word in argv])
        out, err = capsys.readouterr()
        return Ran(status, out, err)

    return run


@pytest.fixture
def trial(tmp_path: Path) -> Path:
    """600 rows: age raises both dose and recovery; the effect of dose on recovery is 2."""
    rng = np.random.default_rng(7)
    age = rng.normal(50, 10, 600)
    dose = (rng.random(600) < 1 / (1 + np.exp(-(age - 50) / 10))).astype(int)
    recovery = 2 * dose + 0.1 * age + rng.normal(0, 1, 600)
    lines = [f"{a:.3f},{d},{r:.3f}" for a, d, r in zip(age, dose, recovery, strict=True)]
    path = tmp_path / "trial.csv"
    path.write_text("age,dose,recovery\n" + "\n".join(lines) + "\n")
    return path


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """The spec of the effect of dose on recovery given age."""
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(
        {"strategy": "adjustment", "treatments": ["dose"], "outcomes": ["recovery"], "controls": ["age"]}
    ))
    return path
