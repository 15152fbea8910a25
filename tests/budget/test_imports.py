"""What start-up may cost: CPU time (user + system) of a fresh process, best of several."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

HEAVY = ("numpy", "scipy.stats", "scipy", "sklearn", "duckdb", "pandas", "pydantic", "rich", "cyclopts", "narwhals")
RUNS = 7


def cpu(*commands: Sequence[str], runs: int = RUNS) -> list[float]:
    """Least CPU seconds of each command. They take turns, so that a busy spell of the machine hits all alike."""
    least = [float("inf")] * len(commands)
    for _ in range(runs):
        for i, command in enumerate(commands):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            spent = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
            least[i] = min(least[i], spent)
    return least


def test_import_whence_costs_at_most_60_ms_above_python() -> None:
    bare, ours = cpu([sys.executable, "-c", "pass"], [sys.executable, "-c", "import whence"])
    assert ours - bare <= 0.060, f"{1000 * (ours - bare):.0f} ms above bare Python"


def test_import_whence_loads_nothing_heavy() -> None:
    code = f"import whence, sys; print([m for m in {HEAVY!r} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_version_takes_at_most_150_ms() -> None:
    (spent,) = cpu([sys.executable, "-m", "whence", "--version"])
    assert spent <= 0.150, f"{1000 * spent:.0f} ms"


def test_the_commands_load_only_what_they_use() -> None:
    """``whence methods`` reads cards: no data frame, file or learning library."""
    code = (
        "import sys; from whence.cli.main import main; status = main(['methods']); "
        "heavy = [m for m in ('scipy.stats', 'sklearn', 'duckdb', 'pandas', 'pydantic') if m in sys.modules]; "
        "sys.exit(f'status {status}, loaded {heavy}' if status or heavy else 0)"
    )
    ran = subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert ran.returncode == 0, ran.stderr


@pytest.fixture(scope="module")
def thousand_rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(11)
    latent = rng.normal(size=1000)
    columns = {
        "id": np.arange(1000), "age": np.round(50 + 10 * latent, 1), "sex": rng.choice(["f", "m"], 1000),
        "site": rng.choice(["north", "south", "east"], 1000), "dose": (latent + rng.normal(size=1000) > 0).astype(int),
        "visits": rng.poisson(3, 1000), "income": np.round(np.exp(latent + rng.normal(size=1000)), 2),
        "score": np.where(rng.random(1000) < 0.1, "", np.round(latent + rng.normal(size=1000), 3).astype(str)),
        "day": np.datetime64("2020-01-01") + rng.integers(0, 700, 1000), "noise": rng.normal(size=1000),
    }
    path = tmp_path_factory.mktemp("budget") / "thousand.csv"
    lines = [",".join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    path.write_text(",".join(columns) + "\n" + "\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("extra", [(), ("--json",)])
def test_profile_of_a_thousand_rows_takes_at_most_1500_ms(thousand_rows: Path, extra: tuple[str, ...]) -> None:
    (spent,) = cpu([sys.executable, "-m", "whence", "profile", str(thousand_rows), *extra], runs=3)
    assert spent <= 1.5, f"{spent:.2f} s"
