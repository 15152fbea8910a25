"""Fisher's z on normal scores: partial correlation that no monotone change of scale can alter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.result import Remark
from whence.data.table import NUMERIC, Table
from whence.stats.citest.fisher_z import correlation, p_value, partial_correlation, statistic
from whence.stats.citest.result import IndependenceTest, checked_variables, constant, impossible

CARD = Card(
    name="rank_z",
    task="independence_test",
    title="Fisher's z test on ranks",
    summary="Tests whether two numeric variables are independent given others when all follow a joint normal "
    "distribution after some increasing change of scale of each: skewed and heavy-tailed columns are welcome.",
    data_kinds=("continuous", "count"),
    assumptions=("Each variable is an increasing function of a hidden one, and the hidden ones are jointly normal.",
                 "Rows are independent."),
    parameters=(
        Parameter("correlation", "choice", "normal_scores", "correlation of the normal scores of the ranks, or "
                  "Spearman's, brought to the scale of a normal correlation by 2 sin(pi rho / 6)",
                  choices=("normal_scores", "spearman")),
    ),
    output="IndependenceTest",
    cost="n k (k + log n) for k conditioning variables",
    citations=(
        "Liu, H., Lafferty, J. and Wasserman, L. (2009). The nonparanormal: semiparametric estimation of high "
        "dimensional undirected graphs. Journal of Machine Learning Research 10:2295-2328.",
        "Harris, N. and Drton, M. (2013). PC algorithm for nonparanormal graphical models. Journal of Machine "
        "Learning Research 14:3365-3383.",
    ),
    function="whence.stats.citest.rank_z:rank_z_test",
)


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks 1 to n of a (n,) vector; equal values share the mean of their ranks."""
    _, code, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return (last - (count - 1) / 2)[code]


def normal_scores(values: np.ndarray) -> np.ndarray:
    """Normal quantiles of rank / (n + 1), van der Waerden's scores, of a (n,) vector."""
    from scipy.special import ndtri

    return ndtri(ranks(values) / (len(values) + 1))


def nearest_correlation(corr: np.ndarray) -> np.ndarray:
    """``corr`` without its negative eigenvalues, scaled back to a unit diagonal."""
    root, vector = np.linalg.eigh(corr)
    fixed = (vector * np.maximum(root, 0.0)) @ vector.T
    size = np.sqrt(np.diagonal(fixed))
    return fixed / np.outer(size, size)


def rank_z_test(
    table: Table, x: str, y: str, given: Sequence[str] = (), *, correlation: str = "normal_scores"
) -> IndependenceTest:
    """Tests x independent of y given ``given`` on the rows where all of them are present.

    Normal scores keep the level of Fisher's z; Spearman's correlation is a little more robust, but varies more
    than the normal theory says, so its p-values are slightly too small (by 6 % in variance, Fieller, Hartley
    and Pearson 1957). Raises ``WhenceError`` for unknown, repeated or non-numeric columns.
    """
    kind = CARD.checked({"correlation": correlation})["correlation"]
    names = checked_variables(table, x, y, tuple(given), NUMERIC)
    rows = table.complete(names)
    n, k = int(rows.sum()), len(given)
    common = {"test": CARD.name, "x": x, "y": y, "given": names[2:], "n": n, "n_missing": len(table) - n}
    if n <= k + 3:
        text = f"{n} rows are too few for a test given {k} variables."
        remarks = impossible("too_few_rows", text, names, n=n, needed=k + 4)
        return IndependenceTest(statistic=None, p_value=None, df=None, remarks=remarks, **common)
    values = [table.numeric(name)[rows] for name in names]
    corr, remarks = _correlations(values, kind, names)
    r = None if corr is None else partial_correlation(corr)
    if r is None or any(_combined(v, values[2:]) for v in values[:2]):
        text = "A variable is constant or determined by the others, so there is nothing left to test."
        remarks = impossible("collinear", text, names)
        return IndependenceTest(statistic=None, p_value=None, df=None, remarks=remarks, **common)
    z = statistic(r, n, k)
    return IndependenceTest(statistic=z, p_value=p_value(z), df=None, remarks=remarks, **common)


def _combined(target: np.ndarray, others: list[np.ndarray]) -> bool:
    """Whether target is a linear combination of the others, to rounding in every row: then its rank is fixed too,
    though not by a linear combination of ranks."""
    if not others:
        return False
    columns = [v / np.abs(v).max() for v in (target, *others) if v.any()]
    if len(columns) < 2 or not target.any():
        return False
    design = np.column_stack([np.ones(len(target)), *columns[1:]])
    weights = np.linalg.lstsq(design, columns[0], rcond=None)[0]
    size = np.abs(columns[0]) + np.abs(design) @ np.abs(weights)
    return bool((np.abs(columns[0] - design @ weights) <= 1e-9 * size).all())


def _correlations(
    values: list[np.ndarray], kind: str, names: tuple[str, ...]
) -> tuple[np.ndarray | None, tuple[Remark, ...]]:
    """The correlation matrix of the hidden normal variables, None when a column is constant."""
    if any(constant(v) for v in values):
        return None, ()
    score = normal_scores if kind == "normal_scores" else ranks
    corr = correlation(np.column_stack([score(v) for v in values]))
    if corr is None or kind == "normal_scores":
        return corr, ()
    corr = 2 * np.sin(np.pi / 6 * corr)
    np.fill_diagonal(corr, 1.0)
    if np.linalg.eigvalsh(corr)[0] >= 0:
        return corr, ()
    text = "The rank correlations contradict each other; the nearest consistent ones were used."
    return nearest_correlation(corr), (Remark("correlations_repaired", text, names),)
