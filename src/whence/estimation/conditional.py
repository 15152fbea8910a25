"""The front door of effects that differ between people: a table and a spec in, everybody's effect out, or a refusal."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from whence.core.card import Card
from whence.core.errors import WhenceError
from whence.core.progress import SILENT, Progress
from whence.core.registry import find_card, load_function
from whence.core.result import Provenance, Refused, Remark, versions
from whence.data.table import Table
from whence.estimation.choose import COMPARING, DESIGN
from whence.estimation.effect import Comparison, summarise
from whence.estimation.estimate import COMMON, as_spec, spoiled
from whence.estimation.heterogeneity.people import Conditional
from whence.estimation.heterogeneity.sample import Fitted
from whence.estimation.heterogeneity.scores import checked as checked_scores
from whence.estimation.heterogeneity.scores import group_means
from whence.estimation.missing_controls import assumed
from whence.estimation.parameters import checked, plain_parameters
from whence.estimation.prepare import Prepared, prepare, several
from whence.estimation.treatment import Treatment
from whence.identification.spec import Spec
from whence.stats.regress import covariance_matrix

AUTO = "causal_forest"
ABOUT = ("ATE", "CATE")


def conditional(
    table: Any, spec: Spec | Mapping[str, Any], method: str = "auto", by: Sequence[str] | None = None, seed: int = 0, *,
    progress: Progress = SILENT, **params: Any,
) -> Conditional | Refused:
    """How an effect differs between people.

    table: a ``Table`` or anything ``whence.read`` takes. spec: a ``Spec`` of an experiment or an adjustment, or a
    mapping of its fields. method: a card's name (``whence.methods("heterogeneity")``), or ``"auto"``: the causal
    forest. by: columns, settled before the treatment, by which effects may differ; the spec's controls when left out.
    Those that are no controls become controls too. params: the method's own, see its card.

    Refused: ``not_identified``, ``other_design``, ``role_not_used``, ``quantity_not_available``,
    ``nothing_to_differ_by``, ``continuous_treatment``, ``several_arms``, ``imputation_not_available``,
    ``post_treatment_control``, those of ``prepare`` and of the method. Raises ``WhenceError`` for unknown columns,
    methods and parameters, and for a column in ``by`` that has another role.
    """
    asked = as_spec(spec)
    if isinstance(asked, Refused):
        return asked
    card = find_card("heterogeneity", AUTO if method == "auto" else method)
    parameters = checked(card, params)
    if not isinstance(table, Table):
        from whence.data.load import read

        table = read(table)
    columns = _columns(asked, by)
    for name in (*asked.columns, *columns):
        table.column(name)
    refused = _out_of_reach(asked, columns)
    if refused is None:
        full = asked.replace(quantity="ATE", controls=tuple(dict.fromkeys((*asked.controls, *columns, *asked.strata))))
        refused = spoiled(full) if full.graph is not None else None
    if refused is not None:
        return dataclasses.replace(refused, method=card.name)
    data = prepare(table, full)
    data = data if isinstance(data, Refused) else _two_arms(data, asked)
    if isinstance(data, Refused):
        return dataclasses.replace(data, method=card.name)
    own = {name: value for name, value in parameters.items() if name != "level"}
    found = load_function(card)(data, columns, seed=seed, progress=progress, **own)
    if isinstance(found, Refused):
        return dataclasses.replace(found, method=card.name)
    return _answer(asked, card, columns, parameters, seed, found)


def _columns(asked: Spec, by: Sequence[str] | None) -> tuple[str, ...]:
    """The columns by which effects may differ. Raises ``WhenceError`` (``bad_by``, ``role_conflict``)."""
    if by is None:
        return asked.controls
    if isinstance(by, str):
        raise WhenceError("'by' takes a list of columns.", code="bad_by", value=by, hint=f"Use by=[{by!r}].")
    taken = {asked.treatment: "the treatment", asked.outcome: "the outcome"}
    for name in by:
        if name in taken:
            raise WhenceError(f"Column {name!r} is {taken[name]}; effects cannot be told apart by it.",
                              code="role_conflict", value=name, hint="Name columns settled before the treatment.")
    return tuple(dict.fromkeys(by))


def _out_of_reach(asked: Spec, columns: tuple[str, ...]) -> Refused | None:
    if asked.strategy not in COMPARING:
        return Refused("other_design", f"Effects of single people are found in experiments and by adjustment, not by "
                       f"the strategy {asked.strategy!r}.", {"strategy": asked.strategy, "available": list(COMPARING)},
                       "Ask for the average effect: whence.estimate.")
    if asked.special_roles:
        named = " and ".join(repr(role) for role in sorted(asked.special_roles))
        return Refused("role_not_used", f"The spec names {named}, which no method of effects that differ uses.",
                       {"roles": sorted(asked.special_roles)}, "Leave it out, or ask for the average: whence.estimate.")
    if asked.quantity not in ABOUT:
        return Refused("quantity_not_available", f"{asked.quantity} is an average; effects of people are asked for by "
                       "CATE.", {"quantity": asked.quantity, "available": list(ABOUT)}, "Ask for CATE.")
    if len(asked.treatments) > 1:
        return several("treatment", asked.treatments)
    if asked.missing_controls == "impute":
        return Refused("imputation_not_available", "Effects of people are not pooled over imputations.",
                       {"missing_controls": "impute"}, "Use missing_controls='indicator' or 'drop'.")
    if not columns:
        return Refused("nothing_to_differ_by", "No column says by what the effect could differ.",
                       {"controls": list(asked.controls)}, "Name columns settled before the treatment: by=[...].")
    return None


def _two_arms(data: Prepared, asked: Spec) -> Prepared | Refused:
    """The rows in the two arms compared."""
    t = data.treatment
    if not t.discrete:
        return Refused("continuous_treatment", f"{t.name!r} is a dose, not groups; these methods compare two groups.",
                       {"column": t.name}, "Read the table with this column as categorical, or make groups.")
    if len(t.arms) == 2:
        return data
    if asked.contrast is None or None in (asked.contrast.treated, asked.contrast.control):
        return Refused("several_arms", f"The treatment {t.name!r} has {len(t.arms)} values, and effects of people "
                       "compare two.", {"arms": list(t.arms)}, "Name both in the spec's contrast.")
    inside = t.codes <= 1
    said = Remark("arms_dropped", f"{int((~inside).sum()):,} rows with another value of {t.name} are left out.",
                  (t.name,), {"dropped": list(t.arms[2:])})
    data = data.take(inside, said)
    two = Treatment(t.name, t.arms[:2], data.treatment.codes, data.treatment.values)
    return dataclasses.replace(data, treatment=two)


def _answer(
    asked: Spec, card: Card, by: tuple[str, ...], parameters: Mapping[str, Any], seed: int, found: Fitted
) -> Conditional:
    s, level = found.sample, parameters["level"]
    data = s.data
    if not (np.isfinite(found.effects).all() and np.isfinite(s.scores).all()):
        raise AssertionError(f"{card.name} gave a number that is not finite")
    features = s.narrow.features()
    assert not isinstance(features, Refused)
    learned = any(p.name.endswith("_learner") for p in card.parameters)
    return Conditional(
        effects=found.effects, errors=found.errors, average=_average(found, level),
        importance=dict(sorted(found.importance.items(), key=lambda item: (-item[1], item[0]))),
        by=tuple(sorted(by)), method=card.name, contrast=data.treatment.contrast, n=data.n, level=level,
        spec=data.spec, rows=data.rows, scores=s.scores, features=features,
        diagnostics={**s.diagnostics, **found.diagnostics},
        assumptions=tuple(dict.fromkeys((
            DESIGN[asked.strategy], COMMON, *card.assumptions[2 if asked.strategy == "rct" else 1:],
            *assumed(asked, data.remarks), *asked.assumptions))),
        warnings=data.remarks + s.remarks + found.remarks,
        provenance=Provenance(
            data=data.table.hash, rows=data.table.n_rows, spec=data.spec.hash, method=card.name,
            parameters={**plain_parameters(parameters), "by": sorted(by)}, seed=seed,
            versions=versions("numpy", "scipy", *(("scikit-learn",) if learned else ())), citations=card.citations,
        ),
        fitted=found, parameters={name: value for name, value in parameters.items() if name != "level"},
    )


def _average(found: Fitted, level: float) -> Comparison:
    """The mean of the scores: the cross-fitted AIPW estimate of the average effect."""
    data = found.sample.data
    known = checked_scores(found.sample.scores, data.weights, data.clusters)
    means, psi = group_means(known.values, np.zeros(data.n, dtype=np.int64), 1, known)
    error = float(np.sqrt(covariance_matrix(psi, data.clusters)[0, 0]))
    df = None if data.n_clusters is None else data.n_clusters - 1.0
    return Comparison("everybody", float(means[0]), error, *summarise(float(means[0]), error, level, df))
