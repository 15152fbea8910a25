"""Draws of who is treated, by the rule of an experiment: within strata, as many as were, every choice as likely."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from whence.core.progress import SILENT, Progress

CHUNK = 4_000_000  # assignments times units worked on at once


@dataclass(frozen=True)
class Draws:
    """The rule of an assignment. strata: int (u,), 0 .. s - 1, all present. treated: bool (u,), as it came out."""

    strata: np.ndarray
    treated: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        """Units by stratum, int (s,)."""
        return np.bincount(self.strata)

    @property
    def chosen(self) -> np.ndarray:
        """Treated units by stratum, int (s,)."""
        return np.bincount(self.strata, self.treated).astype(np.int64)

    def log_count(self) -> float:
        """Natural logarithm of the number of assignments."""
        return sum(math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
                   for n, k in zip(self.sizes.tolist(), self.chosen.tolist(), strict=True))

    def count(self) -> int:
        """The exact number of assignments; ask ``log_count`` first whether it is a small one."""
        return math.prod(math.comb(n, k) for n, k in zip(self.sizes.tolist(), self.chosen.tolist(), strict=True))


def observed_sums(draws: Draws, columns: np.ndarray) -> np.ndarray:
    """Sums (1, s, k) of ``columns`` (u, k) over the treated of each stratum, as the assignment came out."""
    return np.column_stack([np.bincount(draws.strata, c * draws.treated) for c in columns.T])[None]


def every_assignment(draws: Draws, columns: np.ndarray) -> np.ndarray:
    """``observed_sums`` of every assignment, (count, s, k); the first varies slowest."""
    per_stratum = []
    for s, k in enumerate(draws.chosen.tolist()):
        units = columns[draws.strata == s]
        per_stratum.append(np.array([units[list(c)].sum(axis=0) for c in itertools.combinations(range(len(units)), k)]))
    where = np.unravel_index(np.arange(draws.count()), [len(table) for table in per_stratum])
    return np.stack([table[at] for table, at in zip(per_stratum, where, strict=True)], axis=1)


def random_assignments(
    draws: Draws, columns: np.ndarray, number: int, rng: np.random.Generator, progress: Progress = SILENT
) -> Iterator[np.ndarray]:
    """``observed_sums`` of ``number`` random assignments, in parts (c, s, k)."""
    alike, group = np.unique(np.column_stack([draws.sizes, draws.chosen]), axis=0, return_inverse=True)
    group = group.ravel()
    order = np.argsort(draws.strata, kind="stable")
    starts = np.concatenate([[0], np.cumsum(draws.sizes)])[:-1]
    step = max(1, CHUNK // len(draws.strata))
    for begin in range(0, number, step):
        c = min(step, number - begin)
        out = np.empty((c, len(draws.sizes), columns.shape[1]))
        for g, (size, k) in enumerate(alike.tolist()):
            strata = np.flatnonzero(group == g)
            units = order[starts[strata][:, None] + np.arange(size)]  # (strata, size)
            out[:, strata] = _picked(columns[units], k, c, rng)
        yield out
        progress.step(c)


def _picked(columns: np.ndarray, k: int, number: int, rng: np.random.Generator) -> np.ndarray:
    """Sums (number, s, c) over ``k`` random units of each stratum; columns: (s, size, c)."""
    strata, size, _ = columns.shape
    if k in (1, size - 1):
        one = columns[np.arange(strata), rng.integers(0, size, (number, strata))]
        return one if k == 1 else columns.sum(axis=1) - one
    pattern = np.tile((np.arange(size) < k).astype(np.uint8), (number * strata, 1))
    picked = rng.permuted(pattern, axis=1).reshape(number, strata, size).transpose(1, 0, 2)
    return np.matmul(picked.astype(float), columns).transpose(1, 0, 2)
