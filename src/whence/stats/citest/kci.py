"""KCI: is what is left of functions of x and of y, given z, uncorrelated?"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.result import Remark
from whence.core.rng import generator
from whence.data.table import Table
from whence.stats.citest.kernel import (
    KERNELS,
    columns_of,
    coordinates,
    determined,
    factor,
    median_distance,
    memory,
    speechless,
)
from whence.stats.citest.kernel_test import NULLS, Basis, KernelTest, basis_of, conditional, regressed, unconditional
from whence.stats.citest.quantum import MOST_QUBITS
from whence.stats.citest.result import IndependenceTest, checked_variables, impossible

EXACT = 1e-10  # share of a kernel matrix's trace that a factor may leave out: rounding
FUNCTION = 1e-5  # a smaller share of a kernel left by regression says that a variable is a function of the others
MUCH = 0.01  # share of a kernel matrix left out for its rank that is worth saying
PARAMETERS = (
    Parameter("kernel", "choice", "gaussian", "how rows are compared: 'gaussian', 'cosine' (one rotated qubit per "
              "coordinate), or 'quantum' (an entangled circuit of at most 8 qubits, simulated); regression on the "
              "others is Gaussian always", choices=KERNELS),
    Parameter("null", "choice", "gamma", "law of the statistic under independence: a gamma with its mean and variance, "
              "the weighted sum of chi-squares ('spectral'), or permutations and random signs ('resampling')",
              choices=NULLS),
    Parameter("width", "float", 1.0, "width of the kernel over the median distance of two rows", low=0.0,
              open_ends=True),
    Parameter("draws", "int", 499, "draws of the spectral and the resampling law", low=19),
)
CITATIONS = (
    "Zhang, K., Peters, J., Janzing, D. and Schoelkopf, B. (2011). Kernel-based conditional independence test and "
    "application in causal discovery. Uncertainty in Artificial Intelligence 27:804-813.",
    "Pogodin, R., Schrab, A., Li, Y., Sutherland, D. J. and Gretton, A. (2024). Practical kernel tests of "
    "conditional independence. arXiv:2402.13196.",
    "Kazi-Aoual, F., Hitier, S., Sabatier, R. and Lebreton, J.-D. (1995). Refined approximations to permutation "
    "tests for multivariate inference. Computational Statistics and Data Analysis 20:643-656.",
)
CARD = Card(
    name="kci",
    task="independence_test",
    title="Kernel conditional independence test",
    summary="Finds dependence of any smooth form between columns of any kind, given any smooth influence of others. "
    "Kernel matrices are exact up to rounding.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=("Means of functions of both variables change smoothly with the others.", "Rows are independent."),
    parameters=PARAMETERS,
    output="IndependenceTest",
    cost="n^2 times the rank of the kernel matrices, which grows with the number of conditioning variables",
    citations=CITATIONS,
    function="whence.stats.citest.kci:kci_test",
)


def kci_test(
    table: Table, x: str, y: str, given: Sequence[str] = (), *, kernel: str = "gaussian", null: str = "gamma",
    width: float = 1.0, draws: int = 499, seed: int = 0,
) -> IndependenceTest:
    """Tests x independent of y given ``given`` on the rows where all of them are present.

    Zhang et al. (2011) regress a kernel of (x, z) and one of y on z. Here the kernel of x, alone, is regressed and
    then multiplied by that of z, which is the same where regression is exact and treats x and y alike; the ridge is
    found by cross-validation rather than fixed (Pogodin et al. 2024). seed: of the spectral and resampling draws.
    Raises ``WhenceError`` for unknown or repeated columns, and for datetime and text.
    """
    given_parameters = {"kernel": kernel, "null": null, "width": width, "draws": draws}
    return run(CARD, table, x, y, tuple(given), given_parameters, seed, EXACT, len(table))


def run(
    card: Card, table: Table, x: str, y: str, given: tuple[str, ...], parameters: dict, seed: int, tolerance: float,
    most: int,
) -> IndependenceTest:
    """The test of a card of this family, with factors up to ``tolerance`` of the trace and rank ``most``."""
    checked = card.checked(parameters)
    names = checked_variables(table, x, y, given)
    rows = table.complete(names)
    n = int(rows.sum())
    common = {"test": card.name, "x": x, "y": y, "given": given, "n": n, "n_missing": len(table) - n}
    reason = _impossible(table, names, rows, checked["kernel"])
    if reason is None:
        rng = partial(generator, seed, card.name, *sorted((x, y)), "given", *sorted(given))
        asked = _Asked(table, rows, checked["kernel"], checked["width"], tolerance, most)
        first, second = sorted((x, y))
        found = _tested(asked, first, second, tuple(sorted(given)), checked["null"], checked["draws"], rng)
        if found.p_value is not None:
            remarks = asked.cut_short(((first,), (second,), tuple(sorted(given))))
            return IndependenceTest(
                statistic=found.statistic, p_value=found.p_value, df=None, remarks=remarks, **common
            )
        reason = "nothing_left", "A variable is determined by the others, or hardly varies: nothing to test."
    remarks = impossible(*reason, names, n=n)
    return IndependenceTest(statistic=None, p_value=None, df=None, remarks=remarks, **common)


def _impossible(table: Table, names: tuple[str, ...], rows: np.ndarray, kernel: str) -> tuple[str, str] | None:
    """Why these rows cannot be tested, code and sentence, or None."""
    n, k = int(rows.sum()), len(names) - 2
    if n < k + 8:
        return "too_few_rows", f"{n} rows are too few for a kernel test given {k} variables."
    if any(speechless(table.column(name), rows) for name in names[:2]):
        return "nothing_left", "No level of a variable occurs twice: nothing to test."
    points = [coordinates(table.column(name), rows) for name in names]
    sizes = [v.shape[1] for v in points]
    if min(sizes[:2]) == 0:
        return "nothing_left", "A variable is constant: nothing to test."
    if k and any(determined(v, np.hstack(points[2:])) for v in points[:2]):
        return "nothing_left", "A variable is determined by the conditioning variables: nothing to test."
    if kernel == "quantum" and max(*sizes[:2], sum(sizes[2:])) > MOST_QUBITS:
        return "too_many_qubits", f"The circuit has {MOST_QUBITS} qubits, one per number or level; more are needed."
    return None


class _Asked:
    """The factors of one table's columns on some rows, remembered with the table."""

    def __init__(self, table: Table, rows: np.ndarray, kernel: str, width: float, tolerance: float, most: int) -> None:
        self.table, self.rows = table, rows
        self.kernel, self.width, self.tolerance, self.most = kernel, width, tolerance, most
        self.memory = memory(table)
        part = b"" if rows.all() else hashlib.blake2b(np.packbits(rows).tobytes(), digest_size=16).digest()
        self.key = (kernel, width, tolerance, most, part)

    def factor(self, names: tuple[str, ...]) -> np.ndarray:
        """(n, r) factor of the kernel matrix of the columns together."""
        return self.memory.get(("factor", names, self.key), lambda: self._factor(names, self.kernel, self.width))

    def _factor(self, names: tuple[str, ...], kernel: str, width: float) -> np.ndarray:
        points = np.hstack([coordinates(self.table.column(name), self.rows) for name in names])
        if not points.shape[1]:
            return np.ones((len(points), 1))
        column = columns_of(points, kernel, width * median_distance(points))
        return factor(column, len(points), self.tolerance, self.most)

    def cut_short(self, sets: tuple[tuple[str, ...], ...]) -> tuple[Remark, ...]:
        """A remark for each set of columns of whose kernel matrix the largest rank allowed leaves out much."""
        out = []
        for names in filter(None, sets):
            lost = 1 - float((self.factor(names) ** 2).sum()) / int(self.rows.sum())
            if lost > MUCH:
                text = (f"At rank {self.most}, {lost:.0%} of the kernel of {', '.join(names)} is left out: influences "
                        "that wiggle are seen in part only. The test 'kci' keeps all.")
                out.append(Remark("low_rank", text, names, {"share": lost, "rank": self.most}))
        return tuple(out)

    def centred(self, name: str) -> np.ndarray:
        f = self.factor((name,))
        return f - f.mean(axis=0)

    def basis(self, given: tuple[str, ...]) -> Basis:
        """Directions of regression on the columns, of the Gaussian kernel always: circuits make waves of a few lengths
        only, and would leave any other influence of the columns in both residuals."""
        def made() -> np.ndarray:
            gaussian = self.kernel == "gaussian"
            return _packed(basis_of(self.factor(given) if gaussian else self._factor(given, "gaussian", 1.0)))

        found = self.memory.get(("basis", given, self.key), made)
        return Basis(found[1:], found[0])

    def residual(self, name: str, given: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
        key = ("residual", name, given, self.key)
        left = ("left", name, given, self.key)
        if left not in self.memory.known:
            made = regressed(self.centred(name), self.basis(given))
            self.memory.get(left, lambda: made[1])
            return self.memory.get(key, lambda: made[0]), made[1]
        share = self.memory.known[left]
        return self.memory.get(key, lambda: regressed(self.centred(name), self.basis(given))[0]), share


def _packed(basis: Basis) -> np.ndarray:
    return np.vstack([basis.power, basis.vectors])


def _tested(asked: _Asked, x: str, y: str, given: tuple[str, ...], null: str, draws: int, rng) -> KernelTest:
    if not given:
        return unconditional(asked.centred(x), asked.centred(y), null, draws, rng)
    (ex, left_x), (ey, left_y) = asked.residual(x, given), asked.residual(y, given)
    for name, e in ((x, ex), (y, ey)):
        if (e**2).sum() <= FUNCTION * (asked.centred(name) ** 2).sum():
            return KernelTest(0.0, None)
    return conditional(ex, ey, asked.factor(given), asked.basis(given), (left_x, left_y), null, draws, rng)
