"""RCIT: as RCoT, with features of (x, z) and (y, z), which sees dependence that averages out over z."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from whence.data.table import Table
from whence.stats.citest import rcot
from whence.stats.citest.random_features import run
from whence.stats.citest.result import IndependenceTest

CARD = replace(
    rcot.CARD,
    name="rcit",
    title="Randomised conditional independence test",
    summary="A quick relative of KCI for thousands of rows: random waves of x together with the others are compared "
    "with random waves of y together with the others, after regression on waves of the others.",
    function="whence.stats.citest.rcit:rcit_test",
)


def rcit_test(
    table: Table, x: str, y: str, given: Sequence[str] = (), *, features: int = 5, features_given: int = 100,
    seed: int = 0,
) -> IndependenceTest:
    """Tests x independent of y given ``given`` on the rows where all of them are present; see ``rcot_test``.

    Both sides are joined with the conditioning variables, so that x and y are treated alike; the paper joins one.
    Raises ``WhenceError`` for unknown or repeated columns, and for datetime and text.
    """
    parameters = {"features": features, "features_given": features_given}
    return run(CARD, table, x, y, tuple(given), parameters, seed, joined=True)
