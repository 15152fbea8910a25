"""Shared fixtures. Reference cases are optional: tests that need them skip when they are absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

CASES = Path(os.environ.get("WHENCE_CASES", Path(__file__).resolve().parents[2] / "shared" / "cases"))


@pytest.fixture(scope="session")
def cases() -> Path:
    """Folder of reference cases (``WHENCE_CASES``, or beside the checkout)."""
    if not CASES.is_dir():
        pytest.skip("the reference cases are not here; set WHENCE_CASES to use them")
    return CASES
