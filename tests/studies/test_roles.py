"""Columns that may be controls, and the reason for each that may not."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import pytest

from whence.data.table import Column, Table
from whence.studies.roles import choose_controls
from whence.studies.words import descriptions

N = 200
RNG = np.random.default_rng(0)


def table(**columns: Column) -> Table:
    return Table(MappingProxyType(dict(columns)), N)


def continuous(name: str, values: np.ndarray) -> Column:
    return Column(name, "continuous", np.array(values, dtype=float))


def binary(name: str, values: np.ndarray) -> Column:
    return Column(name, "binary", np.array(values, dtype=np.int32), (0, 1))


@pytest.fixture
def data() -> Table:
    treated, outcome = RNG.integers(0, 2, N), RNG.normal(size=N)
    gaps = RNG.normal(size=N)
    gaps[: N // 2] = np.nan
    text = np.array([f"note {i}" for i in range(N)], dtype=object)
    codes = np.arange(N, dtype=np.int32)
    return table(
        treated=binary("treated", treated), score=continuous("score", outcome),
        age=continuous("age", RNG.normal(size=N)), person_id=continuous("person_id", np.arange(N)),
        flat=continuous("flat", np.ones(N)), gaps=continuous("gaps", gaps), note=Column("note", "text", text),
        name=Column("name", "categorical", codes, tuple(f"n{i}" for i in range(N))),
        score_copy=continuous("score_copy", 2 * outcome + 1),
        mood_followup=continuous("mood_followup", RNG.normal(size=N)),
        income=continuous("income", RNG.normal(size=N)), empty=continuous("empty", np.full(N, np.nan)),
        later=continuous("later", RNG.normal(size=N)),
    )


def test_each_exclusion_has_its_reason(data: Table) -> None:
    about = "treated: in the programme in 2001\nincome: income in 1999\nlater: income in 2003\n"
    kept, left_out = choose_controls(data, "treated", "score", descriptions(about, data.names))
    assert kept == ("age", "income")
    reasons = {r.about[0]: r.text for r in left_out}
    for name, word in [("person_id", "identifies"), ("flat", "same value"), ("gaps", "missing on 50%"),
                       ("note", "free text"), ("name", "identifies"), ("score_copy", "copy of the outcome"),
                       ("mood_followup", "after the treatment"), ("empty", "missing on every row"), ("later", "2003")]:
        assert word in reasons[name], reasons[name]
    assert set(kept) | set(reasons) == set(data.names) - {"treated", "score"}


def test_the_order_of_the_columns_does_not_matter(data: Table) -> None:
    again = data.select(data.names[::-1])
    assert choose_controls(data, "treated", "score", {})[0] == choose_controls(again, "treated", "score", {})[0]
