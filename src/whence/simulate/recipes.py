"""Sensors along a production line whose recipes skip machines: blocks of missing values by design.

After the generator described with COKE: Ou, T.-Y., Chang, C.-Y. and Peng, W.-C. (2024). COKE: Causal discovery with
chronological order and expert knowledge in high proportion of missing manufacturing data. Conference on Information
and Knowledge Management.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from whence.core.errors import WhenceError
from whence.core.rng import generator
from whence.data.table import Column, Table
from whence.graphs.classes import DAG
from whence.graphs.graph import ARROW, TAIL

MOST_CAUSES = 4
COMPLETE = 0.01  # share of rows in which no machine is skipped


@dataclass(frozen=True, eq=False)
class Line:
    """graph: over the sensors, arrows along the line. table: the rows, NaN where a recipe skips the machine.
    machines: the sensors of each machine, in the order of the line."""

    graph: DAG
    table: Table
    machines: tuple[tuple[str, ...], ...]


def production_line(
    n: int = 10_000, seed: int = 0, *, missing: float = 0.5, sensors: int = 50, machines: int = 20, recipes: int = 20,
    edges: int = 66,
) -> Line:
    """Linear Gaussian sensors: coefficients standard normal, unit noise, at most 4 causes each among earlier sensors.

    Each machine has at least one sensor. Each of the recipes skips each machine with probability ``missing``; rows
    have recipes at random, but one row in a hundred is complete. edges: expected before the limit of 4 causes. Raises
    ``WhenceError`` (``bad_parameter``) when there are more machines than sensors or ``missing`` is no probability.
    """
    if not 0 <= missing < 1 or not 1 <= machines <= sensors or min(n, recipes) < 1 or edges < 0:
        raise WhenceError("A line needs at least one sensor per machine, one row, one recipe, and a share of missing "
                          "values below 1.", code="bad_parameter", value={"missing": missing, "machines": machines})
    rng = generator(seed, "production_line")
    of = np.sort(np.concatenate([np.arange(machines), rng.integers(0, machines, sensors - machines)]))
    weights = np.zeros((sensors, sensors))
    for j in range(1, sensors):
        k = min(rng.binomial(j, min(1.0, edges / (sensors * (sensors - 1) / 2))), MOST_CAUSES)
        weights[rng.choice(j, k, replace=False), j] = rng.standard_normal(k)
    values = rng.standard_normal((n, sensors))
    for j in range(sensors):
        values[:, j] += values @ weights[:, j]
    skipped = (rng.random((recipes, machines)) < missing)[rng.integers(0, recipes, n)][:, of]
    skipped[: int(COMPLETE * n)] = False
    values[skipped] = np.nan
    # Names that do not tell the order: what comes first is knowledge to be given.
    names = tuple(f"s{k:0{len(str(sensors - 1))}d}" for k in rng.permutation(sensors))
    marks = np.zeros((sensors, sensors), dtype=np.int8)
    marks[weights != 0], marks.T[weights != 0] = ARROW, TAIL
    columns = {name: Column(name, "continuous", values[:, j].copy()) for j, name in enumerate(names)}
    groups = tuple(tuple(names[j] for j in np.flatnonzero(of == m)) for m in range(machines))
    return Line(DAG(names, marks), Table(MappingProxyType(columns), n, source="simulation"), groups)
