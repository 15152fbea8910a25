"""Run the checks on an effect. A check that cannot be made says so; none stops the study."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from whence.checks.check import Check, does_not_apply
from whence.core.card import Card
from whence.core.errors import WhenceError, unknown_name
from whence.core.progress import SILENT, Progress
from whence.core.registry import find_card, load_function, methods
from whence.core.rng import generator
from whence.data.table import Table
from whence.estimation.effect import Effect
from whence.graphs.graph import Graph

# The order in which a reader wants them; a new check comes after these, by name.
ORDER = (
    "balance", "assignment", "attrition", "overlap", "placebo", "dropped", "specification_curve", "robustness",
    "omitted_variable", "mediator_confounding", "evalue", "tipping_point", "rosenbaum", "marginal_sensitivity",
    "negative_control", "implications", "instrument", "sorting", "cutoff_choices", "pretrends", "honest_trends",
    "donor_choices", "series_choices",
)


def check(
    table: Table, effect: Effect, which: str | Iterable[str] = "all", *, graph: Graph | None = None, seed: int = 0,
    parameters: Mapping[str, Mapping[str, Any]] | None = None, progress: Progress = SILENT,
) -> list[Check]:
    """The checks named by ``which``, or all that apply to this effect, in a fixed order.

    table: the one the effect was estimated on. which: ``"all"``, a name, or several. graph: needed by
    the check of implied independences only. parameters: of checks, by the check's name, such as
    ``{"negative_control": {"outcome": "height"}}``. A check asked for by name that does not apply comes back
    as informational, with the reason; so does one that failed.
    Raises ``WhenceError``: ``unknown_check``, ``bad_effect`` (not an ``Effect``), ``other_table``, ``bad_seed``, and
    for parameters that a check does not have or take.
    """
    if not isinstance(effect, Effect):
        raise WhenceError(
            f"Checks need an effect, not {type(effect).__name__}.", code="bad_effect", value=type(effect).__name__,
            allowed="the Effect that estimate returns", hint="A refusal has nothing to check.",
        )
    generator(seed)  # a seed that is none is the caller's mistake, whichever checks run
    if not isinstance(table, Table):
        from whence.data.load import read

        table = read(table)
    cards = _chosen(which)
    given = _checked(parameters or {})
    progress.begin("checking", len(cards))
    try:
        found = []
        for card in cards:
            found.append(_one(card, table, effect, graph, seed, progress, given.get(card.name, {})))
            progress.step()
    finally:
        progress.end()
    return [c for c in found if c.applies] if isinstance(which, str) and which == "all" else found


def _chosen(which: str | Iterable[str]) -> list[Card]:
    known = {card.name: card for card in methods("check")}
    rank = {name: i for i, name in enumerate(ORDER)}
    order = sorted(known, key=lambda name: (rank.get(name, len(ORDER)), name))
    if isinstance(which, str) and which == "all":
        return [known[name] for name in order]
    wanted = [which] if isinstance(which, str) else list(which)
    for name in wanted:
        if name not in known:
            raise unknown_name("check", name, order, code="unknown_check")
    return [find_card("check", name) for name in order if name in wanted]


def _checked(given: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
    """The parameters, once each is known to its check: a mistake in them is the caller's."""
    for name, values in given.items():
        for card in _chosen([name]):
            card.checked(values)
    return given


def _one(
    card: Card, table: Table, effect: Effect, graph: Graph | None, seed: int, progress: Progress,
    parameters: Mapping[str, Any],
) -> Check:
    try:
        return load_function(card)(table, effect, graph=graph, seed=seed, progress=progress, **parameters)
    except WhenceError as error:
        if error.code == "other_table":
            raise
        if error.code == "not_a_comparison":
            return does_not_apply(card, error.message)
        return _failed(card, f"This check could not be made: {error.message}", error.code)
    except Exception as error:  # a defect of ours in one check must not cost the study its answer
        return _failed(card, f"This check failed inside ({type(error).__name__}: {error}). The estimate stands "
                       "without it; please report it.", "defect")


def _failed(card: Card, why: str, code: str) -> Check:
    return Check(card.name, card.title, "informational", worry=card.summary, saw=why,
                 cannot_show="Nothing was checked.", numbers={"error": code})
