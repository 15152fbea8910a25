"""What a conditional independence test answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whence.core.errors import WhenceError, unknown_name
from whence.core.result import Remark
from whence.data.table import CODED, NUMERIC, Table


@dataclass(frozen=True)
class IndependenceTest:
    """The evidence against "x and y are independent given the others".

    test: name of the test's card. statistic, p_value, df: None when the test is impossible (a remark says
    why); df is None for a normal statistic. n: rows used; n_missing: rows left out because one of the
    variables is missing.
    """

    test: str
    x: str
    y: str
    given: tuple[str, ...]
    statistic: float | None
    p_value: float | None
    df: float | None
    n: int
    n_missing: int = 0
    remarks: tuple[Remark, ...] = ()

    @property
    def possible(self) -> bool:
        """Whether the data could be tested at all."""
        return self.p_value is not None

    def independent(self, alpha: float = 0.05) -> bool | None:
        """Whether independence is not rejected at level ``alpha``; None when the test is impossible."""
        return None if self.p_value is None else self.p_value > alpha


def impossible(code: str, text: str, about: tuple[str, ...], **evidence: float) -> tuple[Remark, ...]:
    """The remark of a test that cannot be made."""
    return (Remark(code, text, about, evidence),)


def constant(values: np.ndarray) -> bool:
    """Whether values (n,) differ by no more than rounding does; true of no values."""
    if not len(values):
        return True
    return float(values.max()) - float(values.min()) <= 1e-14 * max(abs(float(values.max())), abs(float(values.min())))


def checked_variables(
    table: Table, x: str, y: str, given: tuple[str, ...], kinds: frozenset[str] = CODED | NUMERIC
) -> tuple[str, ...]:
    """``(x, y, *given)``, after checking that they are distinct columns of a kind in ``kinds``.

    Raises ``WhenceError``: ``unknown_column``, ``repeated_variable``, ``wrong_kind``.
    """
    names = (x, y, *given)
    for name in names:
        if name not in table:
            raise unknown_name("column", name, table.names, code="unknown_column")
        if table.kind(name) not in kinds:
            raise WhenceError(
                f"Column {name!r} is {table.kind(name)}; this test takes {', '.join(sorted(kinds))}.",
                code="wrong_kind", value=name, allowed=sorted(kinds),
            )
    if len(set(names)) < len(names):
        raise WhenceError(
            "A variable occurs twice in the test.", code="repeated_variable", value=list(names),
            hint="x, y and the conditioning variables must differ.",
        )
    return names
