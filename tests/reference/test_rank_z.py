"""Normal scores and the partial correlation of ranks against SciPy's own formulas."""

from __future__ import annotations

import math
from types import MappingProxyType

import numpy as np
import pytest
from scipy import stats

from whence.core.errors import WhenceError
from whence.data.table import Column, Table
from whence.stats.citest.rank_z import nearest_correlation, normal_scores, rank_z_test, ranks


def table(values: np.ndarray) -> Table:
    columns = {n: Column(n, "continuous", values[:, k].copy()) for k, n in enumerate("xyzw"[: values.shape[1]])}
    return Table(MappingProxyType(columns), len(values))


def test_ranks_share_ties() -> None:
    values = np.random.default_rng(0).integers(0, 9, 60).astype(float)
    assert (ranks(values) == stats.rankdata(values)).all()
    assert normal_scores(values) == pytest.approx(stats.norm.ppf(stats.rankdata(values) / 61))


@pytest.mark.parametrize("kind", ["normal_scores", "spearman"])
def test_partial_correlation_of_ranks(kind: str) -> None:
    rng = np.random.default_rng(1)
    values = rng.standard_normal((90, 4)) @ rng.standard_normal((4, 4))
    if kind == "spearman":
        corr = 2 * np.sin(np.pi / 6 * stats.spearmanr(values).statistic)
    else:
        corr = np.corrcoef(stats.norm.ppf(stats.rankdata(values, axis=0) / 91), rowvar=False)
    inverse = np.linalg.inv(corr)
    r = -inverse[0, 1] / math.sqrt(inverse[0, 0] * inverse[1, 1])
    p = 2 * stats.norm.sf(abs(math.atanh(r)) * math.sqrt(90 - 2 - 3))
    found = rank_z_test(table(values), "x", "y", ("z", "w"), correlation=kind)
    assert found.p_value == pytest.approx(p)
    bent = np.column_stack([np.exp(values[:, 0]), values[:, 1] ** 3, values[:, 2:]])
    assert rank_z_test(table(bent), "y", "x", ("w", "z"), correlation=kind).p_value == pytest.approx(p)


def test_contradicting_correlations_are_repaired() -> None:
    wrong = np.array([[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]])
    fixed = nearest_correlation(wrong)
    assert np.linalg.eigvalsh(fixed)[0] > -1e-12
    assert np.diagonal(fixed) == pytest.approx(1)


def test_what_cannot_be_tested() -> None:
    rng = np.random.default_rng(2)
    x = rng.standard_normal(30)
    twice = table(np.column_stack([x, rng.standard_normal(30), np.exp(x)]))
    assert rank_z_test(twice, "x", "y", ("z",)).remarks[0].code == "collinear"
    assert rank_z_test(twice.take(np.arange(4)), "x", "y", ("z",)).remarks[0].code == "too_few_rows"
    with pytest.raises(WhenceError, match="correlation"):
        rank_z_test(twice, "x", "y", correlation="kendall")
