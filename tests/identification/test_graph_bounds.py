"""Bounds from a graph against closed forms, truths in random hidden-variable models, and models that reach the ends."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.core.result import Refused, to_plain
from whence.graphs.bits import ones
from whence.graphs.classes import DAG
from whence.identification import factors as parts
from whence.identification.bounds import Bounded, instrument_bounds, monotone_bounds
from whence.identification.district_program import Program, program
from whence.identification.factors import Factors, factor, factors, question
from whence.identification.graph_bounds import graph_bounds
from whence.identification.linear_program import least

SOLVER = 1e-7
INSTRUMENT = "Z --> X; X --> Y; X <-> Y"


def bounded(answer: Bounded | Refused) -> Bounded:
    assert isinstance(answer, Bounded), str(answer)
    return answer


def ends(answer: Bounded | Refused) -> tuple[float, float]:
    found = bounded(answer)
    return found.lower, found.upper


def instrument_joint(rng: np.random.Generator, shape: tuple[int, int, int], defiers: bool = True) -> np.ndarray:
    """P(z, x, y) of a random law of response types."""
    nz, nx, ny = shape
    joint = np.zeros(shape)
    takes = [t for t in itertools.product(range(nx), repeat=nz) if defiers or list(t) == sorted(t)]
    kinds = list(itertools.product(takes, itertools.product(range(ny), repeat=nx)))
    weights = rng.dirichlet(np.full(nz, 5.0))
    for share, (take, has) in zip(rng.dirichlet(np.full(len(kinds), 0.3)), kinds, strict=True):
        for z in range(nz):
            joint[z, take[z], has[take[z]]] += weights[z] * share
    return joint


# Closed forms and known cases


@pytest.mark.parametrize("shape", [(2, 2, 2), (3, 2, 2), (2, 3, 2), (2, 2, 3)])
def test_an_instrument_is_balke_and_pearl(shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(1)
    for _ in range(6):
        joint, top = instrument_joint(rng, shape), shape[1] - 1
        answer = graph_bounds(INSTRUMENT, joint, "ZXY", "X", "Y", treated=top)
        known = instrument_bounds(joint, treated=top)
        assert ends(answer) == pytest.approx(ends(known), abs=SOLVER)
        assert bounded(answer).sharp and bounded(answer).evidence["duality_gap"] < SOLVER
        for arm in ("treated", "control"):
            assert bounded(answer).arms[arm] == pytest.approx(bounded(known).arms[arm], abs=SOLVER)


def test_a_binary_instrument_has_sixteen_types() -> None:
    answer = bounded(graph_bounds(INSTRUMENT, instrument_joint(np.random.default_rng(2), (2, 2, 2)), "ZXY", "X", "Y"))
    assert answer.evidence["response_types"] == 16 and answer.evidence["district"] == ["X", "Y"]


def test_an_instrument_that_shares_a_hidden_cause_with_the_treatment_bounds_as_well() -> None:
    """Z is still independent of the outcome's types; the bounds of Balke and Pearl rest on nothing else of it."""
    rng = np.random.default_rng(3)
    for _ in range(5):
        joint = instrument_joint(rng, (2, 2, 2))
        answer = graph_bounds(INSTRUMENT + "; Z <-> X", joint, "ZXY", "X", "Y")
        assert ends(answer) == pytest.approx(ends(instrument_bounds(joint)), abs=SOLVER)
        assert bounded(answer).sharp


def test_without_defiers_it_is_the_monotone_instrument() -> None:
    rng = np.random.default_rng(4)
    for _ in range(6):
        joint = instrument_joint(rng, (3, 2, 2), defiers=False)
        answer = graph_bounds(INSTRUMENT, joint, "ZXY", "X", "Y", monotone={("Z", "X"): "increasing"})
        assert ends(answer) == pytest.approx(ends(instrument_bounds(joint, monotone=True)), abs=SOLVER)
        assert "Nobody's X falls as Z rises" in bounded(answer).assumptions[1]


