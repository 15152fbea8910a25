"""Estimands as small immutable trees of probabilities, sums and products.

They print as text, Unicode and LaTeX, and evaluate on a discrete joint distribution.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, final

import numpy as np

from whence.core.errors import WhenceError


@dataclass(frozen=True)
class _Style:
    """How one notation writes a name, a bar, a do, a sum, a product and a quotient."""

    name: Callable[[str], str]
    bar: str
    do: Callable[[str], str]
    sum: Callable[[str, str], str]
    times: str
    over: Callable[[str, str], str]
    world: Callable[[str, str], str]
    prime: str = "'"
    fenced: bool = True  # a quotient needs brackets beside other terms
    taken: frozenset[str] = frozenset()  # names that mean something outside of a sum: the sum's own get a prime

    def primed(self, names: frozenset[str]) -> _Style:
        """The notation in which these names have a prime."""
        plain = self.name
        return replace(self, name=lambda name: plain(name) + self.prime if name in names else plain(name))


def _latex_name(name: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    escaped = "".join(special.get(c, "\\" + c if c in "_#$%&{}" else c) for c in name)
    return rf"\text{{{escaped}}}" if len(name) > 1 or not name.isalpha() else name


_TEXT = _Style(str, " | ", "do({})".format, "sum over {} of {}".format, " * ", "{} / {}".format, "{}({})".format)
_UNICODE = _Style(str, " | ", "do({})".format, "Σ_{{{}}} {}".format, " ", "{} / {}".format, "{}({})".format, "′")
_LATEX = _Style(_latex_name, r" \mid ", r"\mathrm{{do}}({})".format, r"\sum_{{{}}} {}".format, r" \, ",
                r"\frac{{{}}}{{{}}}".format, "{}_{{{}}}".format, fenced=False)


class Expression(ABC):
    """A distribution written in terms of others.

    In print, a variable that is summed over has a prime where its name also means a value outside of the sum.
    """

    def text(self) -> str:
        """In ASCII: ``sum over z of P(y | x, z) * P(z)``."""
        return self._render(replace(_TEXT, taken=self.free))

    def unicode(self) -> str:
        """With a sigma: ``Σ_{z} P(y | x, z) P(z)``."""
        return self._render(replace(_UNICODE, taken=self.free))

    def latex(self) -> str:
        """For a formula in LaTeX or MathJax, without dollar signs."""
        return self._render(replace(_LATEX, taken=self.free))

    def __str__(self) -> str:
        return self.unicode()

    def to_dict(self) -> dict[str, str]:
        return {"text": self.text(), "unicode": self.unicode(), "latex": self.latex()}

    @property
    @abstractmethod
    def variables(self) -> frozenset[str]:
        """Every variable it mentions, summed over or not."""

    @property
    def free(self) -> frozenset[str]:
        """The variables whose values it depends on: those not summed over."""
        return self.variables

    @abstractmethod
    def evaluate(self, joint: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """Its values on a discrete joint distribution.

        joint: float, one axis per name, summing to 1. Returns an array with the same axes; those it does
        not depend on have length 1. A probability given something that never happens is NaN, except where
        a factor beside it is zero.
        """

    @abstractmethod
    def _render(self, style: _Style) -> str: ...


@final
@dataclass(frozen=True)
class P(Expression):
    """The probability of ``outcomes`` given ``given``, where ``do`` is set by intervention."""

    outcomes: tuple[str, ...]
    given: tuple[str, ...] = ()
    do: tuple[str, ...] = ()

    @property
    def variables(self) -> frozenset[str]:
        return frozenset((*self.outcomes, *self.given, *self.do))

    def evaluate(self, joint: np.ndarray, names: Sequence[str]) -> np.ndarray:
        if self.do:
            raise WhenceError(f"{self} is not a distribution of what was observed.", code="not_observational",
                              value=list(self.do))
        whole = _marginal(joint, names, (*self.outcomes, *self.given))
        condition = _marginal(joint, names, self.given)
        return np.divide(whole, condition, out=np.full(whole.shape, math.nan),
                         where=np.broadcast_to(condition > 0, whole.shape))

    def _render(self, style: _Style) -> str:
        right = ([style.do(", ".join(map(style.name, self.do)))] if self.do else []) + [*map(style.name, self.given)]
        left = ", ".join(map(style.name, self.outcomes))
        return f"P({left}{style.bar if right else ''}{', '.join(right)})"


@final
@dataclass(frozen=True)
class Primed(Expression):
    """``body`` at a second value of ``name``, written with a prime: ``P(m | x')`` beside ``P(y | x, m)``."""

    body: P
    name: str

    @property
    def axis(self) -> str:
        """What the second value is called among the free variables and the names of axes."""
        return second(self.name)

    @property
    def variables(self) -> frozenset[str]:
        return self.body.variables

    @property
    def free(self) -> frozenset[str]:
        return self.body.free - {self.name} | {self.axis}

    def evaluate(self, joint: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """As for any expression, on a joint that has an axis of length 1 for the second value too."""
        if self.axis not in names:
            raise WhenceError(f"{self} is about a second value of {self.name!r}.", code="second_value", value=self.name,
                              hint="Use .distribution() of the answer that holds this formula.")
        return self.body.evaluate(joint, names).swapaxes(names.index(self.name), names.index(self.axis))

    def _render(self, style: _Style) -> str:
        return self.body._render(style.primed(frozenset((self.name,))))


def second(name: str) -> str:
    """The name of a second value of ``name``, which no node can have."""
    return name + "\0"


@final
@dataclass(frozen=True)
class Nested(Expression):
    """The outcomes, were the treatment at one value and the mediators as they would be at another one.

    primed: which of the two is the second value, the mediators' or the outcomes'.
    """

    outcomes: tuple[str, ...]
    treatment: str
    mediators: tuple[str, ...]
    given: tuple[str, ...] = ()
    primed: Literal["mediators", "outcomes"] = "mediators"

    @property
    def variables(self) -> frozenset[str]:
        return frozenset((*self.outcomes, self.treatment, *self.mediators, *self.given))

    def evaluate(self, joint: np.ndarray, names: Sequence[str]) -> np.ndarray:
        raise WhenceError(f"{self} is not a distribution of what was observed.", code="not_observational",
                          value=self.treatment)

    def _render(self, style: _Style) -> str:
        x = style.name(self.treatment)
        inner, outer = (x + style.prime, x) if self.primed == "mediators" else (x, x + style.prime)
        world = ", ".join([outer, *(style.world(style.name(m), inner) for m in self.mediators)])
        left = ", ".join(style.world(style.name(y), world) for y in self.outcomes)
        return f"P({left}{style.bar if self.given else ''}{', '.join(map(style.name, self.given))})"


@final
@dataclass(frozen=True)
class Product(Expression):
    """The product of ``factors``."""

    factors: tuple[Expression, ...]

    @property
    def variables(self) -> frozenset[str]:
        return frozenset().union(*(f.variables for f in self.factors))

    @property
    def free(self) -> frozenset[str]:
        return frozenset().union(*(f.free for f in self.factors))

    def evaluate(self, joint: np.ndarray, names: Sequence[str]) -> np.ndarray:
        values = np.broadcast_arrays(*(f.evaluate(joint, names) for f in self.factors))
        return np.where(np.any([v == 0 for v in values], axis=0), 0.0, np.prod(values, axis=0))

    def _render(self, style: _Style) -> str:
        return style.times.join(_fenced(f, style, isinstance(f, Sum)) for f in self.factors)


@final
@dataclass(frozen=True)
class Sum(Expression):
    """The sum of ``body`` over all values of ``over``."""

    over: tuple[str, ...]
    body: Expression

    @property
    def variables(self) -> frozenset[str]:
        return self.body.variables | frozenset(self.over)

    @property
    def free(self) -> frozenset[str]:
        return self.body.free - frozenset(self.over)

    def evaluate(self, joint: np.ndarray, names: Sequence[str]) -> np.ndarray:
        axes = tuple(names.index(v) for v in self.over)
        return self.body.evaluate(joint, names).sum(axis=axes, keepdims=True)

    def _render(self, style: _Style) -> str:
        own = frozenset(self.over)
        inner = replace(style.primed(own & style.taken), taken=style.taken | own)
        return inner.sum(", ".join(map(inner.name, self.over)), _fenced(self.body, inner, False))


@final
@dataclass(frozen=True)
class Quotient(Expression):
    """``above`` divided by ``below``; NaN where that is zero."""

    above: Expression
    below: Expression

    @property
    def variables(self) -> frozenset[str]:
        return self.above.variables | self.below.variables

    @property
    def free(self) -> frozenset[str]:
        return self.above.free | self.below.free

    def evaluate(self, joint: np.ndarray, names: Sequence[str]) -> np.ndarray:
        above, below = np.broadcast_arrays(self.above.evaluate(joint, names), self.below.evaluate(joint, names))
        return np.divide(above, below, out=np.full(above.shape, math.nan), where=below > 0)

    def _render(self, style: _Style) -> str:
        return style.over(*(_fenced(part, style, style.fenced and not isinstance(part, P))
                            for part in (self.above, self.below)))


def _fenced(part: Expression, style: _Style, fence: bool) -> str:
    """The part, in brackets when asked or when it is a quotient that needs them in this notation."""
    text = part._render(style)
    return f"[{text}]" if fence or (style.fenced and isinstance(part, Quotient)) else text


def _marginal(joint: np.ndarray, names: Sequence[str], keep: Sequence[str]) -> np.ndarray:
    axes = tuple(k for k, name in enumerate(names) if name not in keep)
    return joint.sum(axis=axes, keepdims=True)


def adjustment_formula(outcomes: tuple[str, ...], treatments: tuple[str, ...], adjustment: tuple[str, ...],
                       given: tuple[str, ...] = (), weights: tuple[str, ...] = ()) -> Expression:
    """Sum over z of P(y | x, z, w) P(z | w): the effect of x on y given w, adjusted for z and w.

    adjustment: z and w together; ``given`` is w. weights: further conditions on the weights P(z | ...).
    """
    over = tuple(z for z in adjustment if z not in given)
    inner = P(outcomes, (*treatments, *over, *given))
    return Sum(over, Product((inner, P(over, (*given, *weights))))) if over else inner
