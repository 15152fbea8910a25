"""Conditional mutual information by nearest neighbours, with permutations among neighbours in z."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.rng import generator
from whence.data.table import NUMERIC, Table
from whence.stats.citest.kernel import coordinates, determined
from whence.stats.citest.rank_z import ranks
from whence.stats.citest.result import IndependenceTest, checked_variables, impossible

CARD = Card(
    name="cmi_knn",
    task="independence_test",
    title="Conditional mutual information by nearest neighbours",
    summary="Finds dependence of any form between numbers, given few others. It compares the information with that "
    "left when x is shuffled among rows with similar z, so it is slow: hundreds of estimates per test.",
    data_kinds=("continuous", "count"),
    assumptions=("Rows close in the conditioning variables are exchangeable.", "Rows are independent."),
    parameters=(
        Parameter("neighbours", "float", 0.1, "neighbours of a row, as a share of the rows", low=0.0, high=0.5,
                  open_ends=True),
        Parameter("shuffle", "int", 5, "rows near in the conditioning variables among which x is shuffled", low=2),
        Parameter("permutations", "int", 199, "shuffled estimates", low=19),
    ),
    output="IndependenceTest",
    cost="permutations times n log n times the number of neighbours",
    citations=(
        "Runge, J. (2018). Conditional independence testing based on a nearest-neighbor estimator of conditional "
        "mutual information. Proceedings of Machine Learning Research 84:938-947.",
        "Frenzel, S. and Pompe, B. (2007). Partial mutual information for coupling analysis of multivariate time "
        "series. Physical Review Letters 99:204101.",
        "Kraskov, A., Stoegbauer, H. and Grassberger, P. (2004). Estimating mutual information. Physical Review E "
        "69:066138.",
    ),
    function="whence.stats.citest.cmi_knn:cmi_knn_test",
)
DENSE = 400  # rows up to which all distances are kept


def information(x: np.ndarray, y: np.ndarray, z: np.ndarray, k: int) -> float:
    """psi(k) + mean of psi(n_z) - psi(n_xz) - psi(n_yz), in nats, for x (n,), y (n,) and z (n, q).

    Distances are the largest coordinate difference; n_xz counts the rows, the row itself among them, closer in
    (x, z) than its k-th neighbour in (x, y, z) (Frenzel and Pompe 2007, equation 8). Without z, n_z is n.
    """
    from scipy.spatial import KDTree
    from scipy.special import psi

    n = len(x)
    whole = np.column_stack([x, y, z])
    radius = np.nextafter(KDTree(whole).query(whole, k + 1, p=np.inf)[0][:, -1], 0)

    def near(points: np.ndarray) -> np.ndarray:
        tree = KDTree(points)
        return tree.query_ball_point(points, radius, p=np.inf, return_length=True)

    nxz, nyz = near(np.column_stack([x, z])), near(np.column_stack([y, z]))
    nz = near(z) if z.shape[1] else np.full(n, n)
    return float(psi(k) + (psi(nz) - psi(nxz) - psi(nyz)).mean())


def information_dense(dx: np.ndarray, dyz: np.ndarray, dz: np.ndarray, k: int) -> float:
    """``information`` from matrices (n, n) of distances in x, in (y, z) and in z; quicker for few rows."""
    from scipy.special import psi

    dxz = np.maximum(dx, dz)
    radius = np.nextafter(np.partition(np.maximum(dxz, dyz), k, axis=1)[:, k], 0)[:, None]
    nz, nxz, nyz = ((d <= radius).sum(axis=1) for d in (dz, dxz, dyz))
    return float(psi(k) + (psi(nz) - psi(nxz) - psi(nyz)).mean())


def neighbours(z: np.ndarray, k: int) -> np.ndarray:
    """int (n, k): the k rows closest to each row of z (n, q), itself among them."""
    from scipy.spatial import KDTree

    return KDTree(z).query(z, k, p=np.inf)[1].reshape(len(z), k)


def local_permutation(near: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sends every row to one of its neighbours that no other row was sent to, while there is one (Runge 2018,
    algorithm 1): rows in random order, neighbours in random order."""
    n, k = near.shape
    taken = np.zeros(n, dtype=bool)
    out = np.empty(n, dtype=np.int64)
    choices = np.take_along_axis(near, rng.random((n, k)).argsort(axis=1), axis=1).tolist()
    for i in rng.permutation(n).tolist():
        chosen = next((j for j in choices[i] if not taken[j]), choices[i][-1])
        out[i] = chosen
        taken[chosen] = True
    return out


