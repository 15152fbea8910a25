"""Shifts that cannot matter in place of instruments: the published simulation, what is refused, coverage."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.core.result import Refused
from whence.data.table import Column, Table
from whence.estimation.effect import Effect
from whence.estimation.estimate import estimate
from whence.identification.spec import Spec

METHOD = "invariant_augmentation"


def names(m: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(f"x{j:02d}" for j in range(m)), tuple(f"s{j:02d}" for j in range(m))


def spec_of(m: int, **changes: Any) -> Spec:
    x, s = names(m)
    return Spec("iv", x, ("y",), instruments=s, **changes)


def table_of(x: np.ndarray, y: np.ndarray, s: np.ndarray, **more: np.ndarray) -> Table:
    columns = dict(zip(names(x.shape[1])[0], x.T, strict=True)) | dict(zip(names(x.shape[1])[1], s.T, strict=True))
    made = {name: Column(name, "continuous", np.ascontiguousarray(v, dtype=float))
            for name, v in (columns | {"y": y} | more).items()}
    return Table(MappingProxyType(made), len(y))


def world(seed: int, kappa: float, m: int = 32, n: int = 2048) -> tuple[np.ndarray, ...]:
    """Treatments x, outcome y = x f + kappa (what causes x, weighed anew) + noise, shifts with s f = 0, and f."""
    rng = np.random.default_rng(seed)
    weights, f, hidden = rng.normal(size=(m, m)), rng.normal(size=m), rng.normal(size=m)
    c = rng.normal(size=(n, m))
    x = c @ weights + 0.1 * rng.normal(size=(n, m))
    y = x @ f + kappa * c @ hidden + 0.1 * rng.normal(size=n)
    basis = np.linalg.svd(f[None])[2][1:]
    return x, y, rng.normal(size=(n, m - 1)) @ basis, f


def excess(h: np.ndarray, f: np.ndarray) -> float:
    """Normalised causal excess risk."""
    off = float((h - f) @ (h - f))
    return off / (off + float(f @ f))


def slopes(answer: Any) -> np.ndarray:
    assert isinstance(answer, Effect), answer
    return np.array([c.estimate for c in answer.comparisons])


def rivals(x: np.ndarray, y: np.ndarray, s: np.ndarray) -> list[np.ndarray]:
    """Plain regression, augmentation alone, and the shifts as ordinary instruments."""
    x, g, y = x - x.mean(axis=0), x + s - (x + s).mean(axis=0), y - y.mean()
    q = np.linalg.qr(np.linalg.svd(s - s.mean(axis=0), full_matrices=False)[0][:, : s.shape[1] - 1])[0]
    return [np.linalg.lstsq(a, b, rcond=None)[0] for a, b in ((x, y), (g, y), (q.T @ g, q.T @ y))]


@pytest.mark.slow
def test_published_simulation() -> None:
    found = []
    for seed in range(32):
        x, y, s, f = world(seed, 1.0)
        h = slopes(estimate(table_of(x, y, s), spec_of(32), METHOD))
        found.append([excess(one, f) for one in (h, *rivals(x, y, s))])
    ours, plain, augmented, instrumental = np.mean(found, axis=0)
    assert ours <= 0.04 and ours <= 0.6 * augmented, (ours, augmented)
    assert instrumental > augmented and plain > augmented


def test_published_simulation_in_three_sets() -> None:
    found = []
    for seed in range(3):
        x, y, s, f = world(seed, 1.0)
        answer = estimate(table_of(x, y, s), spec_of(32), METHOD)
        found.append([excess(one, f) for one in (slopes(answer), *rivals(x, y, s))])
        assert isinstance(answer, Effect) and answer.quantity == "ATE"
        assert answer.diagnostics["directions_shifted"] == 31
    ours, _, augmented, instrumental = np.mean(found, axis=0)
    assert ours <= 0.04 and ours <= 0.6 * augmented and instrumental > augmented


def test_without_hidden_causes_nothing_is_lost() -> None:
    x, y, s, f = world(1, 0.0)
    ours, plain, augmented, instrumental = (excess(h, f) for h in (
        slopes(estimate(table_of(x, y, s), spec_of(32), METHOD)), *rivals(x, y, s)))
    assert max(ours, plain, augmented) < 0.001 < instrumental


def small(seed: int, kappa: float = 0.0, n: int = 400, strength: float = 1.0) -> tuple[np.ndarray, ...]:
    """Three treatments with slopes 1, 2 and 0, shifts in two directions."""
    rng = np.random.default_rng([seed, n])
    f = np.array([1.0, 2.0, 0.0])
    c = rng.normal(size=(n, 3))
    x = c @ np.array([[1.0, 0.3, 0.0], [0.2, 1.0, 0.4], [0.0, -0.3, 1.0]]) + 0.5 * rng.normal(size=(n, 3))
    y = x @ f + kappa * (c @ np.array([1.0, -1.0, 1.0])) + rng.normal(size=n)
    basis = np.array([[2.0, -1.0, 0.0], [0.0, 0.0, 1.0]]) / np.sqrt([[5.0], [1.0]])
    return x, y, strength * rng.normal(size=(n, 2)) @ basis, f


def limit(kappa: float, penalty: float) -> np.ndarray:
    """What the penalised slopes tend to in ``small``, from the covariances of its variables."""
    w = np.array([[1.0, 0.3, 0.0], [0.2, 1.0, 0.4], [0.0, -0.3, 1.0]])
    basis = np.array([[2.0, -1.0, 0.0], [0.0, 0.0, 1.0]]) / np.sqrt([[5.0], [1.0]])
    x, s = w.T @ w + 0.25 * np.eye(3), basis.T @ basis
    towards = x @ np.array([1.0, 2.0, 0.0]) + kappa * w.T @ np.array([1.0, -1.0, 1.0])
    return np.linalg.solve(s + penalty * (x + s), penalty * towards)


def coverage(sets: int, kappa: float, penalty: float | None, truth: np.ndarray) -> np.ndarray:
    covered = []
    for seed in range(sets):
        x, y, s, _ = small(seed, kappa)
        answer = estimate(table_of(x, y, s), spec_of(3), METHOD, penalty=penalty)
        assert isinstance(answer, Effect), answer
        covered.append([c.interval[0] <= t <= c.interval[1] for c, t in zip(answer.comparisons, truth, strict=True)])
    return np.mean(covered, axis=0)


def test_coverage_in_sixty_sets() -> None:
    assert (coverage(60, 0.0, None, np.array([1.0, 2.0, 0.0])) > 0.86).all()


@pytest.mark.slow
@pytest.mark.parametrize("kappa, penalty", [(0.0, None), (1.0, 0.1), (1.0, 1.0)])
def test_coverage(kappa: float, penalty: float | None) -> None:
    """300 sets (1.26 points): of the truth without hidden causes, of the penalised limit with them."""
    truth = np.array([1.0, 2.0, 0.0]) if penalty is None else limit(kappa, penalty)
    covered = coverage(300, kappa, penalty, truth)
    assert (covered > 0.915).all() and (covered < 0.985).all(), covered


def test_shifts_that_change_the_outcome_are_refused() -> None:
    x, y, _, _ = world(3, 1.0)
    rng = np.random.default_rng(4)
    wrong = rng.normal(size=(len(y), 31)) @ np.linalg.svd(rng.normal(size=(1, 32)))[2][1:]
    found = estimate(table_of(x, y, wrong), spec_of(32), METHOD)
    assert isinstance(found, Refused) and found.code == "not_invariant"
    explained = [point["explained"] for point in found.evidence["curve"]]
    assert explained[0] > 0.95 and explained[-1] < 0.3 and explained == sorted(explained, reverse=True)
    anyway = estimate(table_of(x, y, wrong), spec_of(32), METHOD, most_lost=1.0)
    assert isinstance(anyway, Effect) and "moves_with_shifts" in {r.code for r in anyway.warnings}


def test_strong_hidden_causes_are_said_and_harmless_shifts_are_not_complained_of() -> None:
    quiet = estimate(table_of(*small(1, 0.0, 2000)[:3]), spec_of(3), METHOD)
    loud = estimate(table_of(*small(1, 1.5, 2000)[:3]), spec_of(3), METHOD)
    assert isinstance(quiet, Effect) and isinstance(loud, Effect)
    assert "moves_with_shifts" not in {r.code for r in quiet.warnings}
    assert "moves_with_shifts" in {r.code for r in loud.warnings}
    assert quiet.diagnostics["explained_lost"] < 0.01


@pytest.mark.parametrize("kind, code", [
    ("nothing", "no_shift"), ("everywhere", "no_direction_left"), ("of x", "shifts_not_by_chance"),
    ("of y", "shifts_not_by_chance"), ("one short", "shifts_not_matched"), ("twice", "treatment_determined"),
    ("few", "too_few_rows"), ("groups", "treatment_not_dose"),
])
def test_refused(kind: str, code: str) -> None:
    x, y, s, _ = small(3)
    rng, spec = np.random.default_rng(1), spec_of(3)
    if kind == "nothing":
        s = np.zeros_like(s)
    elif kind == "everywhere":
        s = rng.normal(size=s.shape)
    elif kind == "of x":
        s = s + 0.5 * (x[:, [2]] * [[0, 0, 1.0]])
    elif kind == "of y":
        s[:, 2] = y
    elif kind == "one short":
        spec = spec.replace(instruments=("s00", "s01"))
    elif kind == "twice":
        x = np.column_stack([x[:, :2], x[:, 0] + x[:, 1]])
    elif kind == "few":
        x, y, s = x[:8], y[:8], s[:8]
    elif kind == "groups":
        x = np.column_stack([x[:, :2], x[:, 2] > 0])
    found = estimate(table_of(x, y, s), spec, METHOD)
    assert isinstance(found, Refused) and found.code == code, found
    assert found.remedy


def test_controls_weights_and_clusters() -> None:
    """Controls are taken out; clusters of copies give the errors of single rows; weights count rows."""
    x, y, s, _ = small(5)
    z = np.random.default_rng(6).normal(size=len(y))
    plain = estimate(table_of(x, y, s), spec_of(3), METHOD, penalty=0.1)
    with_control = estimate(table_of(x + z[:, None], y + 5 * z, s, z=z), spec_of(3, controls=("z",)), METHOD,
                            penalty=0.1)
    assert slopes(with_control) == pytest.approx(slopes(plain), abs=0.1)
    twice = [np.repeat(v, 2, axis=0) for v in (x, y, s)]
    copied = estimate(table_of(*twice, c=np.repeat(np.arange(len(y)), 2)), spec_of(3, cluster="c"), METHOD, penalty=0.1)
    assert isinstance(plain, Effect) and isinstance(copied, Effect)
    assert slopes(copied) == pytest.approx(slopes(plain))
    assert copied.standard_error == pytest.approx(plain.standard_error, rel=0.01)
    w = np.where(np.arange(len(y)) < 100, 2.0, 1.0)
    weighted = estimate(table_of(x, y, s, w=w), spec_of(3, weights="w"), METHOD, penalty=0.1)
    written = [np.vstack([v[:100], v]) if v.ndim == 2 else np.append(v[:100], v) for v in (x, y, s)]
    assert slopes(weighted) == pytest.approx(slopes(estimate(table_of(*written), spec_of(3), METHOD, penalty=0.1)))


def test_words() -> None:
    x, y, s, _ = small(7)
    answer = estimate(table_of(x, y, s), spec_of(3), METHOD)
    assert isinstance(answer, Effect)
    assert answer.assumptions[0].startswith("The shifts, drawn by chance")
    assert not any("instruments are as good" in sentence for sentence in answer.assumptions)
    with pytest.raises(WhenceError):
        estimate(table_of(x, y, s), spec_of(3), METHOD, penalty=-1.0)
