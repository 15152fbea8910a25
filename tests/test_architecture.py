"""ARCHITECTURE.md is kept true: its layers are the enforced ones and its paths exist."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")


def section(name: str) -> str:
    found = re.search(rf"<!-- {name}:.*?-->(.*?)<!-- end {name} -->", TEXT, re.DOTALL)
    assert found, f"ARCHITECTURE.md has lost its {name} section"
    return found[1]


def layer_rows() -> list[set[str]]:
    rows = [line.split("|")[1] for line in section("layers").splitlines() if line.startswith("| `")]
    return [set(re.findall(r"`(\w+)`", row)) for row in rows]


def test_layers_are_those_that_import_linter_enforces() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    enforced = [set(re.split(r"\W+", line)) for line in config["tool"]["importlinter"]["contracts"][0]["layers"]]
    assert layer_rows() == enforced


def test_every_package_stands_in_exactly_one_layer() -> None:
    packages = {p.parent.name for p in (ROOT / "src" / "whence").glob("*/__init__.py")}
    named = [name for row in layer_rows() for name in row]
    assert sorted(named) == sorted(packages)


def test_every_path_exists() -> None:
    places = section("places")
    paths = re.findall(r"`((?:src|tests|cpp|bench)/[\w./]*)`", places)
    assert len(paths) > 15
    missing = [p for p in paths if not (ROOT / p).exists()]
    assert not missing


def test_every_pattern_file_exists() -> None:
    for folder, name in re.findall(r"`(src/whence/[\w/]+/)` with a `CARD`; take `(\w+\.py)`", section("places")):
        assert (ROOT / folder / name).exists(), f"{folder}{name}"


def test_it_fits_one_screen_of_lines() -> None:
    assert len(TEXT.splitlines()) <= 80
