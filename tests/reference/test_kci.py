"""KCI against dense matrices and loops, all permutations of a small set, and gates written as matrices."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from whence.stats.citest.kernel import columns_of, factor, squared_distances
from whence.stats.citest.kernel_test import RIDGES, basis_of, conditional, permutation_moments, regressed, unconditional
from whence.stats.citest.quantum import fidelity, qubits, states


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def gaussian(points: np.ndarray, width: float) -> np.ndarray:
    n = len(points)
    return np.array([[math.exp(-((points[i] - points[j]) ** 2).sum() / (2 * width**2)) for j in range(n)]
                     for i in range(n)])


@pytest.mark.parametrize("kernel", ["gaussian", "cosine", "quantum"])
@pytest.mark.parametrize("coordinates", [1, 3])
def test_the_factor_gives_back_the_kernel_matrix(kernel: str, coordinates: int) -> None:
    points = np.random.default_rng(1).standard_normal((40, coordinates))
    column = columns_of(points, kernel, 1.3)
    dense = np.array([column(i) for i in range(40)])
    f = factor(column, 40, 1e-12, 40)
    assert np.diagonal(dense) == pytest.approx(1)
    assert f @ f.T == pytest.approx(dense, abs=1e-5)
    assert np.linalg.norm(f @ f.T - dense, ord="nuc") <= 1e-8 * 40
    if kernel == "gaussian":
        assert dense == pytest.approx(gaussian(points, 1.3))
    rough = factor(column, 40, 0.05, 40)
    assert rough.shape[1] <= f.shape[1]
    assert 0 <= np.trace(dense - rough @ rough.T) <= 0.05 * 40


def test_permutation_moments_over_all_permutations() -> None:
    r = rng()
    fx, fy = r.standard_normal((6, 2)), np.exp(r.standard_normal((6, 3)))
    fx, fy = fx - fx.mean(axis=0), fy - fy.mean(axis=0)
    values = [((fx.T @ fy[list(p)]) ** 2).sum() for p in itertools.permutations(range(6))]
    mean, variance = permutation_moments(fx, fy)
    assert (mean, variance) == (pytest.approx(np.mean(values)), pytest.approx(np.var(values)))


def test_the_three_laws_agree_without_conditions() -> None:
    r = np.random.default_rng(3)
    x = r.standard_normal(80)
    fx, fy = (factor(columns_of(v[:, None], "gaussian", 1.0), 80, 1e-10, 80) for v in
              (x, x**2 * 0.25 + r.standard_normal(80)))
    fx, fy = fx - fx.mean(axis=0), fy - fy.mean(axis=0)
    p = {null: unconditional(fx, fy, null, 9999, rng).p_value for null in ("gamma", "spectral", "resampling")}
    assert p["gamma"] == pytest.approx(p["resampling"], abs=0.03)
    assert p["spectral"] == pytest.approx(p["resampling"], abs=0.03)


def test_conditional_statistic_and_moments_by_dense_matrices() -> None:
    n, r = 45, np.random.default_rng(4)
    z = r.standard_normal((n, 2))
    x, y = np.sin(z[:, 0]) + r.standard_normal(n), z[:, 1] + r.standard_normal(n)
    centre = np.eye(n) - 1 / n
    kz = gaussian(z, 1.5)
    dense, factors, smoothers = [], [], []
    fz = factor(columns_of(z, "gaussian", 1.5), n, 1e-13, n)
    basis = basis_of(fz)
    for v in (x, y):
        k = centre @ gaussian(v[:, None], 1.0) @ centre
        errors = []
        for ridge in RIDGES * n:
            s = centre @ kz @ centre @ np.linalg.inv(centre @ kz @ centre + ridge * np.eye(n))
            left = centre - s
            errors.append((np.trace(left @ k @ left.T) / (n - 1 - np.trace(s)) ** 2, left))
        _, left = min(errors, key=lambda pair: pair[0])
        dense.append(left @ k @ left.T)
        smoothers.append(left @ left.T)
        f = factor(columns_of(v[:, None], "gaussian", 1.0), n, 1e-13, n)
        factors.append(regressed(f - f.mean(axis=0), basis))
    m = dense[0] * dense[1] * kz
    lost = (smoothers[0] * smoothers[1] * kz).sum() / np.trace(smoothers[0] * smoothers[1] * kz)
    mean = np.trace(m) * lost
    variance = 2 * ((m**2).sum() - (np.diagonal(m) ** 2).sum()) * lost**2
    (ex, left_x), (ey, left_y) = factors
    found = conditional(ex, ey, fz, basis, (left_x, left_y), "gamma", 99, rng)
    assert found.statistic == pytest.approx(m.sum() / n, rel=1e-4)
    assert found.shape == pytest.approx(mean**2 / variance, rel=1e-4)
    assert found.p_value == pytest.approx(
        stats.gamma.sf(m.sum(), mean**2 / variance, scale=variance / mean), rel=1e-3)
    drawn = np.random.default_rng(5).choice([-1, 1], (20_000, n))
    share = (((drawn @ m) * drawn).sum(axis=1) * lost >= m.sum()).mean()
    sums = np.random.default_rng(6).chisquare(1, (20_000, n)) @ np.linalg.eigvalsh(m) * lost
    for null, expected, within in (("gamma", share, 0.03), ("spectral", (sums >= m.sum()).mean(), 0.015),
                                   ("resampling", share, 0.015)):
        p = conditional(ex, ey, fz, basis, (left_x, left_y), null, 9999, rng).p_value
        assert p == pytest.approx(expected, abs=within), null


def test_the_circuit_by_gates() -> None:
    points = np.random.default_rng(6).standard_normal((3, 2))
    q = qubits(2)
    made = states(points)
    for row, state in zip(points, made, strict=True):
        expected = np.zeros(2**q, dtype=complex)
        expected[0] = 1
        for _ in range(2):
            for k in range(q):
                a = row[k % 2]
                y = np.array([[math.cos(a / 2), -math.sin(a / 2)], [math.sin(a / 2), math.cos(a / 2)]])
                z = np.diag(np.exp([-0.5j * math.sqrt(2) * a, 0.5j * math.sqrt(2) * a]))
                expected = np.kron(np.kron(np.eye(2**k), z @ y), np.eye(2 ** (q - k - 1))) @ expected
            for k in range(q):
                for index in range(2**q):
                    bits = [(index >> (q - 1 - b)) & 1 for b in range(q)]
                    if bits[k] and bits[(k + 1) % q]:
                        expected[index] *= -1
        assert state == pytest.approx(expected)
    assert fidelity(made, made[0])[1] == pytest.approx(abs(np.vdot(made[0], made[1])) ** 2)


def test_the_cosine_kernel_is_the_fidelity_of_rotated_qubits() -> None:
    a, b = np.random.default_rng(7).standard_normal((2, 3))
    product = 1.0
    for u, v in zip(a, b, strict=True):
        one, two = (np.array([math.cos(t / 2), math.sin(t / 2)]) for t in (u, v))
        product *= (one @ two) ** 2
    assert columns_of(np.array([a, b]), "cosine", 1.0)(0)[1] == pytest.approx(product)
    assert squared_distances(a[None], b[None])[0, 0] == pytest.approx(((a - b) ** 2).sum())
