"""Controls that the treatment affects: refused by the graph wherever it is known, told apart from harmless ones."""

from __future__ import annotations

import numpy as np
import pytest

import whence
from whence.core.result import Refused
from whence.identification.post_treatment import post_treatment

GRAPH = whence.graph("c --> t; c --> y; t --> m; m --> y; m --> s; t --> w; y --> z; y --> u")


@pytest.mark.parametrize(("control", "refused"), [
    ("c", False), ("w", False), ("m", True), ("s", True), ("z", True),
])
def test_only_what_lies_behind_a_causal_path_is_refused(control, refused):
    found = post_treatment(GRAPH, "t", "y", ["c", control])
    assert isinstance(found, Refused) is refused
    if found is not None:
        assert found.evidence == {"controls": [control], "adjustment": ["c"]} and control in found.reason


def test_agrees_with_the_adjustment_criterion_in_random_graphs():
    """Refused are the invalid sets that hold something the treatment affects, and no others."""
    rng = np.random.default_rng(3)
    names, seen = list("abcdef"), {True: 0, False: 0}
    for _ in range(200):
        edges = [(x, "-->", y) for i, x in enumerate(names) for y in names[i + 1 :] if rng.random() < 0.4]
        drawn = whence.graph([*edges, *names])
        controls = [n for n in "acdf" if rng.random() < 0.5]
        after, below = {"b"}, True
        while below:
            below = {y for x, _, y in edges if x in after} - after
            after |= below
        refused = post_treatment(drawn, "b", "e", controls) is not None
        assert refused == (not whence.identify(drawn, "b", "e").valid(controls) and bool(after & set(controls)))
        seen[refused] += 1
    assert min(seen.values()) > 30


def people(n=400):
    rng = np.random.default_rng(0)
    c = rng.normal(size=n)
    t = (rng.random(n) < 1 / (1 + np.exp(-c))).astype(int)
    m = t + rng.normal(size=n)
    return {"c": c, "t": t, "m": m, "y": m + c + rng.normal(size=n)}


DRAWN = "c --> t; c --> y; t --> m; m --> y"


def test_the_same_refusal_from_every_door():
    table = whence.read(people(), kinds={"t": "binary"})
    spec = whence.Spec("adjustment", ("t",), ("y",), controls=("c", "m"))
    by_roles = whence.study(table, treatment="t", outcome="y", controls=["c", "m"], graph=DRAWN)
    by_spec = whence.study(table, spec=spec, graph=DRAWN)
    for answer in (by_roles.plan.refused, by_spec.plan.refused, by_spec.run().refused,
                   whence.estimate(table, spec.replace(graph=DRAWN)),
                   whence.estimate(table, spec.replace(graph=DRAWN, strategy="rct"))):
        assert isinstance(answer, Refused) and answer.code == "post_treatment_control"
        assert answer.evidence["controls"] == ["m"] and "m" in answer.remedy
    right = spec.replace(controls=("c",), graph=DRAWN)
    assert whence.estimate(table, right, "regression") and whence.study(table, spec=right, graph=DRAWN).plan.spec


def test_a_graph_without_the_columns_forbids_nothing():
    table = whence.read(people(), kinds={"t": "binary"})
    spec = whence.Spec("adjustment", ("t",), ("y",), controls=("c", "m"))
    assert whence.study(table, spec=spec, graph="a --> b").plan.spec == spec
    assert post_treatment(whence.graph("t --> y; t <-> y; t --> m; m --> y"), "t", "y", ["m"]) is None
