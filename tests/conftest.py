"""Shared fixtures. Reference cases are optional: tests that need them skip when they are absent."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

CASES = Path(os.environ.get("WHENCE_CASES", Path(__file__).resolve().parents[2] / "shared" / "cases"))


@pytest.fixture(scope="session")
def cases() -> Path:
    """Folder of reference cases (``WHENCE_CASES``, or beside the checkout)."""
    if not CASES.is_dir():
        pytest.skip("the reference cases are not here; set WHENCE_CASES to use them")
    return CASES


@pytest.fixture(scope="session")
def make_table() -> Callable[..., Any]:
    """``make_table(columns, **kinds)``: a table built without the reader; kinds default to continuous."""
    from whence.data.table import CODED, Column, Table

    def make(columns: Mapping[str, Any], **kinds: str) -> Table:
        made = {}
        for name, given in columns.items():
            kind = kinds.get(name, "continuous")
            values = np.asarray(given)
            if kind in CODED:
                levels, codes = np.unique(values, return_inverse=True)
                made[name] = Column(name, kind, codes.astype(np.int32), tuple(levels.tolist()))
            else:
                made[name] = Column(name, kind, values.astype(object if kind == "text" else float))
        return Table(MappingProxyType(made), len(values))

    return make