@pytest.mark.parametrize("levels", [2, 3])
@pytest.mark.parametrize("response", [None, "increasing", "decreasing"])
def test_a_confounded_arrow_is_manski(levels: int, response: Any) -> None:
    rng = np.random.default_rng(5)
    for _ in range(4):
        joint = rng.dirichlet(np.ones(levels * 3)).reshape(levels, 3)
        monotone = {("X", "Y"): response} if response else None
        answer = graph_bounds("X --> Y; X <-> Y", joint, "XY", "X", "Y", treated=levels - 1, monotone=monotone)
        known = monotone_bounds(joint, treated=levels - 1, response=response)
        assert ends(answer) == pytest.approx(ends(known), abs=SOLVER)


def test_an_instrument_within_levels_of_a_cause_is_averaged_over_them() -> None:
    """With W --> Z, X, Y measured and unconfounded the bounds are those within each level of W, averaged."""
    rng = np.random.default_rng(6)
    share = np.array([0.3, 0.7])
    each = [instrument_joint(rng, (2, 2, 2)) for _ in share]
    joint = np.stack([w * p for w, p in zip(share, each, strict=True)])
    graph = INSTRUMENT + "; W --> Z; W --> X; W --> Y"
    lower, upper = np.array([ends(instrument_bounds(p)) for p in each]).T @ share
    assert ends(graph_bounds(graph, joint, "WZXY", "X", "Y")) == pytest.approx((lower, upper), abs=SOLVER)


def test_a_measured_sign_of_the_hidden_cause_narrows_the_bounds() -> None:
    """A node that shares the hidden cause but does not affect the outcome still tells: here it shows the type."""
    rng = np.random.default_rng(7)
    shares = rng.dirichlet(np.ones(16)).reshape(4, 2, 2)
    joint = np.zeros((2, 2, 2, 4))  # Z, X, Y, and the treatment's type
    for kind, y0, y1 in np.ndindex(4, 2, 2):
        for z in (0, 1):
            x = (kind >> z) & 1
            joint[z, x, (y0, y1)[x], kind] += 0.5 * shares[kind, y0, y1]
    graph = INSTRUMENT + "; T <-> X; T <-> Y"
    with_type = bounded(graph_bounds(graph, joint, "ZXYT", "X", "Y"))
    without = bounded(graph_bounds(INSTRUMENT, joint.sum(axis=3), "ZXY", "X", "Y"))
    never, always = shares[0].sum(), shares[3].sum()
    assert with_type.width == pytest.approx(never + always, abs=SOLVER)  # only their other arm is never seen
    assert with_type.width < without.width - 0.01


def test_the_front_door_and_adjustment_are_points() -> None:
    joint = np.array([0.5, 0.1, 0.01, 0.02, 0.1, 0.05, 0.02, 0.2]).reshape(2, 2, 2)
    answer = bounded(graph_bounds("S --> T; T --> C; S <-> C", joint, "STC", "S", "C"))
    assert ends(answer) == pytest.approx([0.54229730 - 0.25347763] * 2, abs=2e-8)
    assert answer.method == "identified"


def test_a_level_that_never_occurs_leaves_its_outcome_open() -> None:
    answer = bounded(graph_bounds("X --> Y", np.array([[0.3, 0.7], [0.0, 0.0]]), "XY", "X", "Y"))
    assert answer.arms["treated"] == pytest.approx((0.0, 1.0)) and answer.arms["control"] == pytest.approx((0.7, 0.7))


def test_one_probability_alone() -> None:
    joint = instrument_joint(np.random.default_rng(8), (2, 2, 3))
    answer = bounded(graph_bounds(INSTRUMENT, joint, "ZXY", "X", "Y", control=None, values=(0, 0, 1)))
    known = bounded(instrument_bounds(joint, values=(0, 0, 1)))
    assert (answer.lower, answer.upper) == pytest.approx(known.arms["treated"], abs=SOLVER)
    assert answer.quantity == "E[Y | do(X = 1)]" and answer.control is None and set(answer.arms) == {"treated"}


# Truth in random models


