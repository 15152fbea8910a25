"""The front door of bounds: a table, a spec and an assumption in; a range of effects or an honest refusal out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from whence.core.progress import SILENT, Progress
from whence.core.registry import find_card, load_function
from whence.core.result import Provenance, Refused, Remark, fields_to_plain, versions
from whence.data.table import Table
from whence.estimation.bounding.scores import Found
from whence.estimation.choose import QUANTITIES
from whence.estimation.estimate import COMMON, as_spec
from whence.estimation.parameters import checked, plain_parameters
from whence.estimation.prepare import prepare, several
from whence.identification.spec import Spec

if TYPE_CHECKING:
    from whence.identification.identify import Identified


@dataclass(frozen=True)
class Bounds:
    """The effects that the data and the assumptions allow, and the interval that holds them in repeated samples.

    lower, upper: the bounds in this sample, in units of the outcome; standard_errors: of the two, None
    where the interval does not rest on them. interval: holds both
    true bounds with probability ``level`` or more, as ``confidence`` says. arms: bounds of the mean outcome at each of
    the two treatment values. n: rows used. evidence: numbers behind it, by name.
    """

    lower: float
    upper: float
    standard_errors: tuple[float, float] | None
    interval: tuple[float, float]
    level: float
    confidence: str
    n: int
    quantity: str
    method: str
    contrast: str
    spec: Spec
    arms: Mapping[str, tuple[float, float]]
    provenance: Provenance
    assumptions: tuple[str, ...] = ()
    warnings: tuple[Remark, ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @property
    def width(self) -> float:
        """How far apart the bounds are."""
        return self.upper - self.lower

    @property
    def sign(self) -> int:
        """1 or -1 where the whole interval has that sign, otherwise 0."""
        return int(self.interval[0] > 0) - int(self.interval[1] < 0)

    def to_dict(self) -> dict[str, Any]:
        return fields_to_plain(self)

    def __str__(self) -> str:
        lo, hi = self.interval
        return (f"{self.quantity} {self.contrast}: between {self.lower:.4g} and {self.upper:.4g} ({self.level:.0%} "
                f"interval {lo:.4g} to {hi:.4g}; {self.method}, n = {self.n:,})")

    def _repr_html_(self) -> str:
        """A small table for notebooks."""
        from html import escape

        lo, hi = self.interval
        rows = [
            (f"{self.quantity}, {self.contrast}", f"{self.lower:.4g} to {self.upper:.4g}"),
            (f"{self.level:.0%} interval of both bounds", f"{lo:.4g} to {hi:.4g}"),
            *((f"mean outcome, {arm}", f"{low:.4g} to {high:.4g}") for arm, (low, high) in self.arms.items()),
            ("method, rows", f"{self.method}, {self.n:,}"),
            *(("assumed", text) for text in self.assumptions),
            *(("note", w.text) for w in self.warnings),
        ]
        body = "".join(f"<tr><th style='text-align:left'>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in rows)
        return f"<table>{body}</table>"


def bounds(
    source: Any, spec: Spec | Mapping[str, Any] | Identified, method: str = "auto", seed: int = 0, *,
    level: float = 0.95, progress: Progress = SILENT, **params: Any,
) -> Bounds | Refused:
    """Bound the effect a spec asks for, where what is hidden leaves no single number.

    source: a ``Table`` or anything ``whence.read`` takes. spec: a ``Spec``, a mapping of its fields, or an
    ``Identified``; its strategy does not matter. method: a card's name (``whence.methods("bounds")``), or ``"auto"``:
    the bounds without assumptions. level: of the interval, which holds both bounds. params: the method's own, such as
    ``gamma``, ``radius``, and ``lowest`` and ``highest``, the outcome's limits.

    Refused: ``continuous_treatment``, ``quantity_not_available``, ``role_not_used``, those of ``prepare`` and of the
    method. Raises ``WhenceError`` for unknown columns, methods, parameters, and limits that leave out outcomes seen.
    """
    asked = as_spec(spec)
    if isinstance(asked, Refused):
        return asked
    card = find_card("bounds", "manski" if method == "auto" else method)
    parameters = checked(card, params | {"level": level})
    if not isinstance(source, Table):
        from whence.data.load import read

        source = read(source)
    if asked.quantity not in QUANTITIES:
        return Refused("quantity_not_available", f"The quantity {asked.quantity!r} has no bounds here.",
                       {"quantity": asked.quantity}, "Ask for " + ", ".join(QUANTITIES) + ".", card.name)
    if len(asked.treatments) > 1:
        return several("treatment", asked.treatments)
    if asked.special_roles:
        named = " and ".join(repr(role) for role in sorted(asked.special_roles))
        return Refused("role_not_used", f"The spec names {named}, which no bounds use.",
                       {"roles": sorted(asked.special_roles)}, "Leave it out, or estimate the effect.", card.name)
    data = prepare(source, asked)
    if isinstance(data, Refused):
        return data
    if not data.treatment.discrete:
        return Refused(
            "continuous_treatment", f"{asked.treatment!r} is a dose, not groups; bounds compare two groups.",
            {"column": asked.treatment}, "Read the table with this column as categorical, or make groups.", card.name,
        )
    answer = load_function(card)(data, seed=seed, progress=progress, **parameters)
    if isinstance(answer, Refused):
        return Refused(answer.code, answer.reason, answer.evidence, answer.remedy, card.name)
    return _bounds(asked, card.name, card.citations, parameters, seed, answer)


def _bounds(
    asked: Spec, method: str, citations: tuple[str, ...], parameters: Mapping[str, Any], seed: int, found: Found
) -> Bounds:
    data, unused = found.data, ()
    if asked.instruments and method != "instrument":
        names = ", ".join(map(repr, asked.instruments))
        unused = (Remark("instrument_not_used", f"These bounds do not use the instrument {names}.", asked.instruments),)
    return Bounds(
        found.lower, found.upper, found.standard_errors, found.interval, parameters["level"], found.confidence, data.n,
        asked.quantity, method, data.treatment.contrast, data.spec, found.arms,
        Provenance(data=data.table.hash, rows=data.table.n_rows, spec=data.spec.hash, method=method,
                   parameters=plain_parameters(parameters), seed=seed, versions=versions("numpy", "scipy"),
                   citations=citations),
        tuple(dict.fromkeys((*found.assumptions, COMMON, *asked.assumptions))), data.remarks + found.remarks + unused,
        found.evidence,
    )
