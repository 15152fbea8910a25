"""Interval coverage of interference, 300 sets each (Monte Carlo error 1.26 %; 91.5 to 98.5 % allowed): outcomes of
independent rows and of rows that share causes with their neighbours; regression and doubly robust; many small parts."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import pytest

from whence.data.network import Network
from whence.data.table import Column, Table
from whence.estimation.estimate import estimate
from whence.identification.spec import Spec

SPEC = Spec("interference", ("d",), ("y",), controls=("x",), unit="id", neighbours="near")


def draw(rng, n, exposure="share", shared=False, parts=False):
    """A table and the four true effects. shared: errors have causes in common with neighbours and grow with
    treatment; parts: families of five."""
    x, links = rng.normal(size=n), int(1.25 * n) if exposure == "any" else 2 * n
    one, two = rng.integers(n, size=(2, links))
    if parts:
        one = np.repeat(np.arange(n), 2)
        two = one // 5 * 5 + rng.integers(5, size=2 * n)
    net = Network.of(n, np.append(one, two), np.append(two, one))
    part = np.maximum(net.degree, 1)
    xbar = net.sums(x) / part
    d = rng.random(n) < 1 / (1 + np.exp(-0.5 * x - 0.3 * xbar + (exposure == "any")))
    treated, u = net.sums(d.astype(float)), rng.normal(size=n)
    if shared:
        u = (0.6 * u + net.sums(u) / np.sqrt(part)) * (1 + 0.3 * d)
    if parts:
        u = u + 0.7 * rng.normal(size=n // 5)[np.arange(n) // 5]
    e = (treated > 0).astype(float) if exposure == "any" else treated / part
    y = d * (1 + 0.5 * x) + e * (1 + 0.5 * xbar) + 0.5 * d * e + x + 0.5 * xbar + 0.1 * net.degree + u
    lists = np.array([" ".join(map(str, js)) or None for js in np.split(net.links, net.starts[1:-1])], dtype=object)
    columns = {"id": Column("id", "count", np.arange(n) + 0.0), "near": Column("near", "text", lists),
               "d": Column("d", "binary", d.astype(np.int32), (0, 1)), "x": Column("x", "continuous", x),
               "y": Column("y", "continuous", y)}
    linked = float(np.mean(net.degree > 0))
    return Table(MappingProxyType(columns), n), np.array([1 + 1.5 * linked, 1.0, 1.5 * linked, linked])


def coverage(sets, n, **kind):
    covered, off, errors = [], [], []
    for seed in range(sets):
        table, truth = draw(np.random.default_rng([seed, n]), n, **kind)
        answer = estimate(table, SPEC, exposure=kind.get("exposure", "share"))
        found = answer.comparisons
        covered.append([c.interval[0] <= t <= c.interval[1] for c, t in zip(found, truth, strict=True)])
        off.append([c.estimate - t for c, t in zip(found, truth, strict=True)])
        errors.append([c.standard_error for c in found])
    ratio = np.mean(errors, axis=0) / np.std(off, axis=0)
    bias = np.mean(off, axis=0) / (np.std(off, axis=0) / np.sqrt(sets))
    return np.mean(covered, axis=0), ratio, bias


def test_coverage_in_sixty_sets():
    covered, ratio, bias = coverage(60, 500)
    assert (covered > 0.86).all() and (np.abs(bias) < 4).all() and (ratio > 0.75).all(), (covered, ratio, bias)


@pytest.mark.slow
@pytest.mark.parametrize("n, kind", [
    (600, {}), (1000, {"shared": True}), (1000, {"exposure": "any"}), (1000, {"exposure": "any", "shared": True}),
    (600, {"parts": True}),
])
def test_coverage(n, kind):
    covered, ratio, bias = coverage(300, n, **kind)
    assert (covered > 0.915).all() and (covered < 0.985).all() and (np.abs(bias) < 3.5).all(), (covered, ratio, bias)
