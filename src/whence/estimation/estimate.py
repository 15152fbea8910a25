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
from whence.core.registry import find_card, load_function
from whence.core.result import Provenance, Refused, versions
from whence.data.table import Table
from whence.estimation.choose import COMPARING, DESIGN, LOCAL, OWN, choose, gives, out_of_reach
from whence.estimation.dependence import reproducible, split, unclustered, with_dependence, words
from whence.estimation.determined import outcome_determined
from whence.estimation.effect import Comparison, Effect
from whence.estimation.imputed import imputed
from whence.estimation.inference import Answer, degrees_of_freedom, joint_test, summaries
from whence.estimation.missing_controls import assumed
from whence.estimation.pairs import all_pairs
from whence.estimation.parameters import checked, plain_parameters
from whence.estimation.plugin import formula, formula_columns
from whence.estimation.prepare import Prepared, prepare
from whence.estimation.simultaneous import simultaneous
from whence.estimation.treatment import code_treatment
from whence.identification.mediated import NAMES
from whence.identification.spec import PARTS, Spec

if TYPE_CHECKING:
    from whence.identification.identify import Identified, NotIdentified

COMMON = "One row's treatment does not affect another row's outcome."
BEYOND = (*PARTS, "RMST")  # quantities that more than the treatment's lot decides
APART = "The effect of each treatment is the same whatever values the other treatments have."


def estimate(
    table: Any, spec: Spec | Mapping[str, Any] | Identified | NotIdentified, method: str = "auto", seed: int = 0, *,
    progress: Progress = SILENT, **params: Any,
) -> Effect | Refused:
    """Estimate the effect a spec asks for.

    table: a ``Table`` or anything ``whence.read`` takes. spec: a ``Spec``, a mapping of its fields, or an
    ``Identified``. method: a card's name, or ``"auto"``: differences within strata for an experiment in blocks,
    difference in means for another experiment without controls, regression with treatment-control interactions for
    one with controls, cross-fitted AIPW for adjustment with treatment groups, regression for a dose; nested
    regressions for the front door, the plug-in estimate for a formula of the ID algorithm; for designs over time or at
    a cutoff see ``choose``. params: the method's own, see its card.

    Refused: ``not_identified``, ``no_estimator`` (strategy), ``quantity_not_available``, ``other_design`` (the method
    is for another strategy), ``post_treatment_control`` (the spec has a graph that forbids a control), those of
    ``prepare`` and those of the method. Raises ``WhenceError`` for unknown columns, methods, parameters, and for a
    strategy without the mediators or the graph that it needs.
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
    data = _prepared(table, asked, method)
    if isinstance(data, Refused):
        return data
    if method == "auto":
        method, said = choose(data)
        data = dataclasses.replace(data, remarks=(*data.remarks, *said))
    card = find_card("estimation", method)
    errors, own = split(card, params)
    parameters = checked(card, own)
    unclustered(asked, errors)
    if asked.strategy in COMPARING and asked.quantity != "ATE" and not data.treatment.discrete:
        return Refused(
            "quantity_not_available",
            f"{asked.quantity} needs treated and control groups; {asked.treatment!r} is a dose.",
            {"quantity": asked.quantity}, "Ask for the ATE, or make groups of the treatment.", card.name,
        )
    data = with_dependence(data, errors)
    if isinstance(data, Refused):
        return Refused(data.code, data.reason, data.evidence, data.remedy, card.name)
    method_of = load_function(card)
    answer = imputed(data, lambda one: method_of(one, seed=seed, progress=progress, **parameters), seed)
    if isinstance(answer, Answer):
        answer = reproducible(answer)
    if isinstance(answer, Refused):
        return Refused(answer.code, answer.reason, answer.evidence, answer.remedy, card.name)
    return _effect(asked, card, parameters | errors, seed, answer)


def _prepared(table: Table, asked: Spec, method: str) -> Prepared | Refused:
    """The rows and numbers that a spec needs, or why they, or the method, cannot answer it."""
    refusal = out_of_reach(asked, method)
    if refusal is not None:
        return refusal
    if asked.strategy not in COMPARING:  # a constant treatment is refused before roles that could not help are missed
        column = table.column(asked.treatment)
        coded = code_treatment(column, np.flatnonzero(~column.missing), None)
        if isinstance(coded, Refused) and coded.code == "treatment_constant":
            return coded
    if asked.graph is not None and asked.strategy in COMPARING:
        refusal = spoiled(asked)
        if refusal is not None:
            return refusal
    completed = with_formula_columns(asked)
    if isinstance(completed, Refused):
        return completed
    data = prepare(table, completed)
    if isinstance(data, Refused):
        return data
    determined = outcome_determined(data)
    return data if determined is None else determined


def spoiled(spec: Spec) -> Refused | None:
    """Controls that the spec's own graph forbids."""
    from whence.graphs.build import graph
    from whence.identification import mediation_adjustment
    from whence.identification.post_treatment import post_treatment

    if spec.quantity in PARTS and spec.mediators:
        return mediation_adjustment.spoiled(graph(spec.graph), spec.treatment, spec.outcome, spec.mediators,
                                            spec.quantity, spec.controls)
    return post_treatment(graph(spec.graph), spec.treatments, spec.outcomes, spec.controls)


