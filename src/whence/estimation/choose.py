"""Which estimator suits a spec: what each strategy takes for granted, its usual method, and what is out of reach."""

from __future__ import annotations

import numpy as np

from whence.core.card import Card
from whence.core.registry import find_card, methods
from whence.core.result import Refused, Remark
from whence.estimation.adoption import starts_differ
from whence.estimation.prepare import IN_TURN, Prepared, several
from whence.identification.spec import PARTS, Spec

QUANTITIES = ("ATE", "ATT", "ATC")
TOGETHER = ("ATE", "LATE")  # quantities of several treatments at once
COMPARING = ("rct", "adjustment")  # strategies that compare groups given controls
# Strategies with methods of their own, and the usual one.
OWN = {"frontdoor": "frontdoor", "id": "plugin", "iv": "iv", "rdd": "rdd", "did": "twfe", "event_study": "group_time",
       "synthetic_control": "synthetic_control", "interrupted_series": "interrupted_series",
       "longitudinal": "longitudinal", "interference": "interference", "proximal": "proximal"}
STRATEGIES = (*COMPARING, *OWN)
# Whose effect a design can show, whatever was asked for.
LOCAL = {"iv": "LATE", "rdd": "LATE", "did": "ATT", "event_study": "ATT", "synthetic_control": "ATT",
         "interrupted_series": "ATT"}
PARALLEL = "Without treatment, the outcomes of the treated and of the others would have moved in parallel."
DESIGN = {
    "rct": "Who was treated was decided by chance.",
    "adjustment": "Nothing outside the controls affects both the treatment and the outcome.",
    "frontdoor": "The treatment affects the outcome only through the mediators.",
    "id": "The graph shows every common cause, and no arrow is missing.",
    "iv": "Given the controls, the instruments are as good as chosen by chance, and they affect the outcome only "
          "through the treatment.",
    "rdd": "Nothing but the treatment changes at the cutoff, and nobody chose on which side to be.",
    "did": PARALLEL,
    "event_study": PARALLEL,
    "synthetic_control": "The weighted untreated units that followed the treated one before would have gone on doing "
                         "so.",
    "interrupted_series": "Without treatment the series would have gone on as it moved before; nothing else changed "
                          "when it started.",
    "longitudinal": "At each time, nothing outside what was measured before affects both the treatment then and the "
                    "outcome.",
    "interference": "Given the controls, nothing hidden affects both the outcome and the treatment of a row or of its "
                    "neighbours.",
    "proximal": "The stand-ins say enough about every hidden common cause of treatment and outcome; those on the "
                "treatment's side do not affect the outcome, and the treatment does not affect those on the outcome's.",
}
BY_STRATUM = ("stratified", "randomisation", "difference")  # methods for experiments in blocks, and the raw comparison
FEWEST_FOR_AIPW = 20  # rows in the smallest arm
ROWS_PER_COLUMN = 3


def choose(data: Prepared) -> tuple[str, tuple[Remark, ...]]:
    """The method ``"auto"`` stands for, with a remark when the data made it other than usual."""
    t, spec = data.treatment, data.spec
    if spec.strategy == "did":
        return ("imputation" if starts_differ(data) else "twfe"), ()
    if spec.strategy in OWN:
        return OWN[spec.strategy], ()
    if data.others:
        return "regression", ()
    if spec.special_roles:
        return next(card.name for card in methods("estimation") if serves(card, spec.strategy)
                    and reads(card, spec) and gives(card, spec.quantity)), ()
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


def reads(card: Card, spec: Spec) -> bool:
    """Whether the estimator uses every special role that the spec fills; one that it needs is its first."""
    return spec.special_roles <= set(card.roles)


def gives(card: Card, quantity: str) -> bool:
    """Whether the estimator can answer with this quantity."""
    return quantity in (card.quantities or QUANTITIES)


def _quantities(cards: list[Card]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(q for card in cards for q in (card.quantities or QUANTITIES)))


def _one_treatment(spec: Spec, method: str, able: bool) -> Refused:
    """Why several treatments at once are out of reach; able: of the quantity alone."""
    if able:
        return Refused("quantity_not_available", f"{spec.quantity} is about one treatment, and the spec names "
                       f"{len(spec.treatments)}.", {"quantity": spec.quantity, "available": list(TOGETHER)},
                       "Ask for the ATE, or for one treatment with the others among the controls.")
    can = () if spec.strata else tuple(card.name for card in methods("estimation")
                                       if serves(card, spec.strategy) and card.several_treatments)
    by = "an experiment in blocks" if spec.strata else "one effect" if method == "auto" else f"the method {method!r}"
    return several("treatment", spec.treatments, by, can)


def _across_strata(spec: Spec, method: str) -> Refused:
    """``strata_not_used``: the method compares across what the lot was drawn within."""
    instead = "" if spec.quantity in (*PARTS, "RMST") else "Use method='stratified' or 'randomisation', or name"
    return Refused(
        "strata_not_used", f"The method {method!r} does not compare within the strata, and shares treated that differ "
        "between them would pass for an effect.", {"method": method, "strata": list(spec.strata)},
        f"{instead or 'Name'} the strata among the controls instead.", method,
    )


def out_of_reach(spec: Spec, method: str) -> Refused | None:
    """Why no method, or not this one, answers the spec; None when one does."""
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
        if spec.strata and method not in BY_STRATUM:
            return _across_strata(spec, method)
        suits = [card]
    elif spec.strata and spec.quantity in (*PARTS, "RMST"):
        return _across_strata(spec, next(card.name for card in suits if spec.quantity in card.quantities))
    if len(spec.treatments) > 1 and spec.strategy not in IN_TURN:
        suits = [card for card in suits if card.several_treatments and not spec.strata]
        if not suits or spec.quantity not in TOGETHER:
            return _one_treatment(spec, method, bool(suits))
    able = [card for card in suits if reads(card, spec)]
    if not able:
        named = " and ".join(repr(role) for role in sorted(spec.special_roles))
        can = [card.name for card in methods("estimation") if reads(card, spec)]
        which = repr(method) if method != "auto" else f"no method of the strategy {spec.strategy!r}"
        return Refused(
            "role_not_used", f"The spec names {named}, which {which} {'does not use' if method != 'auto' else 'uses'}.",
            {"roles": sorted(spec.special_roles), "can": can},
            "Leave it out" + (", or use " + " or ".join(repr(name) for name in can) if can else "") + ".",
        )
    suits = able
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
