"""Densities at a boundary against loops over pairs of rows, integrals by quadrature, and numbers of rddensity."""

from __future__ import annotations

from math import factorial

import numpy as np
import pytest

from whence.stats.local_density import density_bandwidths, density_jump, derivatives


def by_loops(x: np.ndarray, h: tuple[float, float], p: int, which: int, restricted: bool):
    """Weighted least squares of the distribution function among the other rows; the jackknife over pairs."""
    n = len(x)
    function = np.array([sum(x[j] <= x[i] for j in range(n) if j != i) / (n - 1) for i in range(n)])
    rows, weights = [], []
    for v in x:
        side, powers = v >= 0, [v**k for k in range(p + 1)]
        if restricted:
            rows.append([1.0, v * (1 - side), v * side, *powers[2:]])
        else:
            rows.append([*(0.0 if side else a for a in powers), *(a if side else 0.0 for a in powers)])
        width = h[1] if side else h[0]
        weights.append(max(0.0, 1 - abs(v) / width) / width)
    design, w = np.array(rows), np.array(weights)
    bread = np.linalg.inv(design.T @ (design * w[:, None]) / n)
    b = bread @ design.T @ (w * function) / n
    psi = np.array([sum((design[j] * w[j] for j in range(n) if j != i and x[i] <= x[j]), np.zeros(design.shape[1]))
                    for i in range(n)]) @ bread / (n - 1)
    places = ([1, 2] if which == 1 else [which + 1] * 2) if restricted else [which, p + 1 + which]
    scale = factorial(which)
    return scale * b[places], scale**2 * (psi.T @ psi / n**2)[np.ix_(places, places)]


@pytest.mark.parametrize("restricted", [False, True])
@pytest.mark.parametrize(("order", "which"), [(2, 1), (3, 1), (4, 3)])
@pytest.mark.parametrize("ties", [False, True])
def test_derivatives_by_loops(order, which, restricted, ties):
    x = np.random.default_rng(order).standard_normal(150) * 1.2 + 0.2
    x = np.sort(np.round(x, 1) if ties else x)
    found = derivatives(x, (1.4, 1.7), order, which, restricted)
    values, covariance = by_loops(x, (1.4, 1.7), order, which, restricted)
    assert found.values == pytest.approx(values, rel=1e-7)
    assert found.covariance == pytest.approx(covariance, rel=1e-7, abs=1e-7 * covariance.max())


@pytest.mark.parametrize("order", [1, 2])
def test_bandwidths_by_quadrature(order):
    """Section 4.3 written out, with the constants by numerical integrals and the reference by finite differences."""
    from scipy.integrate import dblquad, quad

    x, p = np.sort(np.random.default_rng(5).gamma(3, 1, 400) - 2.5), order
    n, mean, spread = len(x), x.mean(), x.std(ddof=1)

    def constants(p, kernel):
        s = np.array([[quad(lambda u, a=a, b=b: u ** (a + b) * kernel(u), 0, 1)[0] for b in range(p + 1)]
                      for a in range(p + 1)])
        c = np.array([quad(lambda u, a=a: u ** (a + p + 1) * kernel(u), 0, 1)[0] for a in range(p + 1)])
        # Twice the triangle below the diagonal, symmetrised: there the smaller is v.
        half = np.array([[dblquad(lambda v, u, a=a, b=b: v ** (b + 1) * u**a * kernel(u) * kernel(v), 0, 1, 0,
                                  lambda u: u)[0] for b in range(p + 1)] for a in range(p + 1)])
        g = half + half.T
        return np.diagonal(np.linalg.inv(s) @ g @ np.linalg.inv(s)), np.linalg.solve(s, c)

    def density_derivative(k):  # of the normal distribution at 0
        polynomial = np.polynomial.Polynomial([1.0])
        z = np.polynomial.Polynomial([-mean / spread, 1 / spread])
        for _ in range(k):
            polynomial = polynomial.deriv() - polynomial * z / spread
        return float(polynomial(0)) * np.exp(-((mean / spread) ** 2) / 2) / np.sqrt(2 * np.pi) / spread

    def reference(q, v):
        variance, bias = constants(q, lambda u: 1.0)
        bent = (density_derivative(q) / factorial(q + 1) * bias[v]) ** 2
        return ((2 * v - 1) * variance[v] * density_derivative(0) / (2 * (q + 1 - v) * bent * n)) ** (1 / (2 * q + 1))

    first, second = reference(p, 1), min(reference(p + 2, p + 1), np.abs(x).max())
    v = n * first * by_loops(x, (first, first), p, 1, False)[1]
    bent = by_loops(x, (second, second), p + 2, p + 1, False)[0] / factorial(p + 1)
    bias = bent * constants(p, lambda u: 1 - u)[1][1]
    each = [(v[0, 0], bias[0]), (v[1, 1], bias[1]), (v[0, 0] + v[1, 1], bias[1] - bias[0]),
            (v[0, 0] + v[1, 1], bias[0] + bias[1])]
    h = [min((a / (2 * p * b**2 * n)) ** (1 / (2 * p + 1)), np.abs(x).max()) for a, b in each]
    assert density_bandwidths(x, p) == pytest.approx((np.median([h[0], *h[2:]]), np.median(h[1:])), rel=1e-6)


