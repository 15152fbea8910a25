"""Implied independences: does the graph's every missing edge agree with the data?"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from whence.checks.check import Check, does_not_apply
from whence.checks.words import count, listing, number, p_text
from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import to_plain
from whence.data.table import CODED, NUMERIC, Table
from whence.estimation.effect import Effect
from whence.graphs.classes import CPDAG, MPDAG
from whence.graphs.graph import Graph
from whence.graphs.implications import implied_independences
from whence.stats.citest.choose import IndependenceTest, test

POWER = 0.8
TESTABLE = ("DAG", "CPDAG", "MPDAG", "ADMG", "MAG")

CARD = Card(
    name="implications",
    task="check",
    title="Do the data agree with the graph?",
    summary="Every independence that the graph implies between its columns is tested on the data.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=("The tests suit the columns: rows independent, relations that are linear or between categories.",),
    parameters=(
        Parameter("alpha", "float", 0.05, "Chance of rejecting any true independence (Holm's adjustment).", low=0.0,
                  high=1.0, open_ends=True),
        Parameter("most", "int", 200, "Largest number of independences tested; small conditioning sets first.", low=1),
    ),
    output="whence.checks.check.Check",
    cost="One conditional independence test for each pair of columns without an edge.",
    citations=(
        "Pearl, J. (2009). Causality, 2nd ed., section 1.2.3.",
        "Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scandinavian Journal of "
        "Statistics 6(2), 65-70.",
    ),
    function="whence.checks.implications:implications",
)


def holm(p_values: list[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given: rejecting those <= alpha errs with probability <= alpha."""
    m = len(p_values)
    adjusted, so_far = [0.0] * m, 0.0
    for rank, i in enumerate(sorted(range(m), key=p_values.__getitem__)):
        so_far = max(so_far, min(1.0, (m - rank) * p_values[i]))
        adjusted[i] = so_far
    return adjusted


def detectable_correlation(n: int, given: int, tests: int, alpha: float) -> float:
    """Partial correlation that the strictest of Holm's tests finds with 80 % power, by Fisher's z; 1 if none."""
    from scipy.special import ndtri

    room = n - given - 3
    reach = float(ndtri(1 - alpha / (2 * tests)) + ndtri(POWER))
    return math.tanh(reach / math.sqrt(room)) if room > 0 else 1.0


def implications(
    table: Table, effect: Effect, *, graph: Graph | None = None, seed: int = 0,
    progress: Progress = SILENT, **params: Any,
) -> Check:
    """Test one implied independence for every pair of columns that the graph leaves without an edge.

    Nodes without a usable column count as hidden. Each test uses the rows where its columns are present.
    Worry: Holm's procedure rejects any at level ``alpha``. Does not apply without a graph, or when the
    graph implies nothing that can be tested. Raises ``WhenceError`` for unknown parameters.
    """
    p = CARD.checked(params)
    if graph is None:
        return does_not_apply(CARD, "No graph was given, so there is nothing to hold against the data.")
    if graph.kind not in TESTABLE:
        return does_not_apply(CARD, f"Independences are read off a {listing(TESTABLE)}, not off a {graph.kind}.")
    hidden = sorted(name for name in graph.observed if name not in table or table.kind(name) not in CODED | NUMERIC)
    graph = _without(graph, hidden)
    implied = sorted(implied_independences(graph), key=lambda triple: (len(triple[2]), triple))
    if not implied:
        return does_not_apply(CARD, "The graph implies no independence between the columns at hand.")
    tried, skipped = _test_all(table, implied[: p["most"]], progress)
    if not tried:
        return does_not_apply(CARD, "None of the graph's independences can be tested on these rows.")
    adjusted = holm([t.p_value for t in tried if t.p_value is not None])
    numbers = {
        "implied": len(implied), "tested": len(tried), "skipped": skipped, "hidden": hidden,
        "over_limit": max(0, len(implied) - p["most"]), "rejected": sum(a <= p["alpha"] for a in adjusted), **p,
        "rows": min(t.n for t in tried), "power": POWER,
        "detectable": detectable_correlation(
            min(t.n for t in tried), max(len(t.given) for t in tried), len(tried), p["alpha"]),
    }
    order = sorted(range(len(tried)), key=lambda i: (adjusted[i], tried[i].p_value, tried[i].x, tried[i].y))
    rows = [{"x": tried[i].x, "y": tried[i].y, "given": list(tried[i].given), "p_value": tried[i].p_value,
             "adjusted": adjusted[i], "n": tried[i].n, "test": tried[i].test} for i in order]
    numbers["worst"] = rows[0]
    return _told(numbers, rows)


def _without(graph: Graph, hidden: list[str]) -> Graph:
    """The graph with nodes that the table cannot speak of counted among the latent ones."""
    if not hidden:
        return graph
    if isinstance(graph, (CPDAG, MPDAG)):
        graph = graph.member
    return dataclasses.replace(graph, latents=graph.latents | frozenset(hidden))


def _test_all(
    table: Table, triples: list[tuple[str, str, tuple[str, ...]]], progress: Progress
) -> tuple[list[IndependenceTest], int]:
    """The tests that could be made, and how many could not (nothing left to test)."""
    progress.begin("testing the graph's independences", len(triples))
    made = []
    try:
        for x, y, given in triples:
            made.append(test(table, x, y, given))
            progress.step()
    finally:
        progress.end()
    possible = [t for t in made if t.possible]
    return possible, len(triples) - len(possible)


def _told(numbers: dict[str, Any], rows: list[dict[str, Any]]) -> Check:
    text = (
        f"The graph implies {count(numbers['implied'], 'independence')} between the columns at hand; we tested "
        f"{numbers['tested']:,}{_left_out(numbers)}. {_verdict_words(numbers)} With {numbers['rows']:,} rows, such "
        f"a test notices a correlation of {number(numbers['detectable'])} in {number(100 * numbers['power'])} of "
        "100 cases."
    )
    return Check(
        CARD.name, CARD.title, "worry" if numbers["rejected"] else "pass",
        worry="Two columns that the graph says are unrelated, given others, but that are related in the data.",
        saw=text,
        cannot_show=("Graphs that differ only in the direction of some arrows can pass the same tests; weak "
                     "relations go unseen; and a graph learned from these data fits them partly by construction."),
        numbers=to_plain(numbers), figure=to_plain({"kind": "implications", "rows": rows}),
    )


def _verdict_words(numbers: dict[str, Any]) -> str:
    worst, rejected = numbers["worst"], numbers["rejected"]
    p_value = p_text(worst["adjusted"])
    if not rejected:
        return f"None is contradicted (smallest {p_value}, allowing for all the tests)."
    held = ""
    if worst["given"]:
        held = f" once {listing([repr(g) for g in worst['given']])} {'is' if len(worst['given']) == 1 else 'are'} fixed"
    return (
        f"The data contradict {rejected:,}. {'It says' if rejected == 1 else 'The clearest says'} that {worst['x']!r} "
        f"and {worst['y']!r} are unrelated{held}; they are related ({p_value}, allowing for all the tests). An arrow "
        "between the two, or a hidden cause of both, would explain it."
    )


def _left_out(numbers: dict[str, Any]) -> str:
    reasons = {
        "skipped": "cannot be tested on these rows",
        "over_limit": "are beyond the number we test, those with the most columns held fixed",
    }
    said = [f"{numbers[key]:,} {words}" for key, words in reasons.items() if numbers[key]]
    return f" ({listing(said)})" if said else ""
