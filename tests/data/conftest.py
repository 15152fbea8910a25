"""Files for the data tests; text files are read both ways, record by record and through the database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from whence.data import largefile, load


@pytest.fixture(params=["records", "database", "backed"])
def route(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How text files are read: small, large but held in memory, or large and left in the database."""
    if request.param != "records":
        monkeypatch.setattr(load, "SMALL_FILE", -1)
        monkeypatch.setattr(load, "SMALL_WIDE_FILE", -1)
    if request.param == "backed":
        monkeypatch.setattr(largefile, "EAGER_CELLS", -1)
    return request.param


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    """``file(content, name)`` writes a file and gives its path."""

    def write(content: str | bytes, name: str = "t.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write
