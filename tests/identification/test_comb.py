"""The cut against the published example, and against the truth in random models with hidden variables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.graphs.classes import ADMG
from whence.graphs.graph import matrices_from_edges
from whence.identification.comb import Comb, NoComb, comb
from whence.identification.frontdoor import frontdoor

SMOKING = "S --> T; T --> C; S <-> C"
# P(S, T, C) of Jacobs, Kissinger and Zanasi (2019), section 7.
OMEGA = np.array([0.5, 0.1, 0.01, 0.02, 0.1, 0.05, 0.02, 0.2]).reshape(2, 2, 2)


def test_the_published_example() -> None:
    observed = OMEGA[:, :, 1].sum(axis=1) / OMEGA.sum(axis=(1, 2))
    assert observed == pytest.approx([0.190476, 0.675676], abs=5e-7)
    answer = comb(SMOKING, "S", "C")
    assert isinstance(answer, Comb)
    assert (answer.outer, answer.inner) == (("S", "C"), ("T",))
    after = [answer.distribution(OMEGA, "STC", do)[1] for do in (0, 1)]
    assert after == pytest.approx([0.25347763, 0.54229730], abs=5e-9)
    outer, inner = answer.parts(OMEGA, "STC")
    assert np.abs(outer * inner - OMEGA).max() < 1e-12
    assert inner[:, :, 0] == pytest.approx(OMEGA.sum(axis=2) / OMEGA.sum(axis=(1, 2))[:, None])


def test_an_added_edge_is_refused_with_its_reason() -> None:
    answer = comb(SMOKING + "; S --> C", "S", "C")
    assert isinstance(answer, NoComb) and not answer
    assert answer.code == "hidden_cause_shared_with_child"
    assert answer.witness["edge"] == ["S", "-->", "C"] and answer.witness["path"] == [["S", "<->", "C"]]
    assert "S --> C" in str(answer)


def test_it_is_the_front_door_formula() -> None:
    one, other = comb(SMOKING, "S", "C"), frontdoor(SMOKING, "S", "C")
    assert isinstance(one, Comb) and other
    values = [each.expression.evaluate(OMEGA, "STC") for each in (one, other)]
    assert values[0] == pytest.approx(values[1], abs=1e-15)


def joined_to(node: int, pairs: list[tuple[int, int]], within: set[int]) -> set[int]:
    found = {node}
    while True:
        more = {v for a, b in pairs if {a, b} <= within and {a, b} & found for v in (a, b)} - found
        if not more:
            return found
        found |= more


def random_case(truth: Any, rng: np.random.Generator) -> tuple[Any, list[tuple[int, int]], ADMG, Any]:
    """A DAG on five nodes, the pairs with a hidden common cause, both as an ADMG and as one DAG on all nodes."""
    dag = truth.random_dag(5, rng.uniform(1.5, 3), rng)
    pairs = sorted({(int(min(p)), int(max(p))) for p in (rng.choice(5, 2, replace=False) for _ in range(3))})
    names = [f"v{v}" for v in range(5)]
    edges = [(f"v{u}", "-->", f"v{v}") for v, p in enumerate(dag) for u in p]
    edges += [(f"v{a}", "<->", f"v{b}") for a, b in pairs]
    marks, bidirected = matrices_from_edges(names, edges)
    whole = list(dag)
    for a, b in pairs:
        whole.append(())
        for v in (a, b):
            whole[v] = (*whole[v], len(whole) - 1)
    return dag, pairs, ADMG(tuple(names), marks, bidirected=bidirected), tuple(whole)


@pytest.mark.parametrize("seed", range(3))
def test_random_models_with_hidden_variables(truth: Any, seed: int) -> None:
    rng, verdicts = np.random.default_rng(seed), []
    for _ in range(60):
        dag, pairs, graph, whole = random_case(truth, rng)
        x, y = (int(v) for v in rng.permutation(5)[:2])
        answer = comb(graph, f"v{x}", f"v{y}")
        above = {v for v in range(5) if y in truth.descendants(dag, {v})}
        if x not in above:
            assert isinstance(answer, NoComb) and answer.code == "no_effect"
            continue
        children = {v for v in above if x in dag[v]}
        assert bool(answer) == (not children & joined_to(x, pairs, above))
        verdicts.append(bool(answer))
        if not isinstance(answer, Comb):
            continue
        tables = truth.random_tables(whole, [2, 3, 2, 2, 2] + [2] * len(pairs), rng)
        hidden = tuple(range(5, len(whole)))
        joint, names = truth.product(tables).sum(axis=hidden), list(graph.names)
        outer, inner = answer.parts(joint, names)
        aside = tuple(v for v in range(5) if v not in above)
        whole_law = joint.sum(axis=aside, keepdims=True)
        assert np.abs(outer * inner - whole_law).max() < 1e-12
        for level in range(joint.shape[x]):
            after = truth.intervened(tables, {x: level})
            true = after.sum(axis=tuple(v for v in range(after.ndim) if v != y))
            assert np.abs(answer.distribution(joint, names, level) - true).max() < 1e-10
    assert any(verdicts) and not all(verdicts)


def test_latent_nodes_never_appear(make: Any) -> None:
    answer = comb(make("S --> T; T --> C; u --> S; u --> C", hidden="u"), "S", "C")
    assert isinstance(answer, Comb)
    assert "u" not in answer.expression.variables | set(answer.outer) | set(answer.inner) | set(answer.graph.names)
    assert answer.expression == getattr(comb(SMOKING, "S", "C"), "expression", None)


def test_two_outcomes_in_the_order_asked() -> None:
    answer = comb(SMOKING, "S", ["T", "C"])
    assert isinstance(answer, Comb)
    both = answer.distribution(OMEGA, "STC", 1)
    turned = comb(SMOKING, "S", ["C", "T"])
    assert isinstance(turned, Comb)
    assert turned.distribution(OMEGA, "STC", 1) == pytest.approx(both.T)
    assert both.sum() == pytest.approx(1) and both.sum(axis=0)[1] == pytest.approx(0.54229730, abs=5e-9)


def test_the_cut_leaves_no_edge_into_the_treatment() -> None:
    answer = comb(SMOKING + "; w --> S; w --> C", "S", "C")
    assert isinstance(answer, Comb)
    assert set(answer.cut.edges()) == {("S", "-->", "T"), ("T", "-->", "C"), ("w", "-->", "C")}


def test_what_never_occurs_is_an_error() -> None:
    joint = OMEGA.copy()
    joint[1, 0] = 0
    answer = comb(SMOKING, "S", "C")
    assert isinstance(answer, Comb)
    with pytest.raises(WhenceError) as error:
        answer.distribution(joint, "STC", 0)
    assert error.value.code == "positivity"
    with pytest.raises(WhenceError) as error:
        answer.parts(joint, "STC")
    assert error.value.code == "positivity"


@pytest.mark.parametrize(("x", "y", "code"), [
    (["S", "T"], "C", "several_nodes"), ("S", "S", "role_conflict"), ("Q", "C", "unknown_node"),
    ([], "C", "missing_role"),
])
def test_bad_questions(x: Any, y: str, code: str) -> None:
    with pytest.raises(WhenceError) as error:
        comb(SMOKING, x, y)
    assert error.value.code == code


@pytest.mark.parametrize(("joint", "names", "do", "code"), [
    (OMEGA, "ST", 0, "bad_joint"), (-OMEGA, "STC", 0, "bad_joint"), (OMEGA, "STQ", 0, "unknown_variable"),
    (OMEGA, "STC", 2, "bad_level"), (OMEGA, "STC", True, "bad_level"),
])
def test_bad_joints(joint: np.ndarray, names: str, do: int, code: str) -> None:
    answer = comb(SMOKING, "S", "C")
    assert isinstance(answer, Comb)
    with pytest.raises(WhenceError) as error:
        answer.distribution(joint, names, do)
    assert error.value.code == code
