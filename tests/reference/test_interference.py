"""Interference beside formulas written out by rows: exposures, standardised regression, doubly robust form, errors."""

from __future__ import annotations

import itertools
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from whence.data.network import Network
from whence.data.table import Column, Table
from whence.estimation.effect import Effect
from whence.estimation.estimate import estimate
from whence.identification.spec import Spec
from whence.stats.network_hac import Networked

N = 260
SPEC = Spec("interference", ("d",), ("y",), controls=("x",), unit="id", neighbours="near")


def world(seed: int = 5, tendency: float = 0.0) -> tuple[Table, list[list[int]], dict[str, np.ndarray]]:
    """A table, the neighbours of each row, and its columns."""
    rng = np.random.default_rng(seed)
    near: list[set[int]] = [set() for _ in range(N)]
    for i, j in rng.integers(N, size=(N, 2)):
        if i != j:
            near[i].add(int(j))
            near[j].add(int(i))
    x = rng.normal(size=N)
    d = (rng.random(N) < 1 / (1 + np.exp(-0.5 * x - tendency))).astype(float)
    part = np.array([np.mean([d[j] for j in js]) if js else 0.0 for js in near])
    y = 1 + d + 2 * part + 0.5 * d * part + x + 0.3 * np.array([len(js) for js in near]) + rng.normal(size=N)
    lists = np.array([" ".join(map(str, sorted(js))) or None for js in near], dtype=object)
    columns = {"id": Column("id", "count", np.arange(N) + 0.0), "near": Column("near", "text", lists),
               "d": Column("d", "binary", d.astype(np.int32), (0, 1)), "x": Column("x", "continuous", x),
               "y": Column("y", "continuous", y)}
    return Table(MappingProxyType(columns), N), [sorted(js) for js in near], {"d": d, "x": x, "y": y}


def row_of(d: float, e: float, x: float, xbar: float, degree: int, interact: bool) -> list[float]:
    """One row of the outcome's design; the controls are not scaled, which changes no estimate."""
    controls = [x, xbar, float(degree), float(np.log1p(degree)), float(degree == 0)]
    made = [1.0, d, e, d * e, *controls]
    return made + [d * c for c in controls] + [e * c for c in controls] if interact else made


def by_hand(near: list[list[int]], columns: dict[str, np.ndarray], any_treated: bool) -> dict[str, Any]:
    d, x, y = columns["d"], columns["x"], columns["y"]
    exposure, most, rest = [], [], []
    for i, js in enumerate(near):
        treated = sum(d[j] for j in js)
        exposure.append(float(treated > 0) if any_treated else treated / len(js) if js else 0.0)
        most.append(float(bool(js)))
        rest.append((x[i], np.mean([x[j] for j in js]) if js else 0.0, len(js)))
    x_mean, x_spread = x.mean(), x.std()
    rest = [(a, (b - x_mean) / x_spread if k else 0.0, k) for a, b, k in rest]
    design = np.array([row_of(d[i], exposure[i], *rest[i], True) for i in range(N)])
    beta = np.linalg.lstsq(design, y, rcond=None)[0]
    mean = {cell: np.array([row_of(cell[0], most[i] * cell[1], *rest[i], True) for i in range(N)]) @ beta
            for cell in itertools.product((0, 1), (0, 1))}
    return {"mean": mean, "design": design, "beta": beta, "exposure": np.array(exposure), "most": np.array(most),
            "rest": rest}


PAIRS = (((1, 1), (0, 0)), ((1, 0), (0, 0)), ((1, 1), (1, 0)), ((0, 1), (0, 0)))


def test_standardised_regression() -> None:
    table, near, columns = world()
    made = by_hand(near, columns, any_treated=False)
    answer = estimate(table, SPEC)
    assert isinstance(answer, Effect)
    wanted = [float((made["mean"][a] - made["mean"][b]).mean()) for a, b in PAIRS]
    assert [c.estimate for c in answer.comparisons] == pytest.approx(wanted, rel=1e-8)
    assert wanted[0] == pytest.approx(wanted[1] + wanted[2])


