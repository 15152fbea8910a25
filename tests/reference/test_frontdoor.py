"""The front-door estimate against formulas written out by hand and the error of leaving rows out."""

from __future__ import annotations

import numpy as np
import pytest

from whence.data.load import read
from whence.estimation.effect import Effect
from whence.estimation.estimate import estimate
from whence.identification.spec import Spec


def coin(rng: np.random.Generator, p: np.ndarray) -> np.ndarray:
    return (rng.random(len(p)) < p).astype(int)


def discrete(n: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    u = rng.normal(size=n)
    x = np.digitize(u + rng.normal(size=n), [-0.5, 0.6])
    m, k = coin(rng, 0.2 + 0.25 * x), coin(rng, 0.6 - 0.2 * x)
    return {"x": x, "m": m, "k": k, "y": m * (1 + u) - k + 2 * u + rng.normal(size=n)}


def by_hand(d: dict[str, np.ndarray], level: int) -> float:
    """sum over (m, k) of P(m, k | x) sum over x' of E[y | m, k, x'] P(x')."""
    total = 0.0
    for m in (0, 1):
        for k in (0, 1):
            here = (d["m"] == m) & (d["k"] == k)
            inner = 0.0
            for other in (0, 1, 2):
                inner += d["y"][here & (d["x"] == other)].mean() * (d["x"] == other).mean()
            total += here[d["x"] == level].mean() * inner
    return total


def test_table_of_mediators_is_the_formula() -> None:
    d = discrete(2000)
    effect = estimate(read(d, kinds={"x": "categorical"}), Spec("frontdoor", ("x",), ("y",), mediators=("m", "k")))
    assert isinstance(effect, Effect) and effect.diagnostics["model"] == "table"
    for comparison, level in zip(effect.comparisons, (1, 2), strict=True):
        assert comparison.estimate == pytest.approx(by_hand(d, level) - by_hand(d, 0), abs=1e-10)


def nested(d: dict[str, np.ndarray], dose: bool) -> float:
    """The two nested regressions by plain least squares, with controls w and one numeric mediator."""
    x, m, w, y = (d[n].astype(float) for n in "xmwy")
    one = np.ones(len(x))

    def fit(columns: list[np.ndarray], target: np.ndarray) -> np.ndarray:
        return np.linalg.lstsq(np.column_stack(columns), target, rcond=None)[0]

    base = [one, m, m**2, w, w**2]
    beta = fit([*base, *(x * b for b in base)], y)
    if dose:
        gamma = fit([one, w, w**2], x)
        expected = np.column_stack([one, w, w**2]) @ gamma
    else:
        expected = logistic(np.column_stack([one, w, w**2]), x)
    through = np.column_stack([*base, *(expected * b for b in base)]) @ beta
    if dose:
        return float(fit([one, x, w, w**2], through)[1])
    last = [fit([one[x == a], w[x == a], w[x == a] ** 2], through[x == a]) for a in (0, 1)]
    return float((np.column_stack([one, w, w**2]) @ (last[1] - last[0])).mean())


def logistic(design: np.ndarray, x: np.ndarray) -> np.ndarray:
    beta = np.zeros(design.shape[1])
    for _ in range(25):
        p = 1 / (1 + np.exp(-design @ beta))
        beta = beta + np.linalg.solve((design * (p * (1 - p))[:, None]).T @ design, design.T @ (x - p))
    return 1 / (1 + np.exp(-design @ beta))


def with_controls(n: int, dose: bool) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(2)
    w, u = rng.normal(size=(2, n))
    x = 0.7 * u + 0.7 * w + rng.normal(size=n)
    if not dose:
        x = (x > 0).astype(float)
    m = 0.8 * x + 0.5 * w + 0.3 * w * x + rng.normal(size=n)
    return {"w": w, "x": x, "m": m, "y": m + 0.2 * m * u + 0.6 * w + u + rng.normal(size=n)}


@pytest.mark.parametrize("dose", [False, True])
def test_nested_regressions_and_their_error(dose: bool) -> None:
    """Influence values with unadjusted residuals are n - 1 times what leaving the row out changes, to order 1/n."""
    d = with_controls(800, dose)
    spec = Spec("frontdoor", ("x",), ("y",), mediators=("m",), controls=("w",))
    effect = estimate(read(d), spec, covariance="HC0")
    assert isinstance(effect, Effect) and effect.influence is not None and effect.diagnostics["model"] == "linear"
    assert effect.estimate == pytest.approx(nested(d, dose), abs=1e-8)
    left = np.array([nested({n: np.delete(v, row) for n, v in d.items()}, dose) for row in range(0, 800, 16)])
    jackknife = 799 * (effect.estimate - left)
    assert np.corrcoef(jackknife, effect.influence[::16])[0, 1] > 0.995
    assert np.sqrt((jackknife**2).mean()) == pytest.approx(np.sqrt((effect.influence[::16] ** 2).mean()), rel=0.05)
