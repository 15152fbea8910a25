"""Tables made in the test, and effects on them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from whence.core.result import Refused
from whence.data.table import Column, Table
from whence.estimation.effect import Effect
from whence.estimation.estimate import estimate
from whence.identification.spec import Spec


def _column(name: str, values: Any) -> Column:
    """Words become a categorical column (None is missing), two numbers a binary one, others continuous."""
    array = np.asarray(values)
    if array.dtype.kind in "OUS":
        levels = sorted({v for v in array.tolist() if v is not None})
        codes = np.array([-1 if v is None else levels.index(v) for v in array.tolist()], dtype=np.int32)
        return Column(name, "binary" if len(levels) == 2 else "categorical", codes, tuple(levels))
    array = array.astype(float)
    levels = np.unique(array[~np.isnan(array)])
    if len(levels) == 2:
        codes = np.where(np.isnan(array), -1, np.searchsorted(levels, array)).astype(np.int32)
        return Column(name, "binary", codes, tuple(levels.tolist()))
    return Column(name, "continuous", array.copy())


def _table(columns: Mapping[str, Any]) -> Table:
    made = {name: _column(name, values) for name, values in columns.items()}
    return Table(MappingProxyType(made), len(next(iter(made.values())).values))


def _effect(table: Table, controls: Sequence[str] = (), method: str = "regression", **given: Any) -> Effect:
    """The effect of d on y; keywords of the spec first, the rest are the method's parameters."""
    fields = {k: given.pop(k) for k in list(given) if k in Spec.__dataclass_fields__}
    spec = Spec(**{"strategy": "adjustment", "treatments": ("d",), "outcomes": ("y",), "controls": tuple(controls),
                   **fields})
    found = estimate(table, spec, method, **given)
    assert not isinstance(found, Refused), found
    return found


def _case(path: Path, names: Sequence[str], words: Sequence[str] = ()) -> Table:
    """Some columns of a CSV file; those in ``words`` stay text."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return _table({
        name: np.array([r[name] or None for r in rows], dtype=object) if name in words
        else np.array([float(r[name]) if r[name] else np.nan for r in rows])
        for name in names
    })


@pytest.fixture(scope="session")
def table_of() -> Callable[..., Table]:
    return _table


@pytest.fixture(scope="session")
def effect_of() -> Callable[..., Effect]:
    return _effect


@pytest.fixture(scope="session")
def nhefs(cases: Path) -> Table:
    """The nine usual confounders of smoking cessation and weight gain; 1,566 complete rows."""
    names = "qsmk wt82_71 sex race age education smokeintensity smokeyrs exercise active wt71".split()
    return _case(cases / "effects" / "nhefs.csv", names, words=("education", "exercise", "active"))


@pytest.fixture(scope="session")
def darfur(cases: Path) -> Table:
    names = ("directlyharmed peacefactor age farmer_dar herder_dar pastvoted hhsize_darfur village female").split()
    return _case(cases / "effects" / "darfur.csv", names, words=("village",))


@pytest.fixture(scope="session")
def confounded() -> Table:
    """A true effect of 1 of d on y; x1 confounds, x2 only affects y, group is a category with words."""
    rng = np.random.default_rng(11)
    n = 600
    x1, x2 = rng.normal(size=(2, n))
    group = rng.choice(np.array(["a", "b", "c"], dtype=object), n)
    d = (rng.random(n) < 1 / (1 + np.exp(-0.6 * x1 - 0.3 * (group == "b")))).astype(float)
    y = 1.0 * d + 0.8 * x1 + 0.5 * x2 + 0.4 * (group == "b") + rng.normal(size=n)
    return _table({"d": d, "y": y, "x1": x1, "x2": x2, "group": group})