def cmi_knn_test(
    table: Table, x: str, y: str, given: Sequence[str] = (), *, neighbours: float = 0.1, shuffle: int = 5,
    permutations: int = 199, seed: int = 0,
) -> IndependenceTest:
    """Tests x independent of y given ``given`` on the rows where all of them are present.

    Columns enter as ranks. statistic: the estimated information in nats, which may be a little below zero.
    p-value: (1 + shuffled estimates at least as large) / (1 + permutations). Raises ``WhenceError`` for unknown,
    repeated or non-numeric columns.
    """
    checked = CARD.checked({"neighbours": neighbours, "shuffle": shuffle, "permutations": permutations})
    names = checked_variables(table, x, y, tuple(given), NUMERIC)
    rows = table.complete(names)
    n = int(rows.sum())
    common = {"test": CARD.name, "x": x, "y": y, "given": names[2:], "n": n, "n_missing": len(table) - n}
    ordered = (min(x, y), max(x, y), *sorted(given))
    reason = _impossible(table, ordered, rows, checked["shuffle"])
    if reason is not None:
        remarks = impossible(*reason, names, n=n)
        return IndependenceTest(statistic=None, p_value=None, df=None, remarks=remarks, **common)
    values = [ranks(table.numeric(name)[rows]) / n for name in ordered]
    rng = generator(seed, CARD.name, *ordered)
    value, p = _tested(values[0], values[1], np.column_stack([np.empty((n, 0)), *values[2:]]), checked, rng)
    return IndependenceTest(statistic=value, p_value=p, df=None, **common)


def _impossible(table: Table, names: tuple[str, ...], rows: np.ndarray, shuffle: int) -> tuple[str, str] | None:
    n = int(rows.sum())
    if n < max(2 * shuffle, len(names) + 6):
        return "too_few_rows", f"{n} rows are too few to shuffle among neighbours given {len(names) - 2} variables."
    points = [coordinates(table.column(name), rows) for name in names]
    if min(points[0].shape[1], points[1].shape[1]) == 0:
        return "nothing_left", "A variable is constant: nothing to test."
    if len(names) > 2 and any(determined(v, np.hstack(points[2:])) for v in points[:2]):
        return "nothing_left", "A variable is determined by the conditioning variables: nothing to test."
    return None


def _tested(
    x: np.ndarray, y: np.ndarray, z: np.ndarray, parameters: dict, rng: np.random.Generator
) -> tuple[float, float]:
    n = len(x)
    k = max(3, min(int(parameters["neighbours"] * n), n - 2))
    near = neighbours(z, parameters["shuffle"]) if z.shape[1] else None
    dense = n <= DENSE
    if dense:
        dx, dy = (np.abs(v[:, None] - v) for v in (x, y))
        dz = np.abs(z[:, None] - z[None]).max(axis=2, initial=0.0)
        dyz = np.maximum(dy, dz)

        def estimate(order: np.ndarray) -> float:
            return information_dense(dx[order][:, order], dyz, dz, k)
    else:
        def estimate(order: np.ndarray) -> float:
            return information(x[order], y, z, k)

    value = estimate(np.arange(n))
    above = 0
    for _ in range(parameters["permutations"]):
        order = rng.permutation(n) if near is None else local_permutation(near, rng)
        above += estimate(order) >= value
    return value, float((1 + above) / (1 + parameters["permutations"]))
