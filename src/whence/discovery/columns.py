"""Which columns can be nodes, and what their data make of the tests."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from whence.core.card import Card
from whence.core.errors import WhenceError
from whence.core.hashing import content_hash
from whence.core.registry import find_card
from whence.core.result import Refused, Remark
from whence.data.moments import moments
from whence.data.table import CODED, NUMERIC, Table
from whence.discovery.discrete import DiscreteTests
from whence.discovery.gaps import GapTests
from whence.discovery.independence import EachTest, GaussianTests, Tests
from whence.discovery.missingness import about_missingness, causes_of_missing
from whence.stats.citest.fisher_z import COLLINEAR, correlation

FEWEST_ROWS = 10
_CLOSE = 1e-9  # copies are within this of a perfect correlation
_LEFT_OUT = ("_left_out", "_column")  # how the codes of remarks on left-out columns end
WEAK = 0.3  # a remark is due when correlations of this size may well be missed


@dataclass(frozen=True, eq=False)
class Prepared:
    """names: the nodes, sorted. tests: about them. remarks: what was left out and what to be wary of."""

    names: tuple[str, ...]
    tests: Tests
    remarks: tuple[Remark, ...]


@dataclass(frozen=True, eq=False)
class Nodes:
    """names: the columns that can be nodes, sorted. correlations: theirs, (d, d), where these came for free.
    remarks: why others were left out."""

    names: tuple[str, ...]
    correlations: np.ndarray | None
    remarks: tuple[Remark, ...]


@dataclass(frozen=True, eq=False)
class Columns:
    """names: the nodes, sorted. table: the data, for methods that read it themselves. remarks: as in ``Nodes``."""

    names: tuple[str, ...]
    table: Table
    remarks: tuple[Remark, ...]


def columns_of(table: Table, kinds: tuple[str, ...], method: str) -> Columns | Refused:
    """The nodes, for a method that reads the table itself. Raises ``WhenceError`` (``wrong_kind``)."""
    found = nodes(table)
    if isinstance(found, Refused):
        return found
    for n in found.names:
        if table.kind(n) not in kinds:
            raise WhenceError(f"Column {n!r} is {table.kind(n)}; {method!r} takes {', '.join(kinds)}.",
                              code="wrong_kind", value=n, allowed=kinds, hint="Leave this column out.")
    return Columns(found.names, table, found.remarks)


def nodes(table: Table) -> Nodes | Refused:
    """Which columns can be nodes.

    Columns that say nothing about the others (text, dates, row identifiers given as roles, empty, constant, copies
    of another column) are left out, each with a remark: as isolated nodes they would look independent of
    everything. Fewer than two nodes, or fewer than 10 rows, is a ``Refused``.
    """
    remarks = _roles(table)
    taken = {r.about[0] for r in remarks}
    names = sorted(n for n in table.names if n not in taken)
    remarks += _untestable(table, names)
    names, corr, dull = _informative(table, _rest(names, remarks))
    remarks += dull
    if len(names) < 2:
        return _refused("too_few_columns", f"Only {len(names)} column can be part of a graph.", remarks,
                        "Give at least two columns that vary, of numbers or categories.")
    if len(table) < FEWEST_ROWS:
        return _refused("too_few_rows", f"{len(table)} rows are too few to learn a graph from.", remarks,
                        f"At least {FEWEST_ROWS} are needed, and hundreds to see weak relations.")
    return Nodes(tuple(names), corr, tuple(remarks))


def prepare(table: Table, alpha: float, test: str = "auto", missing: str = "testwise") -> Prepared | Refused:
    """The nodes of the search and the tests about them.

    test: the card of an independence test, or ``"auto"``. missing: ``"testwise"``, or ``"mvpc"`` for tests corrected
    for what decides that values are missing. Raises ``WhenceError``: ``unknown_method``, or ``wrong_kind`` for
    columns these cannot take.
    """
    card = None if test == "auto" else find_card("independence_test", test)
    found = nodes(table)
    if isinstance(found, Refused):
        return found
    names, corr, remarks = list(found.names), found.correlations, list(found.remarks)
    kinds = {table.kind(n) for n in names}
    _check_kinds(card, table, names)
    gaps = _missing(table, names) if corr is None else []
    remarks += gaps + _weak(len(table), alpha)
    if kinds <= NUMERIC and not gaps and test in ("auto", "fisher_z"):
        corr = _correlation(table, names) if corr is None else corr
        if corr is not None:
            remarks += _dependent(corr, names, len(table))
            return Prepared(tuple(names), GaussianTests(corr, len(table)), tuple(remarks))
    tests = _tests(table, tuple(names), test, bool(gaps))
    if gaps:
        tests, told = _about_gaps(table, tuple(names), tests, alpha, missing)
        remarks += told
    if test == "auto" and not kinds <= CODED and not kinds <= NUMERIC:
        text = "Numbers and categories are tested together by linear regression (generalised covariance measure)."
        remarks.append(Remark("mixed_kinds", text, (), {n: table.kind(n) for n in names}))
    return Prepared(tuple(names), tests, tuple(remarks))


def _about_gaps(
    table: Table, names: tuple[str, ...], tests: Tests, alpha: float, missing: str
) -> tuple[Tests, list[Remark]]:
    """The tests, corrected when asked for, and what the gaps depend on."""
    corrected = missing == "mvpc"
    if corrected and not isinstance(tests, GapTests):
        raise WhenceError(
            "missing='mvpc' corrects Fisher's z on columns of numbers held in memory.", code="wrong_kind",
            value=missing, allowed=("testwise",), hint="Leave missing='testwise', or keep only the numbers.",
        )
    found = causes_of_missing(table, names, alpha)
    if corrected and found is None:
        raise WhenceError(
            f"Too many columns ({len(names):,}) to find out what the missing values depend on.",
            code="too_many_columns", value=len(names), hint="Leave missing='testwise', or choose fewer columns.",
        )
    if isinstance(tests, GapTests) and corrected and found is not None:
        tests = tests.corrected(names, found.causes)
    kinds = {table.kind(n) for n in names}
    return tests, about_missingness(found, corrected, mixed=not (kinds <= NUMERIC or kinds <= CODED))


def _tests(table: Table, names: tuple[str, ...], test: str, gaps: bool) -> Tests:
    """The tests about columns that the correlations alone cannot answer for."""
    numbers = all(table.kind(n) in NUMERIC for n in names)
    if gaps and numbers and table.backing is None and test in ("auto", "fisher_z"):
        return GapTests.of(table.matrix(names))
    if test in ("auto", "chi2", "g2") and all(table.kind(n) in CODED for n in names):
        fast = DiscreteTests.of(table, names, "g2" if test == "g2" else "chi2")
        if fast is not None:
            return fast
    return EachTest(table, names, None if test == "auto" else test)


def _informative(table: Table, names: list[str]) -> tuple[list[str], np.ndarray | None, list[Remark]]:
    """The names without constants and copies, their correlations where these came for free, and the remarks."""
    values = _complete_numbers(table, names)
    if values is None:
        remarks = _constant(table, names)
        names = _rest(names, remarks)
        remarks += _copies(table, names)
        return _rest(names, remarks), None, remarks
    constant = (values == values[:, :1]).all(axis=1)
    remarks = [_same_value(names[k]) for k in np.flatnonzero(constant)]
    if constant.any():
        names, values = _rest(names, remarks), values[~constant]
    corr = correlation(values.T) if len(names) > 1 else None
    copies = _copies(table, names if corr is None else _near(corr, names))
    return _rest(names, copies), None if copies else corr, remarks + copies


def _rest(names: list[str], remarks: list[Remark]) -> list[str]:
    """The names that no remark has left out."""
    gone = {r.about[0] for r in remarks if r.code.endswith(_LEFT_OUT)}
    return [n for n in names if n not in gone] if gone else names


def _complete_numbers(table: Table, names: list[str]) -> np.ndarray | None:
    """float64 (d, n) of columns in memory that are all numbers without gaps, else None."""
    if table.backing is not None or not names or not all(table.kind(n) in NUMERIC for n in names):
        return None
    values = np.array([table.column(n).values for n in names])
    return None if not values.size or np.isnan(values).any() else values


def _near(corr: np.ndarray, names: list[str]) -> list[str]:
    """The columns that may repeat another one: those whose correlation with one is all but perfect."""
    close = np.abs(corr) > 1 - _CLOSE
    np.fill_diagonal(close, False)
    return [names[k] for k in np.flatnonzero(close.any(axis=1))]


def _check_kinds(card: Card | None, table: Table, names: list[str]) -> None:
    if card is None:
        return
    for n in names:
        if table.kind(n) not in card.data_kinds:
            raise WhenceError(
                f"Column {n!r} is {table.kind(n)}; the test {card.name!r} takes {', '.join(card.data_kinds)}.",
                code="wrong_kind", value=n, allowed=card.data_kinds,
                hint="Leave test='auto', or leave this column out.",
            )


def _correlation(table: Table, names: list[str]) -> np.ndarray | None:
    """Correlations of complete numeric columns; of a large file without loading it."""
    return correlation(table.matrix(names)) if table.backing is None else moments(table, names).correlation


def _refused(code: str, reason: str, remarks: list[Remark], remedy: str) -> Refused:
    return Refused(code, reason, {"left_out": {r.about[0]: r.text for r in remarks if r.about}}, remedy, "discover")


def _roles(table: Table) -> list[Remark]:
    """Columns that name units, times, clusters or weights are not variables of the graph."""
    return [
        Remark("role_left_out", f"{name!r} was left out: it gives the {role} of a row.", (name,), {"role": role})
        for role, name in sorted(table.roles.items())
        if role in ("unit", "time", "cluster", "weights") and name in table
    ]


def _untestable(table: Table, names: list[str]) -> list[Remark]:
    return [
        Remark("kind_left_out", f"{n!r} was left out: no test reads {table.kind(n)} columns.", (n,),
               {"kind": table.kind(n)})
        for n in names if table.kind(n) not in CODED | NUMERIC
    ]


def _constant(table: Table, names: list[str]) -> list[Remark]:
    out = []
    for n in names:
        column = table.column(n)
        seen = column.values[~column.missing]
        if not len(seen):
            out.append(Remark("empty_column", f"{n!r} was left out: it has no values.", (n,)))
        elif (seen == seen[0]).all():
            out.append(_same_value(n))
    return out


def _same_value(name: str) -> Remark:
    text = f"{name!r} was left out: it has the same value in every row, so nothing can be learned about it."
    return Remark("constant_column", text, (name,))


def _copies(table: Table, names: list[str]) -> list[Remark]:
    """Columns that repeat another one: the same numbers up to scale and origin, or the same partition."""
    first: dict[str, str] = {}
    out = []
    for n in names:
        other = first.setdefault(_print(table, n), n)
        if other != n:
            text = f"{n!r} was left out: it repeats {other!r}. What the graph says of {other!r} holds for {n!r} too."
            out.append(Remark("repeated_column", text, (n, other)))
    return out


def _print(table: Table, name: str) -> str:
    """Equal for columns that repeat each other exactly (near copies are seen as collinear)."""
    column = table.column(name)
    there = ~column.missing
    values = column.values[there]
    if column.kind in CODED:
        _, first, code = np.unique(values, return_index=True, return_inverse=True)
        key: np.ndarray = np.argsort(np.argsort(first))[code]
    else:
        away = values - values[0]
        key = away / away[np.argmax(np.abs(away))]
        key = np.rint(key * 1e9).astype(np.int64) + 0
    return content_hash(column.kind in CODED, there, key)


def _missing(table: Table, names: list[str]) -> list[Remark]:
    complete = int(table.complete(names).sum())
    if complete == len(table):
        return []
    gaps = {n: int(table.column(n).missing.sum()) for n in names}
    text = (
        f"{len(table) - complete:,} of {len(table):,} rows have missing values. Each test uses the rows where its "
        "own variables are present, which is right when values are missing at random for each test."
    )
    evidence = {"complete_rows": complete, "missing": {n: k for n, k in gaps.items() if k}}
    return [Remark("missing_values", text, tuple(n for n in names if gaps[n]), evidence)]


def _weak(n: int, alpha: float) -> list[Remark]:
    """The correlation that a single test finds four times out of five."""
    from scipy.special import ndtri

    reach = math.tanh((-float(ndtri(alpha / 2)) + 0.84) / math.sqrt(n - 3))
    if reach < WEAK:
        return []
    text = f"With {n} rows, relations weaker than a correlation of {reach:.2f} will often be missed."
    return [Remark("low_power", text, (), {"rows": n, "correlation": reach})]


def _dependent(corr: np.ndarray, names: list[str], n: int) -> list[Remark]:
    """Columns that are exact linear combinations of others, each with those others."""
    if n <= len(names):
        text = (
            f"There are {n} rows for {len(names)} columns: every column is a combination of the others, and only "
            "small conditioning sets can be trusted."
        )
        return [Remark("fewer_rows_than_columns", text, (), {"rows": n, "columns": len(names)})]
    try:
        factor = np.linalg.cholesky(corr)
    except np.linalg.LinAlgError:
        pass
    else:
        if (factor.diagonal() ** 2 >= COLLINEAR).all():
            return []
    out, free = [], []
    for j, name in enumerate(names):
        weights, *_ = np.linalg.lstsq(corr[np.ix_(free, free)], corr[free, j], rcond=None)
        if 1 - corr[free, j] @ weights >= COLLINEAR:
            free.append(j)
            continue
        sources = tuple(names[k] for k, w in zip(free, weights, strict=True) if abs(w) > 1e-6)
        text = (
            f"{name!r} is an exact linear combination of {', '.join(map(repr, sources))}. Tests given all of these "
            "are impossible, so edges among them may stay that should go."
        )
        out.append(Remark("collinear_columns", text, (name, *sources)))
    return out
