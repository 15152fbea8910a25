from __future__ import annotations

import numpy as np
import pytest

from whence.checks.implications import implications
from whence.graphs.build import graph

CHAIN = "z --> d; d --> m; m --> y"


@pytest.fixture
def chain(table_of):
    rng = np.random.default_rng(0)
    z = rng.normal(size=500)
    d = z + rng.normal(size=500)
    m = d + rng.normal(size=500)
    return table_of({"z": z, "d": d, "m": m, "y": m + rng.normal(size=500)})


def test_passes_when_the_graph_is_right(chain, effect_of):
    found = implications(chain, effect_of(chain, []), graph=graph(CHAIN))
    assert found.verdict == "pass" and found.numbers["tested"] == 3
    assert "None is contradicted" in found.saw and "With 500 rows" in found.saw


def test_worries_about_a_missing_edge_and_names_it(chain, effect_of):
    found = implications(chain, effect_of(chain, []), graph=graph("z --> d; m --> y; d --> y"))
    assert found.verdict == "worry"
    pairs = {(r["x"], r["y"]) for r in found.figure["rows"] if r["adjusted"] <= 0.05}
    assert ("d", "m") in pairs
    worst = found.numbers["worst"]
    assert worst["p_value"] == min(r["p_value"] for r in found.figure["rows"])
    assert repr(worst["x"]) in found.saw and "An arrow between the two" in found.saw


def test_words_and_numbers_mixed(table_of, effect_of):
    rng = np.random.default_rng(1)
    group = rng.choice(np.array(["a", "b", "c"], dtype=object), 600)
    shift = np.select([group == "a", group == "b"], [0.0, 1.0], 2.0)
    d = (rng.random(600) < 0.2 + 0.3 * (group == "c")).astype(float)
    table = table_of({"group": group, "d": d, "y": shift + rng.normal(size=600)})
    effect = effect_of(table, ["group"])
    assert implications(table, effect, graph=graph("group --> d; group --> y")).verdict == "pass"
    found = implications(table, effect, graph=graph("group --> d; d --> y"))
    assert found.verdict == "worry" and found.figure["rows"][0]["test"] == "gcm"


def test_nodes_without_a_column_count_as_hidden(chain, effect_of):
    """Without m, z and y are still separated by d; d and y are not separable."""
    table = chain.select(["z", "d", "y"])
    found = implications(table, effect_of(table, []), graph=graph(CHAIN))
    assert [(r["x"], r["y"], r["given"]) for r in found.figure["rows"]] == [("y", "z", ["d"])]
    assert found.numbers["hidden"] == ["m"]


def test_an_equivalence_class_and_hidden_causes(chain, effect_of):
    effect = effect_of(chain, [])
    as_class = graph("z --- d; d --- m; m --- y", kind="CPDAG")
    assert implications(chain, effect, graph=as_class).numbers["tested"] == 3
    mixed = graph("z --> d; d --> m; m --> y; z <-> y", kind="ADMG")
    assert implications(chain, effect, graph=mixed).numbers["tested"] < 3


def test_big_graphs_are_cut_short_and_say_so(chain, effect_of):
    found = implications(chain, effect_of(chain, []), graph=graph(CHAIN), most=1)
    assert found.numbers["tested"] == 1 and found.numbers["over_limit"] == 2
    assert "2 are beyond the number we test" in found.saw


def test_missing_rows_are_left_out_test_by_test(chain, effect_of, table_of):
    columns = {name: chain.numeric(name).copy() for name in chain.names}
    columns["z"][:200] = np.nan
    table = table_of(columns)
    found = implications(table, effect_of(table, []), graph=graph(CHAIN))
    rows = {(r["x"], r["y"]): r["n"] for r in found.figure["rows"]}
    assert rows[("d", "y")] == 500 and rows[("m", "z")] == 300


def test_says_where_it_has_no_meaning(chain, effect_of):
    effect = effect_of(chain, [])
    none = implications(chain, effect)
    assert not none.applies and "No graph" in none.saw
    full = graph("z --> d; z --> m; z --> y; d --> m; d --> y; m --> y")
    assert "no independence" in implications(chain, effect, graph=full).saw
    assert not implications(chain, effect, graph=graph("z o-> d; d --> y", kind="PAG")).applies


def test_column_order_does_not_matter(chain, effect_of):
    turned = chain.select(chain.names[::-1])
    one = implications(chain, effect_of(chain, []), graph=graph(CHAIN))
    two = implications(turned, effect_of(turned, []), graph=graph("m --> y; d --> m; z --> d"))
    assert [r["x"] + r["y"] for r in one.figure["rows"]] == [r["x"] + r["y"] for r in two.figure["rows"]]
    assert one.saw == two.saw


def test_a_true_graph_is_seldom_rejected(table_of, effect_of):
    """60 samples from the graph; Holm keeps the chance of any rejection at 5 %: 3 expected, 9 are too many."""
    rejected = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        a, b = rng.normal(size=(2, 150))
        d = a + rng.normal(size=150)
        table = table_of({"a": a, "b": b, "d": d, "y": d + b + rng.normal(size=150)})
        found = implications(table, effect_of(table, []), graph=graph("a --> d; d --> y; b --> y"))
        rejected += found.verdict == "worry"
    assert rejected < 9