SETS = {
    "normal": lambda: np.random.default_rng(0).standard_normal(300) * 1.3 + 0.2,
    "gamma": lambda: np.random.default_rng(1).gamma(2, 1, 500) - 1,
    "beta": lambda: 2 * np.random.default_rng(2).beta(2, 4, 1000) - 0.8,
    "uniform": lambda: np.random.default_rng(3).uniform(-1, 2, 2000),
    "student": lambda: np.random.default_rng(4).standard_t(4, 800) - 0.3,
    "ties": lambda: np.round(np.random.default_rng(9).standard_normal(900), 2),
}
# rddensity 3.0: densities, errors left, right and of the difference, bandwidths, p-value; unrestricted and restricted.
PRINTED: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "normal": (
        (0.171453609, 0.281618291, 0.107803438, 0.0808524514, 0.134754221, 1.22331289, 1.69754375, 0.413629579),
        (0.312947297, 0.269085534, 0.0539352409, 0.0527769267, 0.0859178232, 1.3847783, 1.3847783, 0.609695386),
    ),
    "gamma": (
        (0.339489345, 0.463470798, 0.11783285, 0.123850848, 0.170949153, 0.843040589, 0.844926569, 0.468296597),
        (0.418769089, 0.359054705, 0.0579024105, 0.0544775118, 0.0915283931, 1.11907227, 1.11907227, 0.514134283),
    ),
    "beta": (
        (0.990059667, 0.749842422, 0.175352772, 0.194702706, 0.262026217, 0.432545457, 0.30576627, 0.359264238),
        (0.996931549, 0.849340955, 0.109272861, 0.10417146, 0.173041947, 0.344945071, 0.344945071, 0.393704772),
    ),
    "uniform": (
        (0.350864573, 0.274287613, 0.0697981842, 0.0622200182, 0.0935046372, 0.437580929, 0.519416354, 0.412806776),
        (0.32336963, 0.313175286, 0.0269218649, 0.0264135356, 0.0434640757, 0.969599246, 0.969599246, 0.814560776),
    ),
    "student": (
        (0.396272974, 0.328141479, 0.0880316619, 0.0596835789, 0.106356491, 0.947141842, 1.21848028, 0.521785492),
        (0.427345738, 0.294204614, 0.0459795164, 0.0410253031, 0.0695352991, 0.993877237, 0.993877237, 0.0555273117),
    ),
    "ties": (
        (0.349201181, 0.537191541, 0.0970433053, 0.0893167315, 0.131889657, 0.610492812, 0.738086611, 0.154052904),
        (0.319431433, 0.447574749, 0.0449623018, 0.0511310774, 0.078119821, 0.799571887, 0.799571887, 0.100933832),
    ),
}


@pytest.mark.parametrize("name", list(SETS))
@pytest.mark.parametrize("restricted", [False, True])
def test_numbers_of_rddensity(name, restricted):
    found = density_jump(SETS[name](), restricted=restricted)
    assert found is not None
    numbers = (found.left, found.right, *found.errors, found.error, *found.bandwidths, found.p_value)
    assert numbers == pytest.approx(PRINTED[name][int(restricted)], rel=1e-6)


def test_the_senate(cases):
    """The example of Cattaneo, Jansson and Ma (2018), Stata Journal 18: p = 0.3814 at bandwidths 19.841 and 27.119."""
    from whence import read

    margin = read(cases / "effects" / "rd_senate.csv").numeric("margin")
    found = density_jump(margin[np.isfinite(margin)])
    assert found is not None and found.p_value == pytest.approx(0.3814, abs=5e-5)
    assert found.bandwidths == pytest.approx((19.841, 27.119), abs=5e-4) and found.rows == (408, 460)
    assert found.statistic == pytest.approx(-0.8753, abs=5e-5)


def test_too_few_values_are_not_tested():
    x = np.random.default_rng(0).standard_normal(300)
    assert density_jump(x + 5) is None and density_jump(np.round(x)) is None
    assert density_jump(x, bandwidths=(1e-6, 1.0)) is None
