"""Sums over graphs: against enumeration, the known numbers of DAGs, and the NumPy reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.reference import dags_by_enumeration as truth

from whence.kernels import BACKEND, subset_dp_ref
from whence.kernels.scores import called_score
from whence.kernels.subset_dp_ref import members, unpacked

DAGS = [1, 3, 25, 543, 29281, 3781503, 1138779265]
MODULES: list[Any] = [subset_dp_ref]
if BACKEND == "native":
    from whence.kernels import _native

    MODULES.append(_native)
each_kernel = pytest.mark.parametrize("kernel", MODULES, ids=lambda m: m.__name__.rsplit(".", 1)[-1])


def run(kernel: Any, scores: np.ndarray, threads: int = 1) -> dict[str, Any]:
    d, half = scores.shape
    m, e = np.empty((d, half)), np.empty((d, half), dtype=np.int32)
    kernel.family_sums(scores, threads, m, e)
    zm, ze, bm, be = (np.empty(2 * half, dtype=t) for t in (float, np.int32, float, np.int32))
    kernel.dag_sums(m, e, threads, zm, ze)
    edges, paths, blankets = (np.empty((d, d)) for _ in range(3))
    kernel.dag_features(m, e, zm, ze, threads, bm, be, edges, paths)
    kernel.dag_blankets(m, e, threads, blankets)
    return {"edge": edges, "path": paths, "blanket": blankets, "z": zm, "ze": ze, "b": bm, "be": be,
            "log_total": np.log(zm[-1]) + ze[-1] * np.log(2)}


def random_scores(d: int, spread: float, seed: int, gaps: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    out = rng.normal(size=(d, 1 << (d - 1))) * spread
    out[rng.random(out.shape) < gaps] = -np.inf
    out[:, 0] = rng.normal(size=d) * spread  # some graph is left
    return out


def local(scores: np.ndarray) -> Any:
    at = [{frozenset(members(int(unpacked(p, y)))): scores[y, p] for p in range(scores.shape[1])}
          for y in range(len(scores))]
    return lambda y, parents: at[y][parents]


@each_kernel
@pytest.mark.parametrize("d", range(1, 8))
def test_without_weights_the_sums_count_dags(kernel: Any, d: int) -> None:
    found = run(kernel, np.zeros((d, 1 << (d - 1))))
    assert found["z"][-1] * 2.0 ** found["ze"][-1] == DAGS[d - 1]
    assert found["b"][0] * 2.0 ** found["be"][0] == DAGS[d - 1]


@each_kernel
@pytest.mark.parametrize("spread, gaps", [(1.0, 0.0), (30.0, 0.0), (3000.0, 0.0), (5.0, 0.5)])
@pytest.mark.parametrize("d", [2, 3, 4, 5])
def test_every_table_equals_enumeration(kernel: Any, d: int, spread: float, gaps: float) -> None:
    for seed in range(4 if d < 5 else 1):
        scores = random_scores(d, spread, seed, gaps)
        expected, found = truth.tables(d, local(scores)), run(kernel, scores)
        for name in ("edge", "path", "blanket"):
            assert np.abs(found[name] - expected[name]).max() < 1e-10, (name, seed)
        assert found["log_total"] == pytest.approx(expected["log_total"], abs=1e-9, rel=1e-13)
        parents = np.zeros(d, dtype=np.uint32)
        assert kernel.best_graph(scores, 1, parents) == pytest.approx(expected["best"], abs=1e-9)
        arrows = np.array([[p >> z & 1 for p in parents.tolist()] for z in range(d)], dtype=bool)
        sets = [frozenset(members(p)) for p in parents.tolist()]
        assert sum(local(scores)(y, ps) for y, ps in enumerate(sets)) == pytest.approx(expected["best"], abs=1e-9)
        assert (truth.all_dags(d)[0] == arrows).all(axis=(1, 2)).any()


@pytest.mark.skipif(BACKEND != "native", reason="compares the native kernel with its reference")
@pytest.mark.parametrize("spread", [0.5, 10.0, 2000.0])
def test_native_equals_reference_at_any_thread_count(spread: float) -> None:
    scores = random_scores(7, spread, 7, 0.2)
    expected = run(subset_dp_ref, scores)
    one = run(MODULES[1], scores)
    for name in ("edge", "path", "blanket"):
        assert np.abs(one[name] - expected[name]).max() < 1e-10, name
    scores = random_scores(11, spread, 8, 0.2)
    one = run(MODULES[1], scores)
    for threads in (2, 8):
        many = run(MODULES[1], scores, threads)
        assert all(np.array_equal(one[name], many[name]) for name in one), threads


@each_kernel
def test_families_follow_what_is_allowed(kernel: Any) -> None:
    d = 4
    score = called_score(d, lambda y, parents: 10.0 * y + sum(1 << z for z in parents))
    may, required = np.ones((d, d), dtype=np.uint8) - np.eye(d, dtype=np.uint8), np.zeros((d, d), dtype=np.uint8)
    may[2, 0], required[3, 1] = 0, 1
    out = np.empty((d, 8))
    kernel.family_scores(score, may, required, 2, 2, out)
    for y in range(d):
        for p in range(8):
            of = int(unpacked(p, y))
            fits = of.bit_count() <= 2 and not (y == 2 and of & 1) and not (y == 3 and not of & 2)
            assert out[y, p] == (10.0 * y + of if fits else -np.inf)


@pytest.mark.skipif(BACKEND != "native", reason="the native kernel checks its arguments")
def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="families"):
        MODULES[1].best_graph(np.zeros((3, 5)), 1, np.zeros(3, dtype=np.uint32))
    with pytest.raises(RuntimeError, match="no number"):
        def wrong(y: int, parents: tuple[int, ...]) -> float:
            raise RuntimeError("no number")

        one = np.ones((3, 3), dtype=np.uint8)
        MODULES[1].family_scores(called_score(3, wrong), one, one * 0, 2, 2, np.empty((3, 4)))
