"""Random directed acyclic graphs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from whence.core.errors import WhenceError
from whence.core.rng import generator
from whence.graphs.classes import DAG
from whence.graphs.graph import ARROW, TAIL


def random_dag(nodes: int | Sequence[str], degree: float = 2.0, seed: int = 0) -> DAG:
    """An Erdos-Renyi DAG with ``degree`` neighbours expected per node.

    Each pair is joined with probability ``degree / (d - 1)``; arrows follow a random order of the nodes,
    which says nothing about the order of the names. nodes: how many (named x0, x1, ...), or their names.

    Raises ``WhenceError`` (``bad_parameter``) for fewer than one node or an impossible degree.
    """
    if isinstance(nodes, int):
        width = len(str(max(nodes - 1, 0)))
        names = tuple(f"x{i:0{width}d}" for i in range(nodes))
    else:
        names = tuple(nodes)
    d = len(names)
    if d < 1 or not 0 <= degree <= max(d - 1, 0):
        raise WhenceError(
            f"A graph of {d} nodes cannot have {degree} neighbours per node.",
            code="bad_parameter", value=degree, allowed=f"numbers between 0 and {max(d - 1, 0)}",
        )
    rng = generator(seed, "random_dag", d)
    order = rng.permutation(d)
    joined = np.triu(rng.random((d, d)) < degree / max(d - 1, 1), 1)
    marks = np.zeros((d, d), dtype=np.int8)
    tail, head = (order[side] for side in np.nonzero(joined))
    marks[tail, head], marks[head, tail] = ARROW, TAIL
    return DAG(names, marks)
