"""Rows in space: those within a distance of each other depend on each other (Conley 1999)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from whence.stats.covariance import Dependence, merge, small_sample

EARTH_KM = 6371.0088  # mean radius
BLOCK = 2_000_000  # distances held at once


@dataclass(frozen=True)
class Spatial:
    """latitude, longitude: float (n,), degrees. distance_km: rows further apart are independent. kernel:
    ``"bartlett"``, weights that fall linearly with the distance, or ``"uniform"``, weight 1 up to it."""

    latitude: np.ndarray
    longitude: np.ndarray
    distance_km: float
    kernel: str

    name = "conley"

    @property
    def df(self) -> float:
        return self._small[1]

    @property
    def words(self) -> str:
        return (f"robust to dependence among rows up to {self.distance_km:g} km apart (Conley, {self.kernel} kernel), "
                f"t with {self.df:.0f} degrees of freedom")

    def _blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Rows (a,), all rows in their band of latitudes (b,), and the weights between them (a, b)."""
        order = np.argsort(self.latitude, kind="stable")
        north = self.latitude[order]
        up, east = np.deg2rad(self.latitude), np.deg2rad(self.longitude)
        point = np.column_stack([np.cos(up) * np.cos(east), np.cos(up) * np.sin(east), np.sin(up)])
        reach = np.rad2deg(self.distance_km / EARTH_KM)
        start, n = 0, len(order)
        while start < n:
            size = max(1, BLOCK // n)
            mine = order[start : start + size]
            low, high = np.searchsorted(north, [north[start] - reach, north[min(start + size, n) - 1] + reach + 1e-9])
            near = order[low:high]
            chord = np.sqrt(np.maximum(2 - 2 * point[mine] @ point[near].T, 0.0))
            km = 2 * EARTH_KM * np.arcsin(np.minimum(chord / 2, 1.0))
            km[mine[:, None] == near] = 0.0  # rounding puts a row some centimetres from itself
            inside = km <= self.distance_km
            yield mine, near, inside * (1 - km / self.distance_km if self.kernel == "bartlett" else 1.0)
            start += size

    @cached_property
    def _small(self) -> tuple[float, float]:
        rows, squares = np.zeros(len(self.latitude)), 0.0
        for mine, _, weight in self._blocks():
            rows[mine] = weight.sum(axis=1)
            squares += float(np.einsum("ij,ij->", weight, weight))
        return small_sample(len(rows), float(rows.sum()), squares, float(rows @ rows))

    def products(self, values: np.ndarray) -> np.ndarray:
        total = np.zeros((values.shape[1],) * 2)
        for mine, near, weight in self._blocks():
            total += values[mine].T @ (weight @ values[near])
        return (total + total.T) / 2 * self._small[0]

    def take(self, keep: np.ndarray) -> Spatial:
        return replace(self, latitude=self.latitude[keep], longitude=self.longitude[keep])

    def merged(self, other: Dependence, rows: np.ndarray, mine: np.ndarray, theirs: np.ndarray) -> Spatial | None:
        if not isinstance(other, Spatial) or (other.distance_km, other.kernel) != (self.distance_km, self.kernel):
            return None
        return Spatial(merge(rows, mine, theirs, self.latitude, other.latitude),
                       merge(rows, mine, theirs, self.longitude, other.longitude), self.distance_km, self.kernel)
