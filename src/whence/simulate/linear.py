"""Linear Gaussian structural equation models: x_j = sum over parents i of w_ij x_i + noise_j."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from whence.core.rng import generator
from whence.data.table import Column, Table
from whence.graphs.classes import DAG
from whence.graphs.graph import ARROW, TAIL


@dataclass(frozen=True, eq=False)
class LinearGaussian:
    """A DAG with its coefficients.

    weights: (d, d), ``weights[i, j]`` is the direct effect of i on j. noise_variance: (d,).
    """

    graph: DAG
    weights: np.ndarray
    noise_variance: np.ndarray

    @functools.cached_property
    def total_effects(self) -> np.ndarray:
        """(d, d): entry i, j is the change of j when i is set one unit higher; the diagonal is 1."""
        return np.linalg.inv(np.eye(len(self.weights)) - self.weights)

    @functools.cached_property
    def covariance(self) -> np.ndarray:
        """(d, d) covariance of the population."""
        return self.total_effects.T @ (self.noise_variance[:, None] * self.total_effects)

    def sample(self, n: int, seed: int = 0) -> Table:
        """``n`` independent rows. Each node has its own stream, so the order of the names does not matter."""
        names = self.graph.names
        noise = np.column_stack([generator(seed, "noise", name).standard_normal(n) for name in names])
        values = (noise * np.sqrt(self.noise_variance)) @ self.total_effects
        columns = {name: Column(name, "continuous", values[:, i].copy()) for i, name in enumerate(names)}
        return Table(MappingProxyType(columns), n, source="simulation")


def linear_gaussian(
    graph: DAG, seed: int = 0, *, smallest: float = 0.5, largest: float = 1.5
) -> LinearGaussian:
    """Coefficients uniform on [smallest, largest] with a random sign; noise of variance one."""
    d = len(graph)
    weights = np.zeros((d, d))
    for i, j in np.argwhere((graph.marks == ARROW) & (graph.marks.T == TAIL)):
        rng = generator(seed, "weight", graph.names[i], graph.names[j])
        weights[i, j] = rng.uniform(smallest, largest) * rng.choice((-1.0, 1.0))
    return LinearGaussian(graph, weights, np.ones(d))
