"""The penalised slopes by the n x n projection, their influence by moving a row's weight, the penalty by its folds."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import pytest

from whence.data.table import Column, Table
from whence.estimation.effect import Effect
from whence.estimation.estimate import estimate
from whence.estimation.invariant_augmentation import PENALTIES
from whence.identification.spec import Spec
from whence.stats.resample import folds

SPEC = Spec("iv", ("a", "b", "c"), ("y",), controls=("z",), instruments=("sa", "sb", "sc"))


def columns(n: int = 90) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(8)
    z, hidden = rng.normal(size=n), rng.normal(size=n)
    x = rng.normal(size=(n, 3)) + z[:, None] + hidden[:, None] * [1.0, 0.0, 1.0]
    s = rng.normal(size=(n, 2)) @ np.array([[1.0, -1.0, 0.0], [0.0, 0.0, 2.0]])
    y = x[:, 0] + x[:, 1] + z + hidden + rng.normal(size=n)
    return dict(zip("abc", x.T, strict=True)) | dict(zip(("sa", "sb", "sc"), s.T, strict=True)) | {"z": z, "y": y}


def by_hand(given: dict[str, np.ndarray], penalty: float, strength: float, w: np.ndarray | None = None) -> np.ndarray:
    """(G'PG + penalty G'G)^-1 (G'PY + penalty G'Y), P = S (S'S)^+ S', rows times the root of their weights."""
    root = np.sqrt(np.ones(len(given["y"])) if w is None else w)[:, None]
    base = np.column_stack([np.ones(len(root)), given["z"]]) * root

    def left(v: np.ndarray) -> np.ndarray:
        return v * root - base @ np.linalg.lstsq(base, v * root, rcond=None)[0]

    x = left(np.column_stack([given[k] for k in "abc"]))
    s = left(strength * np.column_stack([given[k] for k in ("sa", "sb", "sc")]))
    y = left(given["y"][:, None])[:, 0]
    g, p = x + s, s @ np.linalg.pinv(s)
    return np.linalg.solve(g.T @ p @ g + penalty * g.T @ g, g.T @ p @ y + penalty * g.T @ y)


def answered(given: dict[str, np.ndarray], **params: float) -> Effect:
    made = {k: Column(k, "continuous", v.copy()) for k, v in given.items()}
    answer = estimate(Table(MappingProxyType(made), len(given["y"])), SPEC, "invariant_augmentation", most_lost=1.0,
                      **params)
    assert isinstance(answer, Effect), answer
    return answer


@pytest.mark.parametrize("penalty, strength", [(0.01, 1.0), (0.1, 1.0), (1.0, 2.5), (50.0, 0.5)])
def test_slopes(penalty: float, strength: float) -> None:
    given = columns()
    answer = answered(given, penalty=penalty, strength=strength)
    assert [c.estimate for c in answer.comparisons] == pytest.approx(by_hand(given, penalty, strength), rel=1e-8)
    at = {point["strength"]: point["slopes"] for point in answer.diagnostics["curve"]}
    assert at[4.0] == pytest.approx(by_hand(given, penalty, 4 * strength), rel=1e-7)
    assert at[0.0] == pytest.approx(np.linalg.lstsq(
        np.column_stack([*(given[k] for k in "abcz"), np.ones(90)]), given["y"], rcond=None)[0][:3])


def test_influence_is_the_derivative_by_a_rows_weight() -> None:
    given = columns()
    n, step = len(given["y"]), 1e-5
    answer = answered(given, penalty=0.1)
    assert answer.influence is not None
    factor = np.sqrt(n / (n - (2 + 2 + 3)))  # intercept and control, directions shifted, slopes
    for i in (0, 11, 42, 89):
        up, down = np.ones(n), np.ones(n)
        up[i] += step
        down[i] -= step
        slope = (by_hand(given, 0.1, 1.0, up) - by_hand(given, 0.1, 1.0, down))[0] / (2 * step)
        assert answer.influence[i] == pytest.approx(n * slope * factor, rel=1e-5)


def test_penalty_by_cross_validation() -> None:
    given = columns()
    answer = answered(given)
    n = len(given["y"])
    base = np.column_stack([np.ones(n), given["z"]])

    def left(v: np.ndarray) -> np.ndarray:
        return v - base @ np.linalg.lstsq(base, v, rcond=None)[0]

    x, s = (left(np.column_stack([given[k] for k in keys])) for keys in ("abc", ("sa", "sb", "sc")))
    y, g = left(given["y"]), x + s
    fold = folds(5, np.zeros(n, dtype=np.int64), None, 0, 0)
    risks = []
    for penalty in PENALTIES:
        risk = 0.0
        for k in range(5):
            a, b = fold != k, fold == k
            p = s[a] @ np.linalg.pinv(s[a])
            both = g[a].T @ (p + penalty * np.eye(len(p)))
            h = np.linalg.solve(both @ g[a], both @ y[a])
            risk += float((y[b] - g[b] @ h) @ s[b] @ np.linalg.pinv(s[b]) @ (y[b] - g[b] @ h))
        risks.append(risk)
    assert answer.diagnostics["penalty"] == pytest.approx(PENALTIES[int(np.argmin(risks))])
