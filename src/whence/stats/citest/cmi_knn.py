"""Conditional mutual information by nearest neighbours, with permutations among neighbours in z."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.rng import generator
from whence.data.table import NUMERIC, Table
from whence.stats.citest.kernel import blocks, coordinates, determined
from whence.stats.citest.rank_z import ranks
from whence.stats.citest.result import IndependenceTest, checked_variables, impossible

CARD = Card(
    name="cmi_knn",
    task="independence_test",
    title="Conditional mutual information by nearest neighbours",
    summary="Finds dependence of any form between numbers, given few others. It compares the information with that "
    "left when x is shuffled among rows with similar z, so it is slow: up to hundreds of estimates per test.",
    data_kinds=("continuous", "count"),
    assumptions=("Rows close in the conditioning variables are exchangeable.", "Rows are independent."),
    parameters=(
        Parameter("neighbours", "float", 0.1, "neighbours of a row, as a share of the rows", low=0.0, high=0.5,
                  open_ends=True),
        Parameter("shuffle", "int", 5, "rows near in the conditioning variables among which x is shuffled; one per "
                  "twenty rows where that is less, but three at least", low=2),
        Parameter("permutations", "int", 199, "shuffled estimates, at most", low=19),
    ),
    output="IndependenceTest",
    cost="n^2 times the permutations, of which independent variables need about a fifth",
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
ROWS_PER_SHUFFLED, FEWEST_SHUFFLED = 20, 3
ENOUGH = 10  # shuffled estimates at least as large after which shuffling stops
_BLOCK = 2**17  # entries of a block of distances: a few blocks fit the cache


def doubled_ranks(values: np.ndarray) -> np.ndarray:
    """int (n,): twice the rank, whole numbers even where equal values share a mean rank."""
    doubled = np.rint(2 * ranks(values))
    return doubled.astype(np.int16 if len(values) < 2**14 else np.int32)


def information(x: np.ndarray, y: np.ndarray, z: np.ndarray, k: int) -> float:
    """psi(k) + mean of psi(n_z) - psi(n_xz) - psi(n_yz), in nats, for x (n,), y (n,) and z (n, q), whole numbers.

    Distances are the largest coordinate difference; n_xz counts the rows, the row itself among them, closer in
    (x, z) than its k-th neighbour in (x, y, z) (Frenzel and Pompe 2007, equation 8). Without z, n_z is n. All
    distances are computed, in blocks of rows: with a tenth of the rows as neighbours no tree is faster.
    """
    from scipy.special import psi

    n = len(x)
    counts = np.empty((3, n), dtype=np.int64)
    for rows in blocks(n, max(_BLOCK // n, 1)):
        dx, dy = (np.abs(v[rows, None] - v) for v in (x, y))
        dz = np.zeros_like(dx)
        for column in z.T:
            np.maximum(dz, np.abs(column[rows, None] - column), out=dz)
        np.maximum(dx, dz, out=dx)
        np.maximum(dy, dz, out=dy)
        # Selection among 32-bit numbers is several times faster than among 16-bit ones.
        whole = np.maximum(dx, dy).astype(np.int32)
        whole.partition(k, axis=1)
        radius = whole[:, k, None].astype(dx.dtype)
        for i, d in enumerate((dz, dx, dy)):
            counts[i, rows] = (d < radius).view(np.uint8).sum(axis=1, dtype=np.uint32)
    known = psi(np.arange(1, n + 1))
    nz, nxz, nyz = known[np.maximum(counts, 1) - 1]
    return float(psi(k) + (nz - nxz - nyz).mean())


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
    p-value: (1 + shuffled estimates at least as large) / (1 + permutations), or 10 over the number of shuffles after
    which ten were at least as large. Raises ``WhenceError`` for unknown,
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
    values = [doubled_ranks(table.numeric(name)[rows]) for name in ordered]
    rng = generator(seed, CARD.name, *ordered)
    z = np.column_stack([np.empty((n, 0), dtype=values[0].dtype), *values[2:]])
    value, p = _tested(values[0], values[1], z, checked, rng)
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
    """The information and its p-value. Shuffling stops at ``ENOUGH`` estimates at least as large, out of m; then
    ENOUGH / m is a p-value too (Besag and Clifford 1991), and far from small."""
    n = len(x)
    k = max(3, min(int(parameters["neighbours"] * n), n - 2))
    # Five of fifty rows are so far apart that shuffling breaks what z does to x: dependence where there is none.
    among = min(parameters["shuffle"], max(n // ROWS_PER_SHUFFLED, FEWEST_SHUFFLED))
    near = neighbours(z, among) if z.shape[1] else None
    value = information(x, y, z, k)
    above = 0
    for made in range(1, parameters["permutations"] + 1):
        order = rng.permutation(n) if near is None else local_permutation(near, rng)
        above += information(x[order], y, z, k) >= value
        if above == ENOUGH:
            return value, above / made
    return value, float((1 + above) / (1 + parameters["permutations"]))
