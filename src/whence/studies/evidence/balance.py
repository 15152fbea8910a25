"""How far one variable is from independent of others: a Bayes factor that knows what a small table cannot show."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

# Shares of variance that others may explain where there is dependence; equally likely beforehand.
SIZES = (0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.7)


def explained(target: np.ndarray, others: np.ndarray) -> tuple[float, int]:
    """R squared of a linear fit of ``target`` (n,) on ``others`` (n, k), and the rank of ``others``."""
    y = target - target.mean()
    total = float(y @ y)
    if others.shape[1] == 0 or total <= 0:
        return 0.0, 0
    x = others - others.mean(axis=0)
    sd = np.sqrt((x * x).mean(axis=0))
    x = x[:, sd > 0] / sd[sd > 0]
    if x.shape[1] == 0:
        return 0.0, 0
    values, vectors = np.linalg.eigh(x.T @ x)
    keep = values > 1e-9 * values[-1]
    along = (vectors[:, keep].T @ (x.T @ y)) / np.sqrt(values[keep])
    return min(float(along @ along) / total, 1.0), int(keep.sum())


@dataclass(frozen=True)
class Products:
    """Correlations of columns made once, so that many fits among them are cheap. at: name to its places (a category has
    several). correlations: (k, k). n: rows."""

    at: Mapping[str, tuple[int, ...]]
    correlations: np.ndarray
    n: int

    def explained(self, target: str, others: Iterable[str]) -> tuple[float, int]:
        """R squared of the (first) column of ``target`` on those of ``others``, and how many they are."""
        places = [i for name in others for i in self.at.get(name, ())][: max(1, self.n // 10)]
        if not places or target not in self.at:
            return 0.0, 0
        c = self.correlations[places, self.at[target][0]]
        gram = self.correlations[np.ix_(places, places)] + 1e-6 * np.eye(len(places))
        return float(np.clip(c @ np.linalg.solve(gram, c), 0.0, 1.0)), len(places)


def products(matrix: np.ndarray, sources: Sequence[str]) -> Products:
    """Correlations of the columns of ``matrix`` (n, k); ``sources``: the name behind each. Constants are left out."""
    x = matrix - matrix.mean(axis=0)
    sd = np.sqrt((x * x).mean(axis=0))
    keep = np.flatnonzero(sd > 1e-12 * np.abs(matrix).max(axis=0, initial=0.0))
    x = x[:, keep] / sd[keep]
    at: dict[str, tuple[int, ...]] = {}
    for place, i in enumerate(keep.tolist()):
        at[sources[i]] = (*at.get(sources[i], ()), place)
    return Products(at, x.T @ x / max(len(x), 1), len(x))


def log_dependence(r2: float, n: int, k: int) -> float:
    """Log Bayes factor for dependence of a variable on ``k`` others against independence, from its R squared.

    Zellner's g-prior has a closed form (Liang et al. 2008, eq. 6), mixed here over the ``SIZES`` that the dependence
    may have. Positive: dependent. Near 0 where ``n`` is too small to tell.
    """
    if k == 0 or n <= k + 2:
        return 0.0
    logs = []
    for size in SIZES:
        g = n / k * size / (1 - size)
        logs.append((n - 1 - k) / 2 * math.log1p(g) - (n - 1) / 2 * math.log1p(g * (1 - r2)))
    top = max(logs)
    return top + math.log(sum(math.exp(v - top) for v in logs) / len(logs))