def test_errors_by_the_definition() -> None:
    """Influence values row by row, distances by breadth-first search, and the double sum over pairs."""
    table, near, columns = world()
    made = by_hand(near, columns, any_treated=False)
    answer = estimate(table, SPEC)
    assert isinstance(answer, Effect)
    x, y = made["design"], columns["y"]
    bread = np.linalg.pinv(x.T @ x)  # rows without neighbours have no exposure, so a product of the two is zero
    residuals = y - x @ made["beta"]
    change = np.array([row_of(1.0, made["most"][i], *made["rest"][i], True) for i in range(N)]) - np.array(
        [row_of(0.0, 0.0, *made["rest"][i], True) for i in range(N)])
    c = change.mean(axis=0)
    psi = [N * float(c @ bread @ x[i]) * residuals[i] / np.sqrt(1 - float(x[i] @ bread @ x[i]))
           + float(change[i] @ made["beta"]) - float(c @ made["beta"]) for i in range(N)]
    assert answer.influence == pytest.approx(np.array(psi), rel=1e-7, abs=1e-9)
    weights = np.array([[distance(near, i, 2).get(j, 9) <= 2 for j in range(N)] for i in range(N)], dtype=float)
    own, across = float(np.sum(np.square(psi))), float(psi @ (weights - np.eye(N)) @ np.array(psi))
    centring = np.eye(N) - 1 / N
    factor = (N - 1) / np.trace(centring @ weights @ centring)
    df = np.trace(centring @ weights @ centring) ** 2 / np.trace(
        centring @ weights @ centring @ centring @ weights @ centring)
    assert answer.dependence is not None
    assert answer.dependence.products(np.array(psi)[:, None])[0, 0] == pytest.approx(
        factor * (own + max(across, 0.0)))
    assert answer.df == pytest.approx(df)


def distance(near: list[list[int]], start: int, most: int) -> dict[int, int]:
    """Steps from ``start`` to every row that is at most ``most`` away."""
    found, edge = {start: 0}, [start]
    for step in range(1, most + 1):
        edge = [j for i in edge for j in near[i] if j not in found]
        found |= dict.fromkeys(edge, step)
    return found


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_pairs_within_some_steps(steps: int) -> None:
    _, near, _ = world()
    heads = np.array([i for i, js in enumerate(near) for _ in js])
    tails = np.array([j for js in near for j in js])
    rows = np.flatnonzero(np.arange(N) % 3 > 0)  # paths may lead through the others
    made = Networked(Network.of(N, heads, tails).matrix, rows, steps)
    wanted = [[float(i != j and distance(near, int(i), steps).get(int(j), 99) <= steps) for j in rows] for i in rows]
    assert (made.near.toarray() == np.array(wanted)).all()
    assert (made.take(np.arange(len(rows)) < 50).near.toarray() == np.array(wanted)[:50, :50]).all()


def logit(design: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Newton's method, with the penalty of 0.01 on the squared coefficients (not the intercept)."""
    beta = np.zeros(design.shape[1])
    penalty = np.diag([0.0] + [0.01] * (design.shape[1] - 1))
    for _ in range(60):
        p = 1 / (1 + np.exp(-design @ beta))
        gradient = design.T @ (target - p) - penalty @ beta
        beta = beta + np.linalg.solve((design.T * (p * (1 - p))) @ design + penalty, gradient)
    return beta


def test_doubly_robust_form() -> None:
    table, near, columns = world(tendency=-0.8)
    made = by_hand(near, columns, any_treated=True)
    answer = estimate(table, SPEC, exposure="any")
    assert isinstance(answer, Effect) and len(answer.comparisons) == 4
    d, y, e, most = columns["d"], columns["y"], made["exposure"], made["most"]
    controls = np.array([[a, b, k, np.log1p(k), k == 0] for a, b, k in made["rest"]], dtype=float)
    controls = (controls - controls.mean(axis=0)) / controls.std(axis=0)
    one = np.ones((N, 1))
    own = 1 / (1 + np.exp(-np.hstack([one, controls]) @ logit(np.hstack([one, controls]), d)))
    given = np.hstack([one, d[:, None], controls])
    beta = logit(given[most == 1], e[most == 1])
    scores = {}
    for cell, mean in made["mean"].items():
        there = np.full((N, 1), float(cell[0]))
        seen = 1 / (1 + np.exp(-np.hstack([one, there, controls]) @ beta))
        score = mean.copy()
        for i in range(N):
            wanted = most[i] * cell[1]
            chance = own[i] if cell[0] else 1 - own[i]
            chance *= 1.0 if most[i] == 0 else seen[i] if wanted else 1 - seen[i]
            if d[i] == cell[0] and e[i] == wanted:
                score[i] += (y[i] - mean[i]) / max(chance, 0.01)
        scores[cell] = score
    wanted = [float((scores[a] - scores[b]).mean()) for a, b in PAIRS]
    assert [c.estimate for c in answer.comparisons] == pytest.approx(wanted, rel=2e-4)
