"""The source speaks of the project alone: no path of a machine, no name of a data set it was tried on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    p.relative_to(ROOT).as_posix()
    for folder, pattern in (("src", "*"), ("cpp", "*"), ("bench", "*.py"), ("tests", "*.py"))
    for p in (ROOT / folder).rglob(pattern)
    if p.is_file() and p.suffix in {".py", ".cpp", ".hpp", ".h", ".html", ".css", ".js", ".j2", ".txt", ".md"}
)
ABSOLUTE = re.compile(r"""(?<![\w.:/<])(?:/(?:home|root|Users|work|mnt|srv|opt|workspace)/\w|[A-Z]:\\\\?Users)""")
HOSTS = re.compile(r"\b(?:localhost:\d+|\d{1,3}(?:\.\d{1,3}){3}:\d+)\b")
# Reference data sets: a library that knows them by name would be tuned to them. The demonstration may name its own.
DATA_SETS = re.compile(r"\b(?:nsw_dw|psid_controls|cps_controls|lalonde|ihdp|acic\d*|realcause|darfur|prop99|mpdta|"
                       r"qsmk|wt82_71|alarm|hailfinder|hepar2|win95pts|sachs)\b", re.IGNORECASE)
DEMO = {"src/whence/studies/demo.py", "src/whence/cli/demo.py"}


@pytest.mark.parametrize("file", SOURCES)
def test_no_path_of_a_machine(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    if file == "tests/budget/test_no_working_paths.py":
        return
    for pattern in (ABSOLUTE, HOSTS):
        found = pattern.search(text)
        assert found is None, f"line {text[: found.start()].count(chr(10)) + 1}: {found[0]}"


@pytest.mark.parametrize("file", [f for f in SOURCES if f.startswith("src/") and f not in DEMO])
def test_no_data_set_is_known_by_name(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    found = DATA_SETS.search(text)
    assert found is None, f"line {text[: found.start()].count(chr(10)) + 1}: {found[0]}"
