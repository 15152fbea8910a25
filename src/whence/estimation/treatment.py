"""The treatment as numbers: which arms there are, which is treated and which control."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.core.errors import WhenceError
from whence.core.result import Refused, Remark
from whence.data.table import CODED, NUMERIC, Column
from whence.identification.spec import Contrast
from whence.stats.codes import compact
from whence.stats.features import plain

MOST_ARMS = 20
HEAD = 1000  # rows whose values usually show a number to be no group
YES = ("yes", "1.0", "y", "true", "treated", "treatment", "treat", "on", "exposed", "intervention", "active")
NO = ("no", "n", "false", "control", "controls", "placebo", "untreated", "none", "off", "unexposed",
      "baseline", "never", "nothing", "usual care", "0.0")


@dataclass(frozen=True)
class Treatment:
    """The treatment on the rows used.

    Discrete: arms holds the levels, control first, then the one asked for, then the others; codes
    (int (n,)) index it; comparisons are each later arm against the first. Continuous: arms is empty,
    values (float (n,)) are the doses and ``step`` the difference of the two doses compared.
    """

    name: str
    arms: tuple[str, ...]
    codes: np.ndarray
    values: np.ndarray
    step: float = 1.0

    @property
    def discrete(self) -> bool:
        return bool(self.arms)

    @property
    def labels(self) -> tuple[str, ...]:
        """One label per comparison, e.g. ``"high vs low"``."""
        if self.discrete:
            return tuple(f"{arm} vs {self.arms[0]}" for arm in self.arms[1:])
        return ("one more unit",) if self.step == 1 else (f"{self.step:+g} units",)

    @property
    def contrast(self) -> str:
        """What the effect compares, in words."""
        return f"{self.name}: {self.labels[0]}"

    def take(self, keep: np.ndarray) -> Treatment:
        """The treatment on some of the rows (boolean (n,))."""
        return Treatment(self.name, self.arms, self.codes[keep], self.values[keep], self.step)


def code_treatment(
    column: Column, rows: np.ndarray, contrast: Contrast | None, arms: bool = False
) -> tuple[Treatment, list[Remark]] | Refused:
    """Code ``column`` on ``rows``; the contrast may give both values, one, or none.

    A number with more than two distinct values is continuous. An ordinal column whose levels are numbers
    is a dose too, unless ``arms`` (an experiment) or a contrast asks for its levels. Refused:
    ``treatment_constant``, ``treatment_not_usable``, ``too_many_arms``. Raises ``WhenceError``
    (``unknown_level``) for a contrast value that does not occur.
    """
    contrast = contrast or Contrast()
    if column.kind not in CODED | NUMERIC | {"text"}:
        return Refused("treatment_not_usable", f"The treatment {column.name!r} is a {column.kind} column.",
                       {"column": column.name, "kind": column.kind}, "Make a column that says who was treated.")
    values = column.values[rows]
    if column.kind in NUMERIC and len(np.unique(values[:HEAD])) > 2:
        return _continuous(column.name, values, contrast)
    if column.kind in CODED:
        codes, found = compact(values)
        levels = [column.levels[j] for j in found] if column.levels is not None else []
    else:
        codes, found = compact(values.astype(str) if column.kind == "text" else values)
        levels = found.tolist()
    if len(levels) < 2:
        return _constant(column.name, levels)
    if column.kind == "ordinal" and len(levels) > 2 and not arms and contrast == Contrast() and _numbers(levels):
        said = Remark(
            "dose", f"{column.name} has {len(levels)} ordered numbers and enters as a dose: the effect is that of one "
            "more unit. A contrast of two values, or kind categorical, compares groups instead.", (column.name,),
            {"levels": [plain(v) for v in levels]},
        )
        return _continuous(column.name, column.numeric()[rows], contrast)[0], [said]
    if column.kind in NUMERIC and len(levels) > 2:
        return _continuous(column.name, values, contrast)
    if len(levels) > MOST_ARMS:
        return Refused(
            "too_many_arms", f"The treatment {column.name!r} has {len(levels)} values that are not numbers.",
            {"column": column.name, "levels": len(levels), "most": MOST_ARMS},
            f"Merge them into at most {MOST_ARMS} groups, or use a numeric column for a dose.",
        )
    return _discrete(column.name, levels, codes, contrast)


def code_treatments(
    columns: Sequence[Column], rows: np.ndarray, contrast: Contrast | None, arms: bool = False
) -> tuple[tuple[Treatment, ...], list[Remark]] | Refused:
    """``code_treatment`` of one column, or of several whose effects are looked for at once.

    Several: each has two values or is a dose, else Refused (``several_arms``). Raises ``WhenceError``
    (``bad_contrast``) for a contrast, which would not say of which of them.
    """
    if len(columns) > 1 and contrast not in (None, Contrast()):
        raise WhenceError(
            f"A contrast names the values of one treatment, and there are {len(columns)}.", code="bad_contrast",
            value=[contrast.treated, contrast.control], allowed="no contrast",
            hint="Leave it out: two values are compared with each other, numbers by one more unit.",
        )
    found, remarks = [], []
    for column in columns:
        coded = code_treatment(column, rows, contrast, arms)
        if isinstance(coded, Refused):
            return coded
        t = coded[0]
        if len(columns) > 1 and len(t.arms) > 2:
            return Refused(
                "several_arms", f"The treatment {t.name!r} has {len(t.arms)} values that are not numbers, and of "
                "several treatments at once each has one effect.", {"column": t.name, "arms": list(t.arms)},
                "Limit the population to two of its values, or make a column for each value but one.",
            )
        found.append(t)
        remarks += coded[1]
    return tuple(found), remarks


def find_level(name: str, value: Any, levels: list[Any]) -> int:
    """Position of ``value`` among ``levels``: exact, or equal as a number or as text (1, 1.0, "1", True)."""
    for same in (lambda level: plain(level) == plain(value), lambda level: canonical(level) == canonical(value)):
        for j, level in enumerate(levels):
            if same(level):
                return j
    names = [plain(level) for level in levels]
    raise WhenceError(
        f"{value!r} does not occur in column {name!r} among the rows used.", code="unknown_level", value=value,
        allowed=names, hint="It has " + ", ".join(repr(v) for v in names[:12]) + ".",
    )


def canonical(value: Any) -> float | str:
    """A level reduced to what it means: a number where it reads as one, else lower-case text."""
    text = str(value).strip().casefold()
    if text in ("true", "false"):
        return float(text == "true")
    try:
        return float(text)
    except ValueError:
        return text


def affirmative(levels: list[Any]) -> int:
    """Which of two levels means yes: the larger number, the word that says so, or the later in level order."""
    first, second = (canonical(v) for v in levels)
    if not isinstance(first, str) and not isinstance(second, str):
        return int(second > first)
    words = [str(first), str(second)]
    for j in range(2):
        if words[j] in YES or (words[1 - j] in NO and words[j] not in NO):
            return j if words[1 - j] not in YES else 1
    return 1


def _numbers(levels: list[Any]) -> bool:
    return all(isinstance(v, (int, float)) for v in levels)


def _constant(name: str, levels: list[Any]) -> Refused:
    seen = f"only takes the value {plain(levels[0])!r}" if levels else "has no values"
    return Refused(
        "treatment_constant", f"The treatment {name!r} {seen} on the rows used, so there is nothing to compare.",
        {"column": name, "values": [plain(v) for v in levels]},
        "Include rows with another treatment value, or choose another treatment.",
    )


def _continuous(name: str, values: np.ndarray, contrast: Contrast) -> tuple[Treatment, list[Remark]]:
    step = 1.0
    if contrast.treated is not None and contrast.control is not None:
        ends = [canonical(v) for v in (contrast.treated, contrast.control)]
        if isinstance(ends[0], str) or isinstance(ends[1], str) or ends[0] == ends[1]:
            raise WhenceError(
                f"The contrast of the numeric treatment {name!r} must be two different numbers.", code="bad_contrast",
                value=[contrast.treated, contrast.control], allowed="two numbers",
            )
        step = float(ends[0]) - float(ends[1])
    return Treatment(name, (), np.zeros(len(values), dtype=np.int64), values.astype(float), step), []


def _discrete(
    name: str, levels: list[Any], codes: np.ndarray, contrast: Contrast
) -> tuple[Treatment, list[Remark]]:
    treated = None if contrast.treated is None else find_level(name, contrast.treated, levels)
    control = None if contrast.control is None else find_level(name, contrast.control, levels)
    if treated is not None and treated == control:
        raise WhenceError(
            f"The contrast compares {contrast.treated!r} with itself.", code="bad_contrast",
            value=[contrast.treated, contrast.control], allowed=[plain(v) for v in levels],
        )
    remarks = []
    if treated is None or control is None:
        treated, control = _choose(levels, treated, control)
    asked = contrast.treated is not None or contrast.control is not None
    clear = len(levels) == 2 and (asked or str(canonical(levels[control])) in NO)
    if not clear and None in (contrast.treated, contrast.control):
        remarks.append(Remark(
            "contrast_chosen", f"{name}: {plain(levels[treated])} is compared with {plain(levels[control])}.",
            (name,), {"treated": plain(levels[treated]), "control": plain(levels[control])},
        ))
    order = [control, treated, *(j for j in range(len(levels)) if j not in (control, treated))]
    if order != sorted(order):
        codes = np.argsort(order)[codes]
    return Treatment(name, tuple(plain(levels[j]) for j in order), codes, codes.astype(float)), remarks


def _choose(levels: list[Any], treated: int | None, control: int | None) -> tuple[int, int]:
    """Fill in what the contrast leaves open: a control-like word or the first level against the next."""
    if len(levels) == 2:
        yes = affirmative(levels) if treated is None and control is None else None
        treated = yes if yes is not None else (treated if treated is not None else 1 - (control or 0))
        return treated, 1 - treated
    if control is None:
        alike = [j for j, v in enumerate(levels) if str(canonical(v)) in NO or canonical(v) == 0]
        control = next((j for j in [*alike, *range(len(levels))] if j != treated), 0)
    if treated is None:
        treated = next(j for j in range(len(levels)) if j != control)
    return treated, control
