"""Controls for parts of an effect: on random graphs the usual formula with them agrees with the identified one."""

from __future__ import annotations

import itertools

import numpy as np

from whence.core.result import Refused
from whence.graphs.build import graph
from whence.identification.mediated import Mediated
from whence.identification.mediation import mediation
from whence.identification.mediation_adjustment import controls_for, fits, spoiled
from whence.identification.spec import Spec

NAMES = ("x", "m", "y", "a", "b")


def random_model(rng: np.random.Generator) -> tuple[str, np.ndarray]:
    """Edges in text, and the joint (2, ...) over ``NAMES`` of binary nodes with random chances."""
    order = [str(name) for name in rng.permutation(NAMES)]
    order.sort(key=lambda name: {"x": 0.3, "m": 0.6, "y": 0.9}.get(name, rng.random()))
    edges, joint = [], np.ones((2,) * 5)
    for k, name in enumerate(order):
        parents = [p for p in order[:k] if rng.random() < 0.55]
        edges += [f"{p} --> {name}" for p in parents]
        chance = 0.1 + 0.8 * rng.random((2,) * len(parents))
        axes = [NAMES.index(p) for p in parents]
        at = np.indices(joint.shape)
        one = chance[tuple(at[a] for a in axes)] if parents else np.full(joint.shape, float(chance))
        joint = joint * np.where(at[NAMES.index(name)] == 1, one, 1 - one)
    return "; ".join([*edges, *NAMES]), joint


def usual(joint: np.ndarray, controls: tuple[str, ...], own: int, through: int) -> float:
    """E[Y(own, M(through))] by the usual formula, over the cells of the controls."""
    total = 0.0
    for levels in itertools.product((0, 1), repeat=len(controls)):
        kept = joint
        for name, level in zip(controls, levels, strict=True):
            mask = np.indices(joint.shape)[NAMES.index(name)] == level
            kept = kept * mask
        table = kept.sum(axis=(3, 4))  # x, m, y
        for m in (0, 1):
            mean = table[own, m, 1] / table[own, m].sum()
            total += mean * table[through, m].sum() / table[through].sum() * table.sum()
    return total


def test_the_usual_formula_with_these_controls() -> None:
    rng = np.random.default_rng(11)
    checked = without = 0
    while checked < 40:
        text, joint = random_model(rng)
        drawn = graph(text)
        found = mediation(drawn, "x", "y", "m", "NDE")
        controls = controls_for(drawn, "x", "y", ("m",), "NDE")
        if not isinstance(found, Mediated) or found.expression is None or controls is None:
            without += 1
            continue
        effects = found.effects(joint, NAMES)
        base = usual(joint, controls, 0, 0)
        assert np.isclose(usual(joint, controls, 1, 0) - base, effects.natural_direct), (text, controls)
        assert np.isclose(usual(joint, controls, 0, 1) - base, effects.natural_indirect), (text, controls)
        assert not any(fits(drawn, "x", "y", ("m",), "NDE", [c for c in controls if c != one]) for one in controls)
        assert spoiled(drawn, "x", "y", ("m",), "NDE", controls) is None
        checked += 1
    assert without > 0


def test_what_a_treatment_causes_is_no_control() -> None:
    drawn = graph("x --> l; l --> m; l --> y; x --> m; x --> y; m --> y; c --> x; c --> y")
    assert controls_for(drawn, "x", "y", ("m",), "NDE") is None
    answer = spoiled(drawn, "x", "y", ("m",), "CDE", ("c", "l"))
    assert isinstance(answer, Refused) and answer.code == "post_treatment_control"
    both = mediation(drawn, "x", "y", ("l", "m"), "NDE")
    assert isinstance(both, Mediated)
    spec = both.to_spec(quantity="NIE")
    assert isinstance(spec, Spec) and spec.controls == ("c",) and spec.mediators == ("l", "m")
    hidden = graph("x --> m; m --> y; x --> y; m <-> y")
    assert controls_for(hidden, "x", "y", ("m",), "CDE") is None
