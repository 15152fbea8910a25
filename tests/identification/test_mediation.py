"""Mediation against the truth: each unit of random models with hidden causes, in every world it is asked about."""

from __future__ import annotations

import importlib.util
import itertools
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.graphs.classes import ADMG
from whence.graphs.graph import matrices_from_edges
from whence.identification.hedge import Hedge, is_hedge
from whence.identification.identify import identify
from whence.identification.mediated import Mediated, NotMediated
from whence.identification.mediation import QUANTITIES, mediation

SIMPLE = "x --> m; m --> y; x --> y"
CONFOUNDED = "c --> x; c --> m; c --> y; x --> m; m --> y; x --> y"
INDUCED = "x --> z; z --> m; z --> y; m --> y; x --> y; x --> m"


@pytest.fixture(scope="module")
def worlds() -> ModuleType:
    path = Path(__file__).parents[1] / "reference" / "mediation_truth.py"
    spec = importlib.util.spec_from_file_location("mediation_truth", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["mediation_truth"] = module
    spec.loader.exec_module(module)
    return module


def random_edges(n: int, rng: np.random.Generator) -> list[tuple[int, str, int]]:
    order, arrows, arcs = rng.permutation(n), rng.uniform(0.4, 1), rng.uniform(0, 0.3)
    edges: list[tuple[int, str, int]] = []
    for i, j in itertools.combinations(range(n), 2):
        a, b = int(order[i]), int(order[j])
        edges += [(a, "-->", b)] * (rng.random() < arrows) + [(a, "<->", b)] * (rng.random() < arcs)
    return edges


def mixed(n: int, edges: list[tuple[int, str, int]]) -> ADMG:
    names = tuple(f"v{k}" for k in range(n))
    marks, bidirected = matrices_from_edges(names, [(names[a], edge, names[b]) for a, edge, b in edges])
    return ADMG(names, marks, bidirected=bidirected)


def numbered(steps: Any) -> list[tuple[int, str, int]]:
    return [(int(a[1:]), edge, int(b[1:])) for a, edge, b in steps]


def draw(rng: np.random.Generator, most: int) -> Any:
    """A graph, one treatment early on, its mediators, outcomes late and given nodes that it does not affect."""
    n = int(rng.integers(4, most + 1))
    edges = random_edges(n, rng)
    free = [int(v) for v in rng.permutation(n)]
    below = {v: reached(edges, v) for v in range(n)}
    x = max(free, key=lambda v: len(below[v]) + rng.random())
    free.remove(x)
    ys = sorted(free, key=lambda v: (v not in below[x], len(below[v]) + 2 * rng.random()))
    ys = ys[: 1 + int(rng.random() < 0.15)]
    rest = [v for v in free if v not in ys]
    ms = sorted(rest, key=lambda v: (v not in below[x], rng.random()))[: int(rng.integers(1, 3))]
    ws = [v for v in rest if v not in ms and v not in below[x]][: int(rng.random() < 0.4)]
    return n, edges, x, ys, ms, ws


def reached(edges: list[tuple[int, str, int]], start: int) -> set[int]:
    found = {start}
    while more := {b for a, edge, b in edges if edge == "-->" and a in found} - found:
        found |= more
    return found


def asked(case: Any, quantity: str) -> Mediated | NotMediated:
    n, edges, x, ys, ms, ws = case
    ws = [w for w in ws if quantity != "CDE" or not any(w in reached(edges, m) for m in ms)]
    return mediation(mixed(n, edges), f"v{x}", [f"v{y}" for y in ys], [f"v{m}" for m in ms], quantity,
                     [f"v{w}" for w in ws])


def verify(worlds: Any, case: Any, quantity: str, rng: np.random.Generator) -> str:
    """One question against the truth in a random model, or its witness by the checkers."""
    n, edges, x, ys, ms, _ = case
    answer = asked(case, quantity)
    if isinstance(answer, NotMediated):
        verify_witness(worlds, case, answer)
        return answer.code
    if answer.expression is None:
        units = worlds.random_units(n, edges, rng)
        assert answer.zero and max(np.abs(worlds.effect(units, x, y, ms, quantity)).max() for y in ys) == 0
        return "zero"
    units = worlds.random_units(n, edges, rng)
    names, joint = [f"v{k}" for k in range(n)], units.share(units.world({}), list(range(n)))
    outs, given = ([int(v[1:]) for v in group] for group in (answer.outcome, answer.given))
    for levels in itertools.product((0, 1), repeat=1 + len(ms) if quantity == "CDE" else 2):
        if quantity == "CDE":
            do = dict(zip((x, *ms), levels, strict=True))
            found = answer.distribution(joint, names, {f"v{k}": v for k, v in do.items()})
            there = units.world(do)
        else:
            found = answer.distribution(joint, names, levels[0], levels[1])
            there = units.nested(x, ms, *levels)
        expected = units.share(there, [*outs, *given])
        expected = expected / expected.sum(axis=tuple(range(len(outs))))
        assert np.abs(found - expected).max() < 1e-9, (case, quantity, str(answer))
    if answer.zero:
        assert max(np.abs(worlds.effect(units, x, y, ms, quantity)).max() for y in ys) == 0
    return "identified"


def verify_witness(worlds: Any, case: Any, answer: NotMediated) -> None:
    n, edges, x, ys, ms, _ = case
    if "direct" in answer.witness:
        steps = [numbered(answer.witness[key]) for key in ("direct", "through", "hidden")]
        targets = {*ys, *(int(w[1:]) for w in answer.given)}
        assert worlds.is_recanting(edges, x, targets, set(ms), *steps), (case, answer)
    if "hedge" in answer.witness:
        hedge = Hedge(**answer.witness["hedge"])
        assert is_hedge(mixed(n, edges), hedge, hedge.treatment, hedge.outcome)
        assert set(hedge.treatment) <= {f"v{k}" for k in (x, *ms)} | set(answer.given)
    assert (answer.code == "hedge") == ("hedge" in answer.witness)
    json.dumps(answer.to_dict())


def sweep(worlds: Any, count: int, seed: int, most: int) -> dict[str, int]:
    rng, seen = np.random.default_rng(seed), {}
    for _ in range(count):
        case = draw(rng, most)
        code = verify(worlds, case, QUANTITIES[rng.integers(5)], rng)
        seen[code] = seen.get(code, 0) + 1
    return seen


def test_random_mixed_graphs(worlds: Any) -> None:
    seen = sweep(worlds, 400, 5, 5)
    assert seen["identified"] > 150 and min(seen[k] for k in ("recanting_witness", "recanting_district", "hedge")) >= 5


@pytest.mark.slow
def test_five_thousand_random_mixed_graphs(worlds: Any) -> None:
    seen = sweep(worlds, 5000, 6, 6)
    assert seen["identified"] > 1500
    assert min(seen[k] for k in ("recanting_witness", "recanting_district", "hedge")) > 100


def apart(worlds: Any, case: Any, quantity: str, answer: NotMediated, rng: np.random.Generator) -> bool | None:
    """Whether two models with one observed distribution differ in the quantity; None when none could be computed."""
    n, edges, x, (y, *_), ms, _ = case
    if "hedge" in answer.witness:
        start, kept = int(answer.witness["hedge"]["inner"][0][1:]), edges
    else:
        start = numbered(answer.witness["direct"])[0][2]
        kept = [e for e in edges if not (e[1] == "<->" and x in (e[0], e[2])) and e[2] != x]
    tried = None
    for _ in range(60):
        found = worlds.two_models(n, kept, x, y, ms, quantity, start, rng)
        if found is not None:
            assert found[2] < 1e-7
            tried = found[1] - found[0] > 1e-4
        if tried:
            break
    return tried


def refusals(worlds: Any, count: int, seed: int) -> list[bool]:
    rng, found = np.random.default_rng(seed), []
    while len(found) < count:
        n, edges, x, ys, ms, _ = draw(rng, 4)
        case, quantity = (n, edges, x, ys[:1], ms, []), QUANTITIES[rng.integers(5)]
        answer = asked(case, quantity)
        result = apart(worlds, case, quantity, answer, rng) if isinstance(answer, NotMediated) else None
        if result is not None:
            assert result, (case, quantity, str(answer))
            found.append(result)
    return found


def test_what_is_refused_differs_between_models_with_the_same_data(worlds: Any) -> None:
    assert len(refusals(worlds, 40, 8)) == 40


@pytest.mark.slow
def test_a_thousand_refusals_are_right(worlds: Any) -> None:
    assert len(refusals(worlds, 1000, 9)) == 1000


# Graphs of the textbooks


@pytest.mark.parametrize("text, mediators, expected", [
    (SIMPLE, "m", "sum over m of P(y | m, x) * P(m | x')"),
    # Pearl (2001), equation 19: a measured set blocks what the mediator and the outcome share.
    (SIMPLE + "; w --> m; w --> y", "m", "sum over m, w of P(y | m, w, x) * P(m | w, x') * P(w)"),
    (CONFOUNDED, "m", "sum over c, m of P(y | c, m, x) * P(m | c, x') * P(c)"),
    # Pearl (2014), figure 5: two covariates, each on one side, where no single set does everything.
    (SIMPLE + "; a --> x; a --> m; b --> m; b --> y", "m", None),
    # Hidden confounding of treatment and mediator that a measured cause of the mediator carries.
    (SIMPLE + "; x <-> w; w --> m", "m", None),
    # The front door: nothing past the mediator, in spite of x <-> y.
    ("x --> m; m --> y; x <-> y", "m", "sum over m of [sum over x of P(y | m, x) * P(x)] * P(m | x')"),
    ("x --> m; m --> n; m --> y; n --> y; x --> y; x --> n", ["m", "n"],
     "sum over m, n of P(y | m, n, x) * P(n, m | x')"),
])
def test_identified_graphs(worlds: Any, text: str, mediators: Any, expected: str | None) -> None:
    answer = mediation(text, "x", "y", mediators)
    assert isinstance(answer, Mediated) and answer.expression is not None
    if expected is not None:
        assert answer.expression.text() == expected
    if not answer.zero:
        assert any("No data can test this" in said for said in answer.assumptions)


@pytest.mark.parametrize("text, code, controlled", [
    (SIMPLE + "; m <-> y", "recanting_district", False),
    (INDUCED, "recanting_witness", True),
    (SIMPLE + "; x --> z; z --> y; z <-> m", "recanting_district", True),
    (SIMPLE + "; x <-> m", "hedge", True),
    (SIMPLE + "; x <-> y", "hedge", False),
    (SIMPLE + "; m <-> w; w <-> y; w --> y", "recanting_district", False),
])
def test_refused_graphs(text: str, code: str, controlled: bool) -> None:
    answer = mediation(text, "x", "y", "m")
    assert isinstance(answer, NotMediated) and not answer
    assert (answer.code, answer.controlled) == (code, controlled)
    assert ("quantity='CDE'" in answer.remedy) == controlled
    assert isinstance(mediation(text, "x", "y", "m", "CDE"), Mediated if controlled else NotMediated)


def test_remedies_are_tried_before_they_are_said() -> None:
    induced = mediation(INDUCED, "x", "y", "m")
    assert "m and z together" in str(induced) and isinstance(mediation(INDUCED, "x", "y", ["m", "z"]), Mediated)
    assert "hidden common cause of m and y" in str(mediation(SIMPLE + "; m <-> y", "x", "y", "m"))
    both = mediation(SIMPLE + "; x <-> y; m <-> y", "x", "y", "m")
    assert "No single further measurement" in str(both)


def test_latent_nodes_are_projected_out_and_offered(make: Any) -> None:
    text = "x --> m; m --> y; x --> y; u --> m; u --> y"
    answer = mediation(make(text, hidden=["u"]), "x", "y", "m")
    assert isinstance(answer, NotMediated) and answer.code == "recanting_district"
    assert "Measuring u would make it identified" in answer.remedy
    treated = mediation(make(text + "; x --> u", hidden=["u"]), "x", "y", "m")
    assert isinstance(treated, NotMediated) and "Measuring" not in treated.remedy


# Numbers


def test_the_mediation_formula_and_its_parts(worlds: Any) -> None:
    edges = [(0, "-->", 1), (1, "-->", 2), (0, "-->", 2), (3, "-->", 0), (3, "-->", 1), (3, "-->", 2)]
    units = worlds.random_units(4, edges, np.random.default_rng(2))
    joint = units.share(units.world({}), [0, 1, 2, 3])
    for quantity in QUANTITIES[1:]:
        answer = mediation(CONFOUNDED, "x", "y", "m", quantity)
        assert isinstance(answer, Mediated)
        parts = answer.effects(joint, ("x", "m", "y", "c"), values=(10.0, 30.0))
        for name, attribute in (("NDE", "natural_direct"), ("NIE", "natural_indirect"), ("TDE", "total_direct"),
                                ("TIE", "total_indirect")):
            truth = 20 * float(units.weights @ worlds.effect(units, 0, 2, [1], name))
            assert getattr(parts, attribute) == pytest.approx(truth, abs=1e-9)
        assert parts.natural_direct + parts.total_indirect == pytest.approx(parts.total, abs=1e-9)
        assert parts.natural_indirect + parts.total_direct == pytest.approx(parts.total, abs=1e-9)
        assert abs(parts.gap) < 1e-9
        assert parts.proportion_mediated == pytest.approx(parts.total_indirect / parts.total)


def test_a_joint_against_the_graph_leaves_a_gap() -> None:
    joint = np.random.default_rng(3).dirichlet(np.ones(8)).reshape(2, 2, 2)
    chain = mediation("x --> m; m --> y", "x", "y", "m", "NIE")
    assert isinstance(chain, Mediated)
    parts = chain.effects(joint, "xmy")
    p = joint.sum(axis=1) / joint.sum(axis=(1, 2))[:, None]
    assert parts.total == pytest.approx(p[1, 1] - p[0, 1]) and abs(parts.gap) > 0.01
    follows = np.einsum("x,xm,my->xmy", joint.sum(axis=(1, 2)), joint.sum(axis=2) / joint.sum(axis=(1, 2))[:, None],
                        joint.sum(axis=0) / joint.sum(axis=(0, 2))[:, None])
    parts = chain.effects(follows, "xmy")
    assert abs(parts.gap) < 1e-12 and abs(parts.natural_direct) < 1e-12


def test_a_treatment_with_three_levels_and_no_effect() -> None:
    joint = np.einsum("a,b,c->abc", [0.2, 0.3, 0.5], [0.4, 0.6], [0.1, 0.2, 0.7])
    answer = mediation(SIMPLE, "x", "y", "m")
    assert isinstance(answer, Mediated)
    parts = answer.effects(joint, "xmy", treated=2, control=1)
    assert parts.total == pytest.approx(0, abs=1e-12) and parts.proportion_mediated is None
    assert answer.distribution(joint, "xmy", 2, 0) == pytest.approx([0.1, 0.2, 0.7])


def test_zero_by_the_graph_is_said() -> None:
    aside = mediation("x --> y; x --> m; k --> y", "x", "y", ["m", "k"], "NIE")
    assert isinstance(aside, Mediated) and aside.zero
    assert "k and m carry none" in aside.note and "indirect effects are zero" in aside.note
    alone = mediation("x --> m; m --> y; x <-> m", "x", "y", "m", "NDE")
    assert isinstance(alone, Mediated) and alone.zero and alone.expression is None
    with pytest.raises(WhenceError) as error:
        alone.distribution(np.ones((2, 2, 2)), "xmy", 1, 0)
    assert error.value.code == "no_distribution"
    nothing = mediation("y --> x; x --> m", "x", "y", "m", "TIE")
    assert isinstance(nothing, Mediated) and "does not affect y at all" in nothing.note


def test_notations_and_showing() -> None:
    answer = mediation(SIMPLE, "x", "y", "m", "NIE")
    assert isinstance(answer, Mediated) and answer.expression is not None
    assert answer.estimand.text() == "P(y(x', m(x)))" and answer.expression.unicode() == "Σ_{m} P(y | m, x′) P(m | x)"
    assert answer.estimand.latex() == "P(y_{x', m_{x}})"
    assert answer.expression.latex() == r"\sum_{m} P(y \mid m, x') \, P(m \mid x)"
    assert "through m is identified (NIE)" in str(answer) and "<svg" in answer._repr_html_()
    assert "direct" in answer._repr_html_()
    json.dumps(answer.to_dict())
    with pytest.raises(WhenceError) as error:
        answer.expression.evaluate(np.full((2, 2, 2), 1 / 8), ("x", "m", "y"))
    assert error.value.code == "second_value"
    assert "Not identified" in mediation(INDUCED, "x", "y", "m")._repr_html_()


def test_the_controlled_effect_at_levels_of_the_mediators() -> None:
    rng = np.random.default_rng(5)
    joint = rng.random((2, 3, 2, 2))  # x, m, n, y
    answer = identify("x --> m; x --> n; m --> y; n --> y; x --> y", "x", "y", quantity="CDE", mediators=["m", "n"])
    assert isinstance(answer, Mediated)
    p = joint[..., 1] / joint.sum(axis=3)
    for m, n in itertools.product(range(3), range(2)):
        found = answer.controlled_effect(joint, "xmny", {"n": n, "m": m}, values=(0, 10))
        assert found == pytest.approx(10 * (p[1, m, n] - p[0, m, n]), abs=1e-12)
    for at, code in (({"m": 0}, "bad_level"), (0, "bad_level"), ({"m": 3, "n": 0}, "bad_level"),
                     ({"m": 0, "n": 0, "x": 1}, "bad_level")):
        with pytest.raises(WhenceError) as error:
            answer.controlled_effect(joint, "xmny", at)
        assert error.value.code == code
    with pytest.raises(WhenceError) as error:
        answer.controlled_effect(joint, "xmqy", {"m": 0, "n": 0})
    assert error.value.code == "unknown_variable"
    none = mediation("x --> m; m --> y; m <-> y", "x", "y", "m", "CDE")
    assert isinstance(none, Mediated) and none.zero and none.controlled_effect(joint[:, :, 0], "xmy", 0) == 0
    with pytest.raises(WhenceError) as error:
        mediation(SIMPLE, "x", "y", "m").controlled_effect(joint[:, :, 0], "xmy", 0)
    assert error.value.code == "unsupported_quantity"


def test_identify_answers_with_the_part() -> None:
    for quantity in QUANTITIES:
        one, other = identify(SIMPLE, "x", "y", quantity=quantity, mediators="m"), mediation(
            SIMPLE, "x", "y", "m", quantity)
        assert isinstance(one, Mediated) and str(one) == str(other)
    given = identify(CONFOUNDED, "x", "y", "c", "NDE", mediators="m")
    assert isinstance(given, Mediated) and given.given == ("c",)
    assert isinstance(identify(INDUCED, "x", "y", quantity="NDE", mediators="m"), NotMediated)


@pytest.mark.parametrize("arguments, code", [
    ({"quantity": "NDE"}, "missing_role"), ({"mediators": "m"}, "unsupported_quantity"),
    ({"quantity": "NDE", "mediators": ()}, "missing_role"), ({"quantity": "NXE", "mediators": "m"}, "unknown_quantity"),
    ({"quantity": "NDE", "mediators": "m", "strategy": "adjustment"}, "unknown_strategy"),
    ({"quantity": "NXE"}, "unknown_quantity"),
])
def test_identify_with_bad_mediators(arguments: Any, code: str) -> None:
    with pytest.raises(WhenceError) as error:
        identify(SIMPLE, "x", "y", **arguments)
    assert error.value.code == code


def test_the_answer_does_not_depend_on_the_order_of_nodes() -> None:
    rng = np.random.default_rng(4)
    for _ in range(40):
        edges = random_edges(5, rng)
        graph, p = mixed(5, edges), rng.permutation(5)
        moved = ADMG(tuple(graph.names[k] for k in p), graph.marks[np.ix_(p, p)],
                     bidirected=graph.bidirected[np.ix_(p, p)])
        one, other = (mediation(g, "v0", "v1", ["v3", "v2"]) for g in (graph, moved))
        assert str(one) == str(other)


@pytest.mark.parametrize("arguments, code", [
    (("x", "q", "m"), "unknown_node"), (("x", "y", "x"), "role_conflict"), (("x", "y", "y"), "role_conflict"),
    (("x", "y", ()), "missing_role"), ((["x", "m"], "y", "m"), "several_nodes"),
    (("x", "y", ["m", "m"]), "role_conflict"),
    (("x", "y", "m", "ATE"), "unknown_quantity"), (("x", "y", "m", "NDE", "z"), "given_after_treatment"),
    (("x", "y", "m", "NDE", "m"), "role_conflict"),
])
def test_bad_questions(arguments: Any, code: str) -> None:
    with pytest.raises(WhenceError) as error:
        mediation(INDUCED, *arguments)
    assert error.value.code == code


def test_bad_numbers() -> None:
    joint = np.full((2, 2, 2), 1 / 8)
    natural, controlled = mediation(SIMPLE, "x", "y", "m"), mediation(SIMPLE, "x", "y", "m", "CDE")
    assert isinstance(natural, Mediated) and isinstance(controlled, Mediated)
    lone = joint.copy()
    lone[1, 1] = 0
    for call, code in (
        (lambda: natural.distribution(joint, "xmy", 1), "bad_level"),
        (lambda: natural.distribution(joint, "xmy", 1, 2), "bad_level"),
        (lambda: controlled.distribution(joint, "xmy", {"x": 1, "m": 1}, 1), "bad_level"),
        (lambda: controlled.distribution(joint, "xmy", 1), "bad_level"),
        (lambda: natural.distribution(joint, "xmq", 1, 0), "unknown_variable"),
        (lambda: natural.distribution(lone, "xmy", 1, 0), "positivity"),
        (lambda: natural.effects(joint, "xmy", values=(1, 2, 3)), "bad_values"),
        (lambda: controlled.effects(joint, "xmy"), "unsupported_quantity"),
    ):
        with pytest.raises(WhenceError) as error:
            call()
        assert error.value.code == code
    class_of_graphs = pytest.importorskip("whence").graph("x --- m; m --- y")
    with pytest.raises(WhenceError) as error:
        mediation(class_of_graphs, "x", "y", "m")
    assert error.value.code == "unsupported_graph"
