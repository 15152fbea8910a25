"""Each score against its formula, written out by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import whence
from whence import WhenceError
from whence.data.table import Table
from whence.stats.score.choose import score
from whence.stats.score.correlations import correlations


def _numbers(n: int = 300, seed: int = 0) -> Table:
    rng = np.random.default_rng(seed)
    a = rng.normal(size=n)
    b = 0.8 * a + rng.normal(size=n)
    c = b - 0.5 * a + rng.normal(size=n)
    return whence.read({"a": a, "b": 1e6 + 1e3 * b, "c": c})


def _levels(n: int = 400, seed: int = 0) -> Table:
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 3, n)
    b = np.where(rng.random(n) < 0.6, a % 2, rng.integers(0, 2, n))
    c = np.where(rng.random(n) < 0.5, a, rng.integers(0, 3, n))
    return whence.read({"a": [f"l{v}" for v in a], "b": [f"l{v}" for v in b], "c": [f"l{v}" for v in c]})


def test_gaussian_bic_is_the_regression_likelihood_less_its_price() -> None:
    table = _numbers()
    n, found = len(table), score(table, ("a", "b", "c"), "gaussian_bic", {"penalty": 2.0, "gamma": 0.3})
    x = {name: table.column(name).values for name in "abc"}

    def by_hand(y: str, parents: tuple[str, ...]) -> float:
        design = np.column_stack([np.ones(n), *((x[p] - x[p].mean()) / x[p].std() for p in parents)])
        target = (x[y] - x[y].mean()) / x[y].std()
        rest = target - design @ np.linalg.lstsq(design, target, rcond=None)[0]
        return -n / 2 * math.log((rest**2).mean()) - len(parents) * (2 * math.log(n) / 2 + 0.6 * math.log(3))

    for y in "abc":
        others = [v for v in "abc" if v != y]
        for k in range(3):
            for parents in itertools.combinations(others, k):
                assert found.local(y, parents) == pytest.approx(by_hand(y, parents), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("method", ["bdeu", "discrete_bic"])
def test_discrete_scores_by_loops(method: str) -> None:
    table = _levels()
    given = {"sample_size": 2.0, "gamma": 0.25} if method == "bdeu" else {"penalty": 1.5, "gamma": 0.25}
    found = score(table, ("a", "b", "c"), method, given)
    rows = list(zip(*(table.column(v).values.tolist() for v in "abc"), strict=True))
    sizes = {"a": 3, "b": 2, "c": 3}

    def by_hand(y: str, parents: tuple[str, ...]) -> float:
        at, r = "abc".index(y), sizes[y]
        q = math.prod(sizes[p] for p in parents)
        total = -2 * 0.25 * math.log(3) * len(parents)
        for values in itertools.product(*(range(sizes[p]) for p in parents)):
            own = [row for row in rows if all(row["abc".index(p)] == v for p, v in zip(parents, values, strict=True))]
            counts = [sum(row[at] == k for row in own) for k in range(r)]
            if method == "bdeu":
                total += math.lgamma(2 / q) - math.lgamma(2 / q + len(own))
                total += sum(math.lgamma(2 / (q * r) + k) - math.lgamma(2 / (q * r)) for k in counts)
            else:
                total += sum(k * math.log(k / len(own)) for k in counts if k)
        return total - (1.5 * math.log(len(rows)) / 2 * (r - 1) * q if method == "discrete_bic" else 0)

    for y in "abc":
        others = [v for v in "abc" if v != y]
        for k in range(3):
            for parents in itertools.combinations(others, k):
                assert found.local(y, parents) == pytest.approx(by_hand(y, parents), rel=1e-11)


@pytest.mark.parametrize("method", ["bdeu", "gaussian_bic"])
def test_equivalent_graphs_score_alike(method: str) -> None:
    found = score(_levels() if method == "bdeu" else _numbers(), ("a", "b", "c"), method)
    chain = {"b": ["a"], "c": ["b"]}
    for other in ({"a": ["b"], "c": ["b"]}, {"a": ["b"], "b": ["c"]}):
        assert found.total(chain) == pytest.approx(found.total(other), rel=1e-11)
    assert abs(found.total(chain) - found.total({"b": ["a", "c"]})) > 1


def test_degenerate_gaussian_of_numbers_is_gaussian_bic() -> None:
    table = _numbers()
    a, b = (score(table, ("a", "b", "c"), m) for m in ("gaussian_bic", "degenerate_gaussian"))
    for y, parents in (("a", ()), ("b", ("a",)), ("c", ("a", "b"))):
        assert a.local(y, parents) == pytest.approx(b.local(y, parents), rel=1e-9, abs=1e-9)


def test_degenerate_gaussian_by_determinants() -> None:
    rng = np.random.default_rng(1)
    a = rng.integers(0, 3, 300)
    b = a + rng.normal(size=300)
    table = whence.read({"a": [f"l{v}" for v in a], "b": b})
    found = score(table, ("a", "b"))
    assert found.method == "degenerate_gaussian"
    columns = np.array([a == 1, a == 2, b], dtype=float)
    r = np.corrcoef(columns)
    price = math.log(300) / 2
    expected = -150 * math.log(np.linalg.det(r) / np.linalg.det(r[:2, :2])) - 2 * price - math.log(2)
    assert found.local("b", ["a"]) == pytest.approx(expected, rel=1e-10)


def test_missing_values_are_expected_under_a_normal_model() -> None:
    rng = np.random.default_rng(3)
    n = 4000
    a = rng.normal(size=n)
    b = 0.8 * a + 0.6 * rng.normal(size=n)
    gone = rng.random(n) < 1 / (1 + np.exp(-3 * a))  # b is missing where a is large: rows without gaps mislead
    table = whence.read({"a": a, "b": np.where(gone, np.nan, b)})
    found = correlations(table, ("a", "b"))
    kept = ~gone
    assert abs(np.corrcoef(a[kept], b[kept])[0, 1] - 0.8) > 0.08
    assert found.matrix[0, 1] == pytest.approx(0.8, abs=0.02)
    assert found.n == kept.sum() and found.remarks[0].code == "missing_expected"
    # With one incomplete column the maximum is in closed form: the regression on complete rows, and all of a.
    slope = np.cov(a[kept], b[kept])[0, 1] / a[kept].var(ddof=1)
    rest = (b[kept] - b[kept].mean() - slope * (a[kept] - a[kept].mean())).var()
    expected = slope * a.std() / math.sqrt(slope**2 * a.var() + rest)
    assert found.matrix[0, 1] == pytest.approx(expected, abs=1e-5)


def test_columns_never_seen_together_are_refused() -> None:
    x = np.arange(20.0)
    table = whence.read({"a": np.where(x < 10, x, np.nan), "b": np.where(x < 10, np.nan, x * x)})
    with pytest.raises(WhenceError, match="together"):
        score(table, ("a", "b"))


def test_what_a_score_does_not_take_is_named() -> None:
    with pytest.raises(WhenceError, match="gaussian_bic"):
        score(_levels(), ("a", "b", "c"), "gaussian_bic")
    with pytest.raises(WhenceError, match="sample_size"):
        score(_numbers(), ("a", "b"), "gaussian_bic", {"sample_size": 3.0})
    with pytest.raises(WhenceError, match="'z'"):
        score(_numbers(), ("a", "b")).local("a", ["z"])
