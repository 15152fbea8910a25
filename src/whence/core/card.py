"""A method's card: what it does, for which data, under which assumptions, with which parameters.

The command line, the documentation, forms and the advisor read the card; a call is checked against it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from whence.core.errors import WhenceError, unknown_name

Task = Literal["discovery", "independence_test", "score", "estimation", "heterogeneity", "bounds", "check"]


@dataclass(frozen=True)
class Parameter:
    """One parameter: its type, default, range or choices, and meaning in plain words.

    kind: ``"float"``, ``"int"``, ``"bool"``, ``"str"`` or ``"choice"``. low, high: inclusive unless
    ``open_ends``. optional: None is allowed and means what ``meaning`` says.
    """

    name: str
    kind: Literal["float", "int", "bool", "str", "choice"]
    default: Any
    meaning: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    optional: bool = False
    open_ends: bool = False

    def allowed(self) -> str:
        """What is accepted, in words."""
        if self.kind == "choice":
            words = "one of " + ", ".join(repr(c) for c in self.choices)
        elif self.kind in ("float", "int"):
            noun = "a number" if self.kind == "float" else "a whole number"
            strict = " (ends excluded)" if self.open_ends else ""
            if self.low is not None and self.high is not None:
                words = f"{noun} between {self.low:g} and {self.high:g}{strict}"
            elif self.low is not None:
                words = f"{noun} {'above' if self.open_ends else 'of at least'} {self.low:g}"
            elif self.high is not None:
                words = f"{noun} {'below' if self.open_ends else 'of at most'} {self.high:g}"
            else:
                words = noun
        else:
            words = {"bool": "True or False", "str": "text"}[self.kind]
        return words + (", or None" if self.optional else "")

    def checked(self, value: Any, method: str) -> Any:
        """``value`` in its declared type, or a ``WhenceError`` that names what is allowed."""
        if value is None and self.optional:
            return None
        if self.kind == "choice":
            ok = isinstance(value, str) and value in self.choices
        elif self.kind == "bool":
            ok = isinstance(value, bool)
        elif self.kind == "str":
            ok = isinstance(value, str)
        else:
            value, ok = self._number(value)
        if not ok:
            raise WhenceError(
                f"Parameter {self.name!r} of {method!r} must be {self.allowed()}, not {value!r}.",
                code="bad_parameter", value=value, allowed=self.choices or self.allowed(),
            )
        return value

    def _number(self, value: Any) -> tuple[Any, bool]:
        if isinstance(value, (bool, str)) or not hasattr(value, "__float__"):
            return value, False
        number = float(value)
        if math.isnan(number) or (self.kind == "int" and not number.is_integer()):
            return value, False
        below = self.low is not None and (number <= self.low if self.open_ends else number < self.low)
        above = self.high is not None and (number >= self.high if self.open_ends else number > self.high)
        return (int(number) if self.kind == "int" else number), not (below or above)


@dataclass(frozen=True)
class Card:
    """A registered method.

    name: as given to ``method=``. task: what it is for. title: the field's name for it.
    data_kinds: kinds of column it takes. assumptions: plain sentences. output: class of the result.
    cost: how time and memory grow. citations: the sources. function: import string ``"module:name"``.
    strategies, quantities: of a spec, that an estimator serves; none named stands for what most serve (an experiment
    or adjustment; ATE, ATT, ATC). roles: of a spec's special roles, those that an estimator reads; it needs the first.
    relaxes: whether an estimator's first assumption stands in place of what its design takes for granted.
    several_treatments: whether an estimator finds the effects of several treatments at once.
    """

    name: str
    task: Task
    title: str
    summary: str
    data_kinds: tuple[str, ...]
    assumptions: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    output: str
    cost: str
    citations: tuple[str, ...]
    function: str
    strategies: tuple[str, ...] = ()
    quantities: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    relaxes: bool = False
    several_treatments: bool = False

    def checked(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Every parameter with its value: those given, checked, and the defaults of the rest."""
        known = {p.name: p for p in self.parameters}
        for name in given:
            if name not in known:
                raise unknown_name(f"parameter of {self.name!r} called", name, known, code="unknown_parameter")
        return {
            name: p.checked(given[name], self.name) if name in given else p.default for name, p in known.items()
        }
