"""The identification spec: strategy, quantity and roles of the columns. The central object of a study."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from whence.core.errors import WhenceError, unknown_name
from whence.core.hashing import content_hash
from whence.core.result import fields_to_plain
from whence.data.rule import rule_name

Strategy = Literal[
    "rct", "adjustment", "frontdoor", "id", "iv", "rdd", "did", "event_study", "synthetic_control",
    "interrupted_series", "longitudinal", "interference", "proximal",
]
Quantity = Literal["ATE", "ATT", "ATC", "ATO", "LATE", "CATE", "QTE", "QTT", "RMST", "CDE", "NDE", "NIE", "TDE", "TIE"]
PARTS = ("CDE", "NDE", "NIE", "TDE", "TIE")  # of an effect, past mediators or through them
MissingControls = Literal["drop", "indicator", "impute"]
Scalar = bool | int | float | str
# Other names in use for a strategy.
# Roles that only some methods read; a spec that names one is answered by those alone (see ``Card.roles``).
SPECIAL_ROLES = ("event", "truth", "neighbours", "histories", "treatment_proxies", "outcome_proxies")
ALSO = {"panel": "did", "difference_in_differences": "did", "interrupted_time_series": "interrupted_series"}


@dataclass(frozen=True)
class Contrast:
    """Which two treatment values are compared. None leaves the choice to the estimator, which says it."""

    treated: Scalar | None = None
    control: Scalar | None = None


@dataclass(frozen=True)
class Condition:
    """One condition on rows, ``column operator value``; rows with a missing value do not satisfy it."""

    column: str
    operator: Literal["==", "!=", "<", "<=", ">", ">=", "in"]
    value: Scalar | tuple[Scalar, ...]


@dataclass(frozen=True)
class Spec:
    """What is estimated, for whom, from which columns and by which design.

    treatments, outcomes, controls, instruments, mediators: column names. A discontinuity (``"rdd"``) without treatment
    has the rule for one: the running variable is at the cutoff or above, at zero where no cutoff is given. contrast:
    treated and control value. population: conditions that all hold. assumptions: sentences the user takes on. graph:
    for the strategy ``"id"``, text that ``whence.graph`` reads, from which the formula follows; formula_columns: the
    columns that the formula uses besides treatment and outcome. strata: of an experiment in blocks, the columns within
    whose values the treatment was drawn by lot. missing_controls: what becomes of rows with a missing control: left
    out (``"drop"``), kept with the mean in its place and a column that says where it is missing (``"indicator"``), or
    kept with values drawn from what else is known of the row (``"impute"``, multiple imputation).
    None: the latter in an experiment, where it is right whatever made the values missing; else the former.
    event: of an outcome that is a time until something happens, the column that says whether it did (1) or the time
    was cut off (0); horizon: until when the mean time is taken. truth: where the outcome is a prediction, the column
    that holds what was predicted, on the rows where it is known. neighbours: of ``"interference"``, the column that
    lists each row's neighbours by their ``unit``. histories: of ``"longitudinal"``, for each of the treatments in turn
    the columns measured since the one before (the first entry joins the controls). treatment_proxies, outcome_proxies:
    of ``"proximal"``, the stand-ins for a hidden cause, on the treatment's side and on the outcome's.
    """

    strategy: Strategy
    treatments: tuple[str, ...]
    outcomes: tuple[str, ...]
    quantity: Quantity = "ATE"
    controls: tuple[str, ...] = ()
    instruments: tuple[str, ...] = ()
    running_variable: str | None = None
    cutoff: float | None = None
    time: str | None = None
    unit: str | None = None
    cluster: str | None = None
    weights: str | None = None
    contrast: Contrast | None = None
    population: tuple[Condition, ...] = ()
    mediators: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    graph: str | None = None
    formula_columns: tuple[str, ...] = ()
    strata: tuple[str, ...] = ()
    missing_controls: MissingControls | None = None
    event: str | None = None
    horizon: float | None = None
    truth: str | None = None
    neighbours: str | None = None
    histories: tuple[tuple[str, ...], ...] = ()
    treatment_proxies: tuple[str, ...] = ()
    outcome_proxies: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("treatments", "outcomes", "controls", "instruments", "mediators", "formula_columns", "strata",
                     "treatment_proxies", "outcome_proxies"):
            # A name given twice in one role says nothing new.
            object.__setattr__(self, name, tuple(n for n in dict.fromkeys(getattr(self, name)) if n != ""))
        object.__setattr__(self, "histories", tuple(tuple(dict.fromkeys(names)) for names in self.histories))
        for name in ("population", "assumptions"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        object.__setattr__(self, "strategy", ALSO.get(self.strategy, self.strategy))
        if self.strategy not in get_args(Strategy):
            raise unknown_name("strategy", self.strategy, get_args(Strategy), code="unknown_strategy")
        if self.quantity not in get_args(Quantity):
            raise unknown_name("quantity", self.quantity, get_args(Quantity), code="unknown_quantity")
        if self.missing_controls is not None and self.missing_controls not in get_args(MissingControls):
            raise unknown_name("handling of missing controls", self.missing_controls, get_args(MissingControls),
                               code="unknown_handling")
        if self.strategy == "rdd" and self.running_variable and not self.treatments:
            # The rule is the treatment then; zero, where it names no cutoff, as of a variable measured from it.
            object.__setattr__(self, "cutoff", 0.0 if self.cutoff is None else self.cutoff)
            object.__setattr__(self, "treatments", (rule_name(self.running_variable, self.cutoff or 0.0),))
        for role in ("treatments", "outcomes"):
            if not getattr(self, role):
                raise WhenceError(f"The spec names no {role[:-1]}.", code="missing_role", value=role)
        self._check_overlaps()

    def _check_overlaps(self) -> None:
        roles = {"treatment": self.treatments, "outcome": self.outcomes, "control": self.controls,
                 "instrument": self.instruments, "stand-in for the treatment's side": self.treatment_proxies,
                 "stand-in for the outcome's side": self.outcome_proxies}
        if self.strategy == "frontdoor" or self.quantity in PARTS:
            roles["mediator"] = self.mediators
        if self.event is not None:
            roles["event"] = (self.event,)
        seen: dict[str, str] = {}
        for role, names in roles.items():
            for name in names:
                if name in seen:
                    raise WhenceError(
                        f"Column {name!r} is given as {seen[name]} and as {role}.",
                        code="role_conflict", value=name, hint="Each column has one role.",
                    )
                seen[name] = role

    @property
    def treatment(self) -> str:
        """The first (usually only) treatment."""
        return self.treatments[0]

    @property
    def outcome(self) -> str:
        """The first (usually only) outcome."""
        return self.outcomes[0]

    @property
    def special_roles(self) -> frozenset[str]:
        """Of the roles that only some methods read, those that are filled."""
        return frozenset(role for role in SPECIAL_ROLES if getattr(self, role))

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column the spec mentions, once, in role order."""
        single = [c for c in (self.running_variable, self.time, self.unit, self.cluster, self.weights, self.event,
                              self.truth, self.neighbours) if c]
        groups = (self.treatments, self.outcomes, self.controls, self.instruments, self.mediators,
                  self.formula_columns, self.strata, self.treatment_proxies, self.outcome_proxies,
                  *self.histories, single, [c.column for c in self.population])
        return tuple(dict.fromkeys(name for group in groups for name in group))

    def replace(self, **changes: Any) -> Spec:
        """A copy with some fields changed, validated again."""
        return dataclasses.replace(self, **changes)

    @property
    def hash(self) -> str:
        return content_hash(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        return fields_to_plain(self)

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)

    @staticmethod
    def from_dict(given: Mapping[str, Any]) -> Spec:
        """A spec from plain values. Raises ``WhenceError`` (``bad_spec``) that lists every problem."""
        import pydantic

        unknown = set(given) - {f.name for f in dataclasses.fields(Spec)}
        if unknown:
            names = [f.name for f in dataclasses.fields(Spec)]
            raise unknown_name("spec field called", sorted(unknown)[0], names, code="unknown_field")
        if given.get("strategy") == "rdd" and "treatments" not in given:
            given = {**given, "treatments": ()}
        given = {k: ALSO.get(v, v) if k == "strategy" and isinstance(v, str) else v for k, v in given.items()}
        try:
            return pydantic.TypeAdapter(Spec).validate_python(given)
        except pydantic.ValidationError as error:
            problems = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
            raise WhenceError(
                "The spec is not valid. " + "; ".join(problems) + ".", code="bad_spec", value=problems,
                hint="See Spec.json_schema().",
            ) from None

    @staticmethod
    def from_json(text: str) -> Spec:
        """A spec from JSON text. Raises ``WhenceError`` (``bad_json`` or ``bad_spec``)."""
        try:
            given = json.loads(text)
        except json.JSONDecodeError as error:
            raise WhenceError(
                f"The spec is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}.",
                code="bad_json", value=text[max(0, error.pos - 20) : error.pos + 20],
            ) from None
        if not isinstance(given, dict):
            raise WhenceError("The spec must be a JSON object.", code="bad_spec", value=type(given).__name__)
        return Spec.from_dict(given)

    @staticmethod
    def json_schema() -> dict[str, Any]:
        """The JSON schema of a spec."""
        import pydantic

        return pydantic.TypeAdapter(Spec).json_schema()
