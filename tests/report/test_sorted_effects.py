"""The drawing of sorted effects is well-formed, rises, and has a band where there are intervals."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from whence.data.load import read
from whence.estimation.conditional import conditional
from whence.identification.spec import Spec
from whence.report.sorted_effects import sorted_effects


@pytest.mark.parametrize("method", ["causal_forest", "t_learner"])
def test_drawing(method):
    rng = np.random.default_rng(0)
    x, a = rng.standard_normal(400), rng.integers(0, 2, 400)
    table = read({"x": x, "a": a, "y": (1 + x) * a + rng.standard_normal(400)})
    more = {"trees": 100} if method == "causal_forest" else {}
    found = conditional(table, Spec("rct", ("a",), ("y",), controls=("x",)), method, outcome_learner="linear",
                        treatment_learner="linear", **more)
    drawn = sorted_effects(found)
    ET.fromstring(drawn)
    assert "NaN" not in drawn and "nan" not in drawn
    assert ('class="band"' in drawn) == (method == "causal_forest")
    curve = re.search(r'd="M([^"Z]*)" class="whisker main"|class="whisker main" d="M([^"Z]*)"', drawn)
    heights = [float(point.split()[1]) for point in (curve[1] or curve[2]).split("L")]
    assert all(b <= a for a, b in itertools.pairwise(heights)), "up is down in SVG"