@functools.cache
def _versions(method: str) -> Mapping[str, str]:
    learns = any(p.name.endswith("_learner") for p in find_card("estimation", method).parameters)
    return versions("numpy", "scipy", *(("scikit-learn",) if learns else ()))


def as_spec(given: Any) -> Spec | Refused:
    """A ``Spec`` from a spec, a mapping or an identification result."""
    if isinstance(given, Spec):
        return given
    if isinstance(given, Mapping):
        return Spec.from_dict(given)
    if hasattr(given, "to_spec"):
        return given.to_spec()
    if hasattr(given, "witness") and hasattr(given, "reason"):
        return Refused("not_identified", given.reason, {"witness": given.witness}, getattr(given, "remedy", ""))
    raise WhenceError(
        f"A spec cannot be made from {type(given).__name__}.", code="bad_spec", value=type(given).__name__,
        allowed="a Spec, a mapping of its fields, or the result of identify",
    )


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
    if spec.quantity in PARTS and not spec.mediators:
        raise WhenceError(f"The {NAMES[spec.quantity]} needs its mediators.", code="missing_role", value="mediators",
                          hint="Name them in the spec: mediators=(...).")
    if spec.strategy == "longitudinal" and not spec.histories:
        raise WhenceError("Treatments in turn need what was measured between them.", code="missing_role",
                          value="histories", hint="Name it in the spec: histories=((), ('x2',), ...).")
    if spec.quantity == "RMST" and spec.event is None:
        raise WhenceError("A mean time until an event needs the column that says whether it happened.",
                          code="missing_role", value="event", hint="Name it in the spec: event=....")
    if spec.strategy != "id":
        return spec
    found = formula(spec)
    return found if isinstance(found, Refused) else spec.replace(formula_columns=formula_columns(found, spec))


def unadjusted(spec: Spec) -> Spec:
    """The spec of the plain comparison of the same treatment values, without what the strategy uses."""
    return spec.replace(strategy="adjustment", quantity="ATE", controls=(), mediators=(), instruments=(),
                        formula_columns=(), graph=None, assumptions=())


def _effect(asked: Spec, card: Card, parameters: Mapping[str, Any], seed: int, answer: Answer) -> Effect:
    if not all(np.isfinite(part).all() for part in (answer.estimates, answer.influence, answer.products) if part is not
               None):
        raise AssertionError(f"{card.name} gave a number that is not finite")
    data, level = answer.data, parameters["level"]
    found = summaries(answer, level)
    diagnostics = dict(answer.diagnostics)
    if data.others:
        diagnostics["treatments"] = {t.name: t.labels[0] for t in data.treatments}
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
        quantity=_quantity(asked, card), method=card.name, spec=data.spec,
        contrast=f"{data.treatment.name}: {answer.labels[0]}" if answer.labels and not data.others
        else data.treatment.contrast,
        level=level, df=degrees_of_freedom(answer),
        comparisons=comparisons, pairs=all_pairs(answer, level, seed), diagnostics=diagnostics,
        warnings=data.remarks + answer.remarks,
        assumptions=tuple(dict.fromkeys((
            *_design(asked, card), *(() if asked.strategy == "interference" else (COMMON,)),
            *((APART,) if data.others else ()), *_own(card, asked),
            *assumed(asked, data.remarks), *asked.assumptions))),
        provenance=Provenance(
            data=data.table.hash, rows=data.table.n_rows, spec=data.spec.hash, method=card.name,
            parameters=plain_parameters(parameters), seed=seed, versions=_versions(card.name),
            citations=card.citations,
        ),
        errors=words(answer), own_interval=answer.interval is not None, dependence=data.dependence,
        rows=data.rows, influence=answer.influence[:, 0], clusters=data.clusters, propensity=answer.propensity,
    )


def _quantity(spec: Spec, card: Card) -> str:
    """Whose effect it is: that of some only, where the design shows no more and the method finds it."""
    local = LOCAL.get(spec.strategy, spec.quantity)
    return local if gives(card, local) else spec.quantity


def _design(spec: Spec, card: Card) -> tuple[str, ...]:
    """What the design takes for granted, unless the method relaxes it or the spec says it in its own words."""
    if card.relaxes:
        return card.assumptions[:1]
    return () if spec.strategy in OWN and spec.assumptions else (DESIGN[spec.strategy],)


def _own(card: Card, spec: Spec) -> tuple[str, ...]:
    """The method's assumptions beyond the design's: an experiment needs none of the modelling ones, unless the question
    goes beyond what was drawn by lot."""
    return () if spec.strategy == "rct" and spec.quantity not in BEYOND else card.assumptions[1:]
