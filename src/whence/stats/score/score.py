"""A decomposable score: how well a graph fits the data, as a sum over the nodes given their parents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from whence.core.errors import unknown_name
from whence.core.result import Remark


class Kernel(Protocol):
    """The numbers behind a score (``whence.kernels.scores``): variables are places in ``names``."""

    @property
    def size(self) -> int: ...
    def local(self, y: int, parents: np.ndarray) -> float: ...
    def additions(self, y: int, parents: np.ndarray, out: np.ndarray) -> None: ...


@dataclass(frozen=True, eq=False)
class Score:
    """The score of every graph over ``names``; higher is better.

    method: its card. n: rows used, or their average over the pairs of columns when values are missing.
    parameters: as used. remarks: what was done about missing values.
    """

    method: str
    names: tuple[str, ...]
    n: int
    parameters: Mapping[str, Any]
    kernel: Kernel = field(repr=False)
    remarks: tuple[Remark, ...] = ()

    def local(self, child: str, parents: Iterable[str] = ()) -> float:
        """The part of ``child`` when these are its parents. Raises ``WhenceError`` (``unknown_node``)."""
        at = {name: i for i, name in enumerate(self.names)}
        for name in (child, *(parents := tuple(parents))):
            if name not in at:
                raise unknown_name("node", name, self.names, code="unknown_node")
        return self.kernel.local(at[child], np.array(sorted(at[p] for p in parents), dtype=np.int32))

    def total(self, parents: Mapping[str, Iterable[str]]) -> float:
        """The score of a DAG given as parents by node; nodes that are not mentioned have none."""
        return sum(self.local(name, parents.get(name, ())) for name in self.names)
