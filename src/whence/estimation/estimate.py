"""The front door of estimation: a table and a spec in, an effect or an honest refusal out."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from whence.core.card import Card
from whence.core.errors import WhenceError
from whence.core.progress import SILENT, Progress
from whence.core.registry import find_card, load_function, methods
from whence.core.result import Provenance, Refused, Remark, versions
from whence.data.table import Table
from whence.estimation.adoption import starts_differ
from whence.estimation.dependence import reproducible, split, unclustered, with_dependence, words
from whence.estimation.determined import outcome_determined
from whence.estimation.effect import Comparison, Effect
from whence.estimation.inference import Answer, degrees_of_freedom, joint_test, summaries
from whence.estimation.parameters import checked, plain_parameters
from whence.estimation.plugin import formula, formula_columns
from whence.estimation.prepare import Prepared, prepare
from whence.estimation.simultaneous import simultaneous
from whence.identification.mediated import NAMES, Mediated
from whence.identification.spec import Spec

if TYPE_CHECKING:
    from whence.identification.identify import Identified, NotIdentified

STRATEGIES = ("rct", "adjustment", "frontdoor", "id", "iv", "rdd", "did", "event_study")
COMPARING = ("rct", "adjustment")  # strategies that compare groups given controls
OWN = {"frontdoor": "frontdoor", "id": "plugin", "iv": "iv", "rdd": "rdd", "did": "twfe",
       "event_study": "group_time"}  # strategies with methods of their own, and the usual one
QUANTITIES = ("ATE", "ATT", "ATC")
DESIGN = {
    "rct": "Who was treated was decided by chance.",
    "adjustment": "Nothing outside the controls affects both the treatment and the outcome.",
    "frontdoor": "The treatment affects the outcome only through the mediators.",
    "id": "The graph shows every common cause, and no arrow is missing.",
    "iv": "Given the controls, the instruments are as good as chosen by chance, and they affect the outcome only "
          "through the treatment.",
    "rdd": "Nothing but the treatment changes at the cutoff, and nobody chose on which side to be.",
    "did": "Without treatment, the outcomes of the treated and of the others would have moved in parallel.",
    "event_study": "Without treatment, the outcomes of the treated and of the others would have moved in parallel.",
}
LOCAL = {"iv": "LATE", "rdd": "LATE", "did": "ATT", "event_study": "ATT"}  # whose effect a design can show
FEWEST_FOR_AIPW = 20  # rows in the smallest arm
ROWS_PER_COLUMN = 3
COMMON = "One row's treatment does not affect another row's outcome."


def estimate(
    table: Any, spec: Spec | Mapping[str, Any] | Identified | NotIdentified, method: str = "auto", seed: int = 0, *,
    progress: Progress = SILENT, **params: Any,
) -> Effect | Refused:
    """Estimate the effect a spec asks for.

    table: a ``Table`` or anything ``whence.read`` takes. spec: a ``Spec``, a mapping of its fields, or an
    ``Identified``. method: a card's name, or ``"auto"``: differences within strata for an experiment in blocks,
    difference in means for another experiment without controls, regression with treatment-control interactions for
    one with controls, cross-fitted AIPW for adjustment with treatment groups, regression for a dose; nested
    regressions for the front door, the plug-in estimate for a formula of the ID algorithm. params: the method's own,
    see its card.

    Refused: ``not_identified``, ``no_estimator`` (strategy), ``quantity_not_available``, ``other_design`` (the method
    is for another strategy), those of ``prepare`` and those of the method. Raises ``WhenceError`` for unknown
    columns, methods, parameters, and for a strategy without the mediators or the graph that it needs.
    """
    asked = as_spec(spec)
    if isinstance(asked, Refused):
        return asked
    if not isinstance(table, Table):
        from whence.data.load import read

        table = read(table)
    if method != "auto":
        find_card("estimation", method)
    for name in asked.columns:
        table.column(name)  # an unknown name is an error, not a refusal
    refusal = _out_of_reach(asked, method)
    if refusal is not None:
        return refusal
    completed = with_formula_columns(asked)
    if isinstance(completed, Refused):
        return completed
    data = prepare(table, completed)
    if isinstance(data, Refused):
        return data
    determined = outcome_determined(data)
    if determined is not None:
        return determined
    if method == "auto":
        method, said = choose(data)
        data = dataclasses.replace(data, remarks=(*data.remarks, *said))
    card = find_card("estimation", method)
    errors, own = split(card, params)
    parameters = checked(card, own)
    unclustered(asked, errors)
    if asked.quantity not in ("ATE", "LATE") and not data.treatment.discrete:
        return Refused(
            "quantity_not_available",
            f"{asked.quantity} needs treated and control groups; {asked.treatment!r} is a dose.",
            {"quantity": asked.quantity}, "Ask for the ATE, or make groups of the treatment.", card.name,
        )
    data = with_dependence(data, errors)
    if isinstance(data, Refused):
        return Refused(data.code, data.reason, data.evidence, data.remedy, card.name)
    answer = load_function(card)(data, seed=seed, progress=progress, **parameters)
    if isinstance(answer, Answer):
        answer = reproducible(answer)
    if isinstance(answer, Refused):
        return Refused(answer.code, answer.reason, answer.evidence, answer.remedy, card.name)
    return _effect(asked, card, parameters | errors, seed, answer)


@functools.cache
def _versions(method: str) -> Mapping[str, str]:
    return versions("numpy", "scipy", *(("scikit-learn",) if method == "aipw" else ()))


def as_spec(given: Any) -> Spec | Refused:
    """A ``Spec`` from a spec, a mapping or an identification result."""
    if isinstance(given, Spec):
        return given
    if isinstance(given, Mapping):
        return Spec.from_dict(given)
    if hasattr(given, "to_spec"):
        return given.to_spec()
    if isinstance(given, Mediated):
        return Refused("no_estimator", f"The {NAMES[given.quantity]} is identified, but there is no estimator of "
                       "parts of an effect yet.", {"quantity": given.quantity},
                       "Evaluate its formula on a table of counts with .distribution(), .effects() or "
                       ".controlled_effect().")
    if hasattr(given, "witness") and hasattr(given, "reason"):
        return Refused("not_identified", given.reason, {"witness": given.witness}, getattr(given, "remedy", ""))
    raise WhenceError(
        f"A spec cannot be made from {type(given).__name__}.", code="bad_spec", value=type(given).__name__,
        allowed="a Spec, a mapping of its fields, or the result of identify",
    )


def choose(data: Prepared) -> tuple[str, tuple[Remark, ...]]:
    """The method ``"auto"`` stands for, with a remark when the data made it other than usual."""
    t, spec = data.treatment, data.spec
    if spec.strategy == "did":
        return ("imputation" if starts_differ(data) else "twfe"), ()
    if spec.strategy in OWN:
        return OWN[spec.strategy], ()
    if spec.quantity not in QUANTITIES:
        return next(card.name for card in methods("estimation")
                    if serves(card, spec.strategy) and spec.quantity in card.quantities), ()
    if t.discrete and spec.strategy == "rct" and spec.strata:
        return "stratified", ()
    if not t.discrete or (spec.strategy == "rct" and spec.controls):
        return "regression", ()
    if not spec.controls:
        return "difference", ()
    made = data.features()
    columns = data.n if isinstance(made, Refused) else made.matrix.shape[1]
    smallest = int(np.bincount(t.codes).min())
    if smallest >= max(FEWEST_FOR_AIPW, ROWS_PER_COLUMN * columns):
        return "aipw", ()
    return "regression", (Remark(
        "method_chosen", f"Regression is used: the smallest arm has {smallest:,} rows for {columns:,} control columns, "
        "too few to learn how it differs.", (t.name,),
        {"instead_of": "aipw", "smallest_arm": smallest, "columns": columns},
    ),)


def serves(card: Card, strategy: str) -> bool:
    """Whether the estimator is for this strategy."""
    return strategy in (card.strategies or COMPARING)


def _quantities(cards: list[Card]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(q for card in cards for q in (card.quantities or QUANTITIES)))


def _out_of_reach(spec: Spec, method: str) -> Refused | None:
    suits = [card for card in methods("estimation") if serves(card, spec.strategy)]
    if not suits:
        return Refused(
            "no_estimator", f"There is no estimator for the strategy {spec.strategy!r} yet.",
            {"strategy": spec.strategy, "available": list(STRATEGIES)},
            "The strategies that can be estimated are " + ", ".join(repr(s) for s in STRATEGIES) + ".",
        )
    if method != "auto":
        card = find_card("estimation", method)
        if not serves(card, spec.strategy):
            named = " or ".join(repr(s) for s in card.strategies or COMPARING[1:])
            return Refused(
                "other_design", f"The method {method!r} is for the strategy {named}, not for {spec.strategy!r}.",
                {"method": method, "strategy": spec.strategy}, "Leave the method open ('auto').", method,
            )
        suits = [card]
    quantities = _quantities(suits)
    if spec.quantity not in quantities:
        by = repr(spec.strategy) if method == "auto" else f"the method {method!r}"
        return Refused(
            "quantity_not_available", f"The quantity {spec.quantity!r} cannot be estimated by {by} yet.",
            {"quantity": spec.quantity, "available": list(quantities)},
            f"The {'quantity' if len(quantities) == 1 else 'quantities'} that can be estimated "
            f"{'is' if len(quantities) == 1 else 'are'} " + ", ".join(quantities) + ".",
        )
    return None


def with_formula_columns(spec: Spec) -> Spec | Refused:
    """The spec with what its strategy needs, found from its graph and checked.

    Raises ``WhenceError`` (``missing_role``) without mediators (front door) or a graph (ID).
    """
    if spec.strategy == "frontdoor" and not spec.mediators:
        raise WhenceError("The front door needs its mediators.", code="missing_role", value="mediators",
                          hint="Name them in the spec: mediators=(...).")
    if spec.strategy == "iv" and not spec.instruments:
        raise WhenceError("This design needs its instruments.", code="missing_role", value="instruments",
                          hint="Name them in the spec: instruments=(...).")
    if spec.strategy != "id":
        return spec
    found = formula(spec)
    return found if isinstance(found, Refused) else spec.replace(formula_columns=formula_columns(found, spec))


def unadjusted(spec: Spec) -> Spec:
    """The spec of the plain comparison of the same treatment values, without what the strategy uses."""
    return spec.replace(strategy="adjustment", quantity="ATE", controls=(), mediators=(), instruments=(),
                        formula_columns=(), graph=None, assumptions=())


def _effect(asked: Spec, card: Card, parameters: Mapping[str, Any], seed: int, answer: Answer) -> Effect:
    if not (np.isfinite(answer.estimates).all() and np.isfinite(answer.influence).all()):
        raise AssertionError(f"{card.name} gave a number that is not finite")
    data, level = answer.data, parameters["level"]
    found = summaries(answer, level)
    diagnostics = dict(answer.diagnostics)
    comparisons = ()
    if len(found) > 1:
        diagnostics["joint_test"] = joint_test(answer)
        joint = simultaneous(answer, found, level, seed)
        comparisons = tuple(
            Comparison(label, s.estimate, s.standard_error, s.interval, s.p_value, p, together)
            for label, s, p, together in zip(answer.labels or data.treatment.labels, found, joint.p_values,
                                             joint.intervals or (None,) * len(found), strict=True)
        )
    if data.clusters is not None:
        diagnostics["clusters"] = data.n_clusters
    if data.dependence is not None:
        diagnostics["covariance"] = data.dependence.name
    first = found[0]
    return Effect(
        estimate=first.estimate, standard_error=first.standard_error, interval=answer.interval or first.interval,
        p_value=first.p_value if answer.p_value is None else answer.p_value, n=data.n,
        quantity=LOCAL.get(asked.strategy, asked.quantity), method=card.name, spec=data.spec,
        contrast=f"{data.treatment.name}: {answer.labels[0]}" if answer.labels else data.treatment.contrast,
        level=level, df=degrees_of_freedom(answer),
        comparisons=comparisons, diagnostics=diagnostics,
        warnings=data.remarks + answer.remarks,
        assumptions=tuple(dict.fromkeys((*_design(asked), COMMON, *_own(card, asked), *asked.assumptions))),
        provenance=Provenance(
            data=data.table.hash, rows=data.table.n_rows, spec=data.spec.hash, method=card.name,
            parameters=plain_parameters(parameters), seed=seed, versions=_versions(card.name),
            citations=card.citations,
        ),
        errors=words(answer), own_interval=answer.interval is not None, dependence=data.dependence,
        rows=data.rows, influence=answer.influence[:, 0], clusters=data.clusters, propensity=answer.propensity,
    )


def _design(spec: Spec) -> tuple[str, ...]:
    """What the design takes for granted, unless the spec says it in its own words."""
    return () if spec.strategy in OWN and spec.assumptions else (DESIGN[spec.strategy],)


def _own(card: Card, spec: Spec) -> tuple[str, ...]:
    """The method's assumptions beyond the design's: an experiment needs none of the modelling ones."""
    return () if spec.strategy == "rct" else card.assumptions[1:]