def random_model(truth: Any, rng: np.random.Generator, n: int) -> tuple[DAG, Any, list[np.ndarray], int, int]:
    """A DAG with hidden causes of two or three nodes each, tables, and a treatment that may affect the outcome."""
    while True:
        dag = [list(p) for p in truth.random_dag(n, rng.uniform(1.2, 2.6), rng)]
        hidden = int(rng.integers(1, 3))
        for h in range(hidden):
            dag.append([])
            for v in rng.choice(n, size=min(n, int(rng.integers(2, 4))), replace=False):
                dag[v].append(n + h)
        parents = tuple(tuple(p) for p in dag)
        x, y = (int(v) for v in rng.permutation(n)[:2])
        if y in truth.descendants(parents, {x}):
            break
    tables = truth.random_tables(parents, [2] * n + [3] * hidden, rng)
    power = rng.choice((1, 6))
    tables = [t**power / (t**power).sum(axis=v, keepdims=True) for v, t in enumerate(tables)]
    marks = np.zeros((len(parents),) * 2, dtype=np.int8)
    for v, p in enumerate(parents):
        for u in p:
            marks[u, v], marks[v, u] = 2, 3
    names = tuple(f"v{k}" for k in range(len(parents)))
    return DAG(names, marks, frozenset(names[n:])), parents, tables, x, y


def check_truth(truth: Any, seed: int, n: int, count: int) -> tuple[int, int]:
    rng, sharp, wide = np.random.default_rng(seed), 0, 0
    for _ in range(count):
        graph, _, tables, x, y = random_model(truth, rng, n)
        joint = truth.product(tables).sum(axis=tuple(range(n, len(tables))))
        answer = graph_bounds(graph, joint, graph.names[:n], f"v{x}", f"v{y}")
        if isinstance(answer, Refused):
            assert answer.code == "too_many_types"
            continue
        mean = [float(truth.intervened(tables, {x: level}).sum(axis=tuple(v for v in range(len(tables)) if v != y))[1])
                for level in (1, 0)]
        assert answer.lower - SOLVER <= mean[0] - mean[1] <= answer.upper + SOLVER
        for arm, value in zip(("treated", "control"), mean, strict=True):
            low, high = answer.arms[arm]
            assert low - SOLVER <= value <= high + SOLVER
        sharp += answer.sharp
        wide += answer.width > 0.01
    return sharp, wide


@pytest.mark.parametrize(("n", "count"), [(3, 60), (4, 30)])
def test_the_truth_is_inside(truth: Any, n: int, count: int) -> None:
    sharp, wide = check_truth(truth, n, n, count)
    assert sharp > count / 2 and wide > count / 4


@pytest.mark.slow
@pytest.mark.parametrize(("n", "count"), [(3, 1500), (4, 700), (5, 120)])
def test_the_truth_is_inside_at_length(truth: Any, n: int, count: int) -> None:
    check_truth(truth, 100 + n, n, count)


def test_where_the_effect_is_identified_the_program_finds_the_point(truth: Any, monkeypatch: Any) -> None:
    rng, tried = np.random.default_rng(11), 0
    for _ in range(150):
        graph, _, tables, x, y = random_model(truth, rng, 4)
        joint = truth.product(tables).sum(axis=tuple(range(4, len(tables))))
        asked = question(graph, f"v{x}", f"v{y}")
        known = factors(asked, joint, np.array([0.0, 1.0]), (1, 0))
        whole = parts.districts(asked.bits, 15)
        proper = [d for d in whole if 0 < (d & known.needed) != d]
        if known.open or len(proper) != 1:
            continue
        hidden = proper[0] & known.needed
        monkeypatch.setattr(parts, "factor", lambda a, t, s, h=hidden: None if s == h else factor(a, t, s))
        opened = factors(asked, joint, np.array([0.0, 1.0]), (1, 0))
        monkeypatch.setattr(parts, "factor", factor)
        assert opened.open == (proper[0],)
        built = program(opened, {})
        point = known.rest[0].sum() - known.rest[1].sum()
        low, high = built.costs[0]
        below, above = least(built.matrix, built.target, low), least(built.matrix, built.target, -high)
        assert below is not None and above is not None
        assert (below.value, -above.value) == pytest.approx((point, point), abs=SOLVER)
        tried += 1
    assert tried > 15


# Sharpness: a model for each end


def test_a_model_reaches_each_end(truth: Any) -> None:
    rng, tried = np.random.default_rng(12), 0
    for _ in range(60):
        graph, _, tables, x, y = random_model(truth, rng, 4)
        joint = truth.product(tables).sum(axis=tuple(range(4, len(tables))))
        found = factors(question(graph, f"v{x}", f"v{y}"), joint, np.array([0.0, 1.0]), (1, 0))
        if not found.open or not found.sharp:
            continue
        built = program(found, {})
        for cost, sign in ((built.costs[0][0], 1), (-built.costs[0][1], -1)):
            solved = least(built.matrix, built.target, cost)
            assert solved is not None
            observed, means = rebuilt(found, built, solved.at, sign)
            assert np.abs(observed - joint).max() < SOLVER
            assert means[0] - means[1] == pytest.approx(sign * solved.value, abs=SOLVER)
        tried += 1
    assert tried > 15


