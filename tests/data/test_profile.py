"""The profile: each remark where it is due, and silence where it is not."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np
import pytest

import whence
from whence.data import collinearity
from whence.data.moments import moments


def remarks(source):
    return {r.code: r for r in whence.profile(source).remarks}


@pytest.fixture
def plain():
    """Linear Gaussian columns with nothing to remark on."""
    rng = np.random.default_rng(11)
    x = rng.normal(size=800)
    return {"x": x, "y": x + rng.normal(size=800), "z": rng.normal(size=800)}


def test_nothing_to_say_of_plain_data(plain):
    assert remarks(plain) == {}


def test_any_false_finding_is_rare():
    """300 linear Gaussian tables: a false remark of normality or linearity in at most 10 % (two families)."""
    rng = np.random.default_rng(12)
    false = 0
    for _ in range(300):
        x = rng.normal(size=(200, 4))
        x[:, 1] += x[:, 0]
        false += bool(set(remarks(x)) & {"non_gaussian", "nonlinear"})
    assert 0 < false / 300 < 0.10 + 3.3 * (0.10 * 0.90 / 300) ** 0.5


def test_shape_and_bends(plain):
    rng = np.random.default_rng(13)
    found = remarks({**plain, "skewed": rng.exponential(size=800), "square": plain["x"] ** 2 + rng.normal(size=800)})
    assert found["non_gaussian"].evidence["found"]["skewed"]["clear"]
    first = found["nonlinear"].evidence["found"][0]
    assert {first["cause"], first["outcome"]} == {"x", "square"}
    assert first["p_value"] < 1e-6


def test_constant_empty_and_duplicated(plain, file, route):
    n = 300
    lines = ["a,b,c,d,e"] + [f"{i * 1.5},{i * 1.5},7,NA,{'uv'[i % 2]}" for i in range(n)]
    found = remarks(file("\n".join(lines)))
    assert found["constant"].about == ("c",)
    assert found["all_missing"].about == ("d",)
    assert found["duplicate_content"].evidence["groups"] == [["a", "b"]]
    assert "near_collinear" not in found  # duplicates are said once


def test_near_collinearity_names_the_columns(plain):
    rng = np.random.default_rng(14)
    near = plain["x"] + plain["z"] + 0.001 * rng.normal(size=800)
    found = remarks({**plain, "near": near, "free": rng.normal(size=800)})["near_collinear"]
    assert set(found.about) == {"x", "z", "near"}
    assert found.evidence["condition_index"] > collinearity.MAX_CONDITION
    assert not found.evidence["exact"]
    exact = remarks({**plain, "sum": plain["x"] + plain["z"]})["near_collinear"]
    assert exact.evidence["exact"]
    assert set(exact.about) == {"x", "z", "sum"}


def test_variance_inflation_against_regressions(plain):
    rng = np.random.default_rng(15)
    data = {**plain, "near": plain["x"] + 0.05 * rng.normal(size=800)}
    (found,) = collinearity.near_dependences(moments(whence.read(data), list(data)))
    for name, inflation in found.inflation.items():
        others = np.column_stack([np.ones(800), *(v for n, v in data.items() if n != name)])
        left = data[name] - others @ np.linalg.lstsq(others, data[name], rcond=None)[0]
        assert inflation == pytest.approx(data[name].var() / left.var(), rel=1e-6)


def test_missing_values(plain):
    y = plain["y"].copy()
    y[plain["x"] > 0.5] = np.nan
    found = remarks({**plain, "y": y})
    assert found["missing_values"].evidence["share"] == {"y": np.isnan(y).mean()}
    assert found["missing_values"].evidence["patterns"][1]["missing"] == ("y",)
    assert found["missing_depends"].evidence["found"][0]["other"] == "x"


def test_identifiers():
    n = 200
    found = remarks({"row": list(range(n)), "key": [f"k{i}" for i in range(n)], "pay_id": [i * i for i in range(n)],
                     "x": np.random.default_rng(0).normal(size=n)})
    assert set(found["identifier"].about) == {"row", "key", "pay_id"}


@pytest.mark.parametrize("balanced", [True, False])
def test_panel(balanced, file, route):
    rows = [(f, y) for f in range(40) for y in range(2000, 2010)]
    rows = rows if balanced else rows[:-7]
    rng = np.random.default_rng(1)
    body = "".join(f"firm{f},{y},{v}\n" for (f, y), v in zip(rows, rng.normal(size=len(rows)), strict=True))
    panel = remarks(file("firm,year,profit\n" + body))["panel"]
    assert panel.about == ("firm", "year")
    assert panel.evidence["balanced"] is balanced
    assert (panel.evidence["n_units"], panel.evidence["n_times"]) == (40, 10)


def test_time_series():
    days = np.datetime64("2020-01-01") + np.arange(50) * np.timedelta64(7, "D")
    x = np.random.default_rng(1).normal(size=50)
    assert remarks({"when": days, "x": x})["time_series"].evidence["step"] == "7 days"
    assert "time_series" not in remarks({"when": days[::-1].copy(), "x": x})


def test_levels_that_look_alike():
    assert remarks({"g": ["Yes", "yes ", "no"] * 20})["near_levels"].evidence == {"g": ["Yes", "yes "]}


def test_summaries_agree_on_every_route(file, route):
    rng = np.random.default_rng(8)
    x = 1e8 + rng.normal(size=500)
    body = "".join(
        f"{'' if i % 9 == 0 else x[i]},{'abc'[i % 3]},{i % 2},{i % 5 + 1},2020-02-{1 + i % 28:02d},w{i}\n"
        for i in range(500)
    )
    x, g, b, k, d, w = whence.profile(file("x,g,b,k,d,w\n" + body)).columns
    kept = np.array([v for i, v in enumerate(1e8 + np.random.default_rng(8).normal(size=500)) if i % 9])
    assert (x.kind, x.n_missing) == ("continuous", 56)
    assert x.mean == pytest.approx(kept.mean(), rel=1e-15)
    assert x.sd == pytest.approx((kept - 1e8).std(ddof=1), rel=1e-6)
    assert (x.low, x.high) == (kept.min(), kept.max())
    assert abs(x.n_distinct - 444) <= (60 if x.estimated else 0)
    assert g.top == (("a", 167), ("b", 167), ("c", 166))
    assert (b.kind, b.top) == ("binary", ((0, 250), (1, 250)))
    assert (k.kind, k.low, k.high) == ("ordinal", 1, 5)
    assert (d.low[:10], d.high[:10], d.n_distinct) == ("2020-02-01", "2020-02-28", 28)
    assert (w.kind, w.n_distinct) == ("text", 500)


def test_json_html_and_progress(plain):
    class Watch:
        begun = steps = ended = 0

        def begin(self, label, total=None):
            self.begun += 1
            self.total = total

        def step(self, count=1):
            self.steps += count

        def end(self):
            self.ended += 1

    watch = Watch()
    profile = whence.profile({**plain, "<b>": ["u", "v"] * 400}, progress=watch)
    assert (watch.begun, watch.ended) == (1, 1)
    assert watch.steps == watch.total
    again = json.loads(json.dumps(profile.to_dict(), allow_nan=False))
    assert again["n_rows"] == 800
    assert [c["name"] for c in again["columns"]] == ["x", "y", "z", "<b>"]
    assert "<b>&lt;" not in profile._repr_html_()
    assert "&lt;b&gt;" in profile._repr_html_()


def test_columns_in_any_order_give_the_same_remarks(plain):
    rng = np.random.default_rng(3)
    half = np.where(plain["x"] > 1, np.nan, 1.0 * (plain["z"] > 0))
    data = {**plain, "e": rng.exponential(size=800), "q": plain["x"] ** 2, "m": half}
    turned = dict(reversed(data.items()))
    for one, other in zip(whence.profile(data).remarks, whence.profile(turned).remarks, strict=True):
        assert (one.code, one.text) == (other.code, other.text)


def test_large_tables_are_sampled(file, route):
    rng = np.random.default_rng(9)
    pairs = zip(rng.normal(size=45_000), rng.exponential(size=45_000), strict=True)
    path = file("x,e\n" + "".join(f"{a:.6f},{b:.6f}\n" for a, b in pairs))
    found = remarks(path)
    assert abs(found["tests_on_sample"].evidence["rows"] - 20_000) < 5
    assert found["non_gaussian"].about == ("e",)


def test_light_imports_and_cpu(tmp_path):
    """Profiling 1,000 rows of 20 columns: no heavy package, and well within 0.6 s after imports."""
    rng = np.random.default_rng(7)
    names = [f"x{i}" for i in range(16)] + ["g", "b", "k", "d"]
    lines = [",".join([*map(str, row), "abc"[i % 3], str(i % 2), str(i % 5), f"2020-01-{1 + i % 28:02d}"])
             for i, row in enumerate(rng.normal(size=(1000, 16)).round(4))]
    path = tmp_path / "t.csv"
    path.write_text(",".join(names) + "\n" + "\n".join(lines) + "\n")
    script = (
        "import sys, time, numpy, scipy.special, whence.data.remarks, whence.data.textfile\nimport whence\n"
        f"t = time.process_time(); whence.profile({str(path)!r}); t = time.process_time() - t\n"
        "print(t, [m for m in ('scipy.stats', 'sklearn', 'pandas', 'duckdb', 'pydantic') if m in sys.modules])"
    )
    started = time.process_time()
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    seconds, loaded = out.split(" ", 1)
    assert loaded.strip() == "[]"
    assert float(seconds) < 0.6, (out, started)
