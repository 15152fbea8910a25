"""Negative controls: an effect that cannot be there, looked for in the same way as the one that may be."""

from __future__ import annotations

from typing import Any

from whence.checks.check import Check, does_not_apply
from whence.checks.setting import setting
from whence.checks.words import number, p_text
from whence.core.card import Card, Parameter
from whence.core.errors import WhenceError
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, to_plain
from whence.data.table import Table
from whence.estimation.effect import Effect
from whence.estimation.estimate import estimate
from whence.graphs.graph import Graph
from whence.identification.spec import Spec

CARD = Card(
    name="negative_control",
    task="check",
    title="Does an effect that cannot be there show up?",
    summary="The same estimate for an outcome that the treatment cannot change, or for an exposure that cannot change "
            "the "
    "outcome: anything but zero is bias.",
    data_kinds=("binary", "categorical", "continuous", "count", "ordinal"),
    assumptions=("What biases the effect would bias the negative control too.",),
    parameters=(
        Parameter("outcome", "str", None, "A column that the treatment cannot change, and that the suspected hidden "
                                          "causes "
                  "do change.", optional=True),
        Parameter("exposure", "str", None, "A column that cannot change the outcome, and that the suspected hidden "
                                           "causes "
                  "do change.", optional=True),
        Parameter("alpha", "float", 0.05, "Level of the test of no effect.", 0.0, 1.0, open_ends=True),
    ),
    output="whence.checks.check.Check",
    cost="One more estimate by the same method.",
    citations=(
        "Lipsitch, M., Tchetgen Tchetgen, E. and Cohen, T. (2010). Negative controls: a tool for detecting "
        "confounding and "
        "bias in observational studies. Epidemiology 21(3), 383-388.",
    ),
    function="whence.checks.negative_control:negative_control",
)


def negative_control(
    table: Table, effect: Effect, *, graph: Graph | None = None, seed: int = 0,
    progress: Progress = SILENT, **params: Any,
) -> Check:
    """Estimate the effect of the treatment on a negative-control outcome, or of a negative-control exposure on the
    outcome given the treatment, with the effect's own controls, method and parameters.

    Worry: an effect, at level ``alpha``. Otherwise what could have gone unseen is told: the interval. Raises
    ``WhenceError``: ``two_negative_controls``, ``role_conflict`` (the column is treatment, outcome or an instrument),
    unknown columns and parameters, tables that are not the effect's.
    """
    p = CARD.checked(params)
    named = [(role, p[role]) for role in ("outcome", "exposure") if p[role] is not None]
    if not named:
        return does_not_apply(CARD, "No negative control was named. Give this check an outcome that the treatment "
                                    "cannot "
                              "change, or an exposure that cannot change the outcome.")
    if len(named) > 1:
        raise WhenceError("One negative control at a time.", code="two_negative_controls", value=[n for _, n in named],
                          hint="Run the check twice.")
    role, name = named[0]
    table.column(name)
    setting(table, effect, several=True)
    if name in (*effect.spec.treatments, *effect.spec.outcomes, *effect.spec.instruments):
        raise WhenceError(f"{name!r} has another role already.", code="role_conflict", value=name,
                          hint="A negative control is neither treatment nor outcome.")
    found = estimate(table, _spec(effect.spec, role, name), effect.method, effect.provenance.seed, progress=progress,
                     **effect.provenance.parameters)
    if isinstance(found, Refused):
        return does_not_apply(CARD, f"The negative control {name!r} could not be estimated: {found.reason}")
    return _told(effect, found, role, name, p["alpha"])


def _spec(spec: Spec, role: str, name: str) -> Spec:
    rest = tuple(c for c in spec.controls if c != name)
    if role == "outcome":
        return spec.replace(outcomes=(name,), controls=rest)
    # The treatments are held fixed, so that the exposure's tie with them is no path to the outcome.
    return spec.replace(treatments=(name,), controls=(*rest, *spec.treatments), contrast=None, quantity="ATE",
                        strategy="adjustment")


def _told(effect: Effect, found: Effect, role: str, name: str, alpha: float) -> Check:
    low, high = found.interval
    numbers = {
        "role": role, "column": name, "estimate": found.estimate, "low": low, "high": high, "p_value": found.p_value,
        "level": found.level, "alpha": alpha, "effect": effect.estimate, "n": found.n,
        "was_control": name in effect.spec.controls,
    }
    shows = found.p_value < alpha
    what = (f"of {effect.spec.treatment!r} on {name!r}, which it cannot change," if role == "outcome" else
            f"of {name!r} on {effect.spec.outcome!r}, which it cannot change,")
    text = (f"The effect {what} comes out as {number(found.estimate)} (interval {number(low)} to {number(high)}, "
            f"{p_text(found.p_value)}), by the same method and controls. ")
    text += ("An effect that cannot be there was found, so something biases estimates of this kind on these data."
             if shows else "No such effect was found; anything within that interval could have gone unseen.")
    if numbers["was_control"]:
        text += f" {name!r} was one of the controls and was left out of them here."
    return Check(
        CARD.name, CARD.title, "worry" if shows else "pass",
        worry="An effect where there can be none: what makes it up would bias the real estimate too.",
        saw=text,
        cannot_show=("Finding nothing is no evidence that nothing is hidden: a hidden cause may touch the real "
                     "outcome and "
                     "not this one. And it rests on the word of whoever named the column that the effect is "
                     "impossible."),
        numbers=to_plain(numbers),
    )