def rebuilt(found: Factors, built: Program, shares: np.ndarray, sign: int) -> tuple[np.ndarray, list[float]]:
    """The joint and the means under both arms of a model with these shares, one type and one cell at a time.

    Nodes of the open district answer by their type's functions; the others draw from P(v | earlier ones) in the joint.
    """
    asked, inside, table = found.asked, found.district, found.table
    n = table.ndim
    others = (1 << n) - 1 & ~inside
    rest = factor(asked, table, others) if others else np.ones((1,) * n)
    assert rest is not None
    observed, means = np.zeros(table.shape), [0.0, 0.0]
    for column in np.flatnonzero(shares > 1e-12):
        of = np.flatnonzero(built.column == column)
        one = of[np.argmin(sign * built.effects[0][of])]
        answer = functions(found, built, built.answers[one])
        for arm in (None, 0, 1):
            for cell in itertools.product(*(range(k) for k in table.shape)):
                if arm is not None and cell[asked.x] != found.arms[arm]:
                    continue
                settings = {v: tuple(cell[p] for p in ones(asked.bits.parents[v])) for v in built.order}
                if any(answer[v].get(settings[v], 0) != cell[v] for v in built.order if arm is None or v != asked.x):
                    continue
                if arm is None:
                    observed[cell] += shares[column] * at_cell(rest, cell)
                else:
                    means[arm] += shares[column] * outside_chance(found, cell) * cell[asked.y]
    return observed, means


def outside_chance(found: Factors, cell: tuple[int, ...]) -> float:
    """The chance of a cell's nodes outside the open district, but for the treatment, when all others are set."""
    asked = found.asked
    nodes = (1 << len(cell)) - 1 & ~found.district  # the treatment is always in it
    if not nodes:
        return 1.0
    chance = factor(asked, found.table, nodes)
    assert chance is not None
    return at_cell(chance, cell)


def at_cell(chance: np.ndarray, cell: tuple[int, ...]) -> float:
    return float(chance[tuple(min(c, size - 1) for c, size in zip(cell, chance.shape, strict=True))])


def functions(found: Factors, built: Program, levels: np.ndarray) -> dict[int, dict[tuple[int, ...], int]]:
    """Per node of the district its level for each setting of its parents that some world shows."""
    at = {v: k for k, v in enumerate(built.order)}
    out: dict[int, dict[tuple[int, ...], int]] = {v: {} for v in built.order}
    for w, world in enumerate(built.worlds):
        level = dict(world.fixed) | {v: int(levels[w, at[v]]) for v in world.read}
        for v in world.read:
            setting = tuple(level[p] for p in ones(found.asked.bits.parents[v]))
            assert out[v].setdefault(setting, level[v]) == level[v]
    return out


# What does not fit


def test_a_broken_instrument_is_contradicted_by_how_much() -> None:
    joint = np.zeros((2, 2, 2))
    joint[0, 1, 0] = joint[1, 1, 1] = 0.5  # the treatment is constant and the outcome follows the instrument
    answer = graph_bounds(INSTRUMENT, joint, "ZXY", "X", "Y")
    assert isinstance(answer, Refused) and answer.code == "contradicted"
    known = instrument_bounds(joint)
    assert isinstance(known, Refused)
    assert answer.evidence["smallest_change"] == pytest.approx(known.evidence["smallest_change"], abs=SOLVER)
    near = bounded(graph_bounds(INSTRUMENT, joint, "ZXY", "X", "Y", nearest=True))
    assert "nearest to it" in near.note and near.evidence["smallest_change"] == pytest.approx(2.0, abs=1e-6)


def test_a_missing_independence_is_contradicted() -> None:
    rng = np.random.default_rng(16)
    joint = rng.dirichlet(np.ones(8)).reshape(2, 2, 2)
    answer = graph_bounds("A --> X; X --> Y", joint, "AXY", "X", "Y")  # A still tells of Y given X
    assert isinstance(answer, Refused) and answer.code == "contradicted" and answer.evidence["smallest_change"] > 0.1
    near = bounded(graph_bounds("A --> X; X --> Y", joint, "AXY", "X", "Y", nearest=True))
    seen = joint.sum(axis=0)
    assert near.lower == pytest.approx(seen[1, 1] / seen[1].sum() - seen[0, 1] / seen[0].sum())
    assert "replaced" in near.note


def test_a_sample_is_near_the_truth() -> None:
    rng = np.random.default_rng(13)
    joint = instrument_joint(rng, (2, 2, 2))
    counts = rng.multinomial(20_000, joint.ravel()).reshape(joint.shape)
    answer = graph_bounds(INSTRUMENT, counts, "ZXY", "X", "Y", nearest=True)
    assert ends(answer) == pytest.approx(ends(graph_bounds(INSTRUMENT, joint, "ZXY", "X", "Y")), abs=0.03)


def test_several_hidden_causes_in_one_district_are_valid_but_not_called_sharp() -> None:
    graph = "A --> X; X --> M; M --> Y; X <-> M; M <-> Y"
    rng = np.random.default_rng(14)
    x, m, y = (rng.dirichlet((1, 1), size) for size in ((2, 2), (2, 2, 2), (2, 2)))  # given a, u; x, u, w; m, w
    joint = np.einsum("aux,xuwm,mwy->axmy", x, m, y) / 8
    answer = bounded(graph_bounds(graph, joint, "AXMY", "X", "Y"))
    assert not answer.sharp and "No single hidden cause reaches all of M, X and Y" in answer.note
    whole = bounded(graph_bounds(graph + "; X <-> Y", joint, "AXMY", "X", "Y"))
    assert whole.sharp and whole.lower - SOLVER <= answer.lower <= answer.upper <= whole.upper + SOLVER


def test_districts_left_open_by_levels_that_never_occur_are_taken_as_one() -> None:
    joint = np.zeros((2, 2, 2))
    joint[0, 0] = 0.4, 0.6
    answer = bounded(graph_bounds("X --> M; M --> Y", joint, "XMY", "X", "Y"))
    assert answer.arms["treated"] == pytest.approx((0, 1), abs=SOLVER)
    assert answer.arms["control"] == pytest.approx((0.6, 0.6), abs=SOLVER)
    assert not answer.sharp and "never occur" in answer.note


def test_too_many_types_are_refused_with_the_number() -> None:
    joint = np.ones((9, 4, 4)) / 144
    answer = graph_bounds(INSTRUMENT, joint, "ZXY", "X", "Y")
    assert isinstance(answer, Refused) and answer.code == "too_many_types" and answer.evidence["types"] > 200_000


def test_the_order_of_the_axes_does_not_matter_and_it_is_plain() -> None:
    joint = instrument_joint(np.random.default_rng(15), (2, 2, 2))
    one = bounded(graph_bounds(INSTRUMENT, joint, "ZXY", "X", "Y"))
    other = bounded(graph_bounds("X <-> Y; X --> Y; Z --> X", joint.transpose(2, 0, 1), "YZX", "X", "Y"))
    assert one == other
    plain: Any = to_plain(one)
    assert plain["evidence"]["response_types"] == 16 and plain["sharp"] is True


@pytest.mark.parametrize(("change", "code"), [
    ({"joint": -np.ones((2, 2, 2))}, "bad_joint"), ({"names": "ZX"}, "bad_joint"),
    ({"names": "ZXW"}, "unknown_variable"),
    ({"treatment": "Q"}, "unknown_node"), ({"outcome": "X"}, "role_conflict"), ({"treated": 2}, "bad_level"),
    ({"treated": 0}, "bad_level"), ({"values": (1.0,)}, "bad_values"),
    ({"graph": "Z --- X; X --- Y"}, "unsupported_graph"),
    ({"monotone": {("Z", "Y"): "increasing"}}, "no_edge"), ({"monotone": {("Z", "X"): "up"}}, "unknown_direction"),
])
def test_bad_input(change: dict[str, Any], code: str) -> None:
    given: dict[str, Any] = {"graph": INSTRUMENT, "joint": np.ones((2, 2, 2)), "names": "ZXY", "treatment": "X",
                             "outcome": "Y"}
    with pytest.raises(WhenceError) as error:
        graph_bounds(**(given | change))
    assert error.value.code == code
