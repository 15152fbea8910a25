"""Differences in differences beside diff-diff, csdid, differences, pyfixest and linearmodels on random panels.

    python bench/panels.py --python PATH [--panels 3]

``--python`` names an interpreter that has the peers. Each row gives the largest distance between our estimate (and
standard error) and theirs over the panels, relative to the error; definitions that differ are named in the row.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import Any

import numpy as np

from whence import Spec, estimate

PEER = r'''
import contextlib, io, json, logging, sys, warnings
warnings.filterwarnings("ignore"); logging.disable(logging.CRITICAL)
import numpy as np, pandas as pd
out = sys.stdout
def frame(data):
    f = pd.DataFrame({k: np.array(v) for k, v in data.items()})
    return f
def steps(found, key="event_study_effects"):
    made = getattr(found, key)
    return {int(e): (float(v["effect"]), float(v["se"])) for e, v in made.items() if v["effect"] == v["effect"]}
def dd_cs(f, **more):
    from diff_diff import CallawaySantAnna
    fit = more.pop("fit", {})
    made = CallawaySantAnna(cluster=None, **more).fit(f, "y", "u", "t", "g", aggregate="event_study", **fit)
    return {**steps(made), "all": (float(made.overall_att), float(made.overall_se))}
def csdid_(f, cov=None, **more):
    from csdid.att_gt import ATTgt
    made = ATTgt(yname="y", tname="t", idname="u" if more.get("panel", True) else None, gname="g", data=f,
                 control_group=more.get("control", "nevertreated"), xformla=cov, panel=more.get("panel", True))
    made = made.fit(est_method=more.get("how", "dr"), bstrap=False)
    found = made.aggte(typec="simple", bstrap=False, cband=False)
    r = found.atte
    return {"all": (float(r["overall_att"]), float(np.ravel(r["overall_se"])[0]))}
def differences_(f, how, formula):
    from differences import ATTgt
    f = f.assign(g=f.g.where(f.g > 0)).set_index(["u", "t"])
    model = ATTgt(data=f, cohort_column="g")
    made = model.fit(formula=formula, est_method=how, control_group="never_treated", progress_bar=False)
    table = model.aggregate("simple") if hasattr(model, "aggregate") else made.aggregate("simple")
    row = np.ravel(table.to_numpy())
    return {"all": (float(row[0]), float(row[1]))}
def dd_sa(f):
    from diff_diff import SunAbraham
    return steps(SunAbraham(cluster="u").fit(f, "y", "u", "t", "g"))
def dd_stacked(f, a, b):
    from diff_diff import StackedDiD
    return steps(StackedDiD(kappa_pre=a, kappa_post=b, control_group="not_yet_treated").fit(
        f, "y", "u", "t", "g", aggregate="event_study"))
def dd_imputation(f):
    from diff_diff import ImputationDiD
    made = ImputationDiD(cluster="u", aux_partition="cohort_horizon").fit(f, "y", "u", "t", "g")
    groups = f.u.nunique()  # ours has the factor G / (G - 1)
    return {"all": (float(made.overall_att), float(made.overall_se) * (groups / (groups - 1)) ** 0.5)}
def dd_lp(f, reweight, b):
    from diff_diff import LPDiD
    made = LPDiD(pre_window=2, post_window=b, reweight=reweight).fit(f, "y", "u", "t", "d")
    table = made.event_study
    return {int(r.horizon): (float(r.coefficient), float(r.se)) for r in table.itertuples() if r.horizon != -1}
def dd_switch(f):
    from diff_diff import ChaisemartinDHaultfoeuille
    made = ChaisemartinDHaultfoeuille(drop_larger_lower=False).fit(f, "y", "u", "t", "d")
    return {"all": (float(made.overall_att), float(made.overall_se))}
def pf_twfe(f):
    import pyfixest as pf
    fit = pf.feols("y ~ d + x | u + t", f, vcov={"CRV1": "u"})
    return {"all": (float(fit.coef()["d"]), float(fit.se()["d"]))}
def pf_saturated(f):
    import pyfixest as pf
    fit = pf.event_study(f, "y", "u", "t", "g", estimator="saturated")
    table = fit.aggregate()
    return {int(float(k)): (float(r["Estimate"]), float(r["Std. Error"])) for k, r in table.iterrows()}
def lm_twfe(f):
    from linearmodels.panel import PanelOLS
    g = f.set_index(["u", "t"])
    fit = PanelOLS(g.y, g[["d", "x"]], entity_effects=True, time_effects=True).fit(cov_type="clustered",
                                                                                  cluster_entity=True)
    # It counts the units' effects, and has no factor for clusters.
    n, units, k = len(f), f.u.nunique(), f.t.nunique() + 2
    factor = (n - k - units + 1) / n * units / (units - 1) * (n - 1) / (n - k)
    return {"all": (float(fit.params["d"]), float(fit.std_errors["d"]) * factor**0.5)}
for ask in sys.stdin:
    name, data, args, more = json.loads(ask)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            answer = globals()[name](frame(data), *args, **more)
    except Exception as error:
        answer = {"failed": f"{type(error).__name__}: {error}"[:300]}
    out.write(json.dumps({str(k): v for k, v in answer.items()}) + "\n"); out.flush()
'''

SPEC = Spec("did", ("d",), ("y",), time="t", unit="u")
NEVER = 99


def panel(seed: int, units: int = 120, periods: int = 8, gaps: int = 0, switching: bool = False) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    start = rng.permutation(np.resize([3, 5, 6, NEVER], units))
    u, t = np.repeat(np.arange(units), periods), np.tile(np.arange(1, periods + 1), units)
    d = (t >= start[u]).astype(int)
    if switching:
        d = (rng.random((units, periods)) < 0.3).cumsum(axis=1).ravel() % 2
    z = rng.standard_normal(units)
    x = rng.standard_normal(len(u))
    y = (rng.standard_normal(units)[u] + 0.3 * t + 0.1 * z[u] * t + d * (1 + 0.4 * (t - start[u]) + (start[u] == 3))
         + 0.5 * x + rng.standard_normal(len(u)))
    keep = np.ones(len(u), dtype=bool)
    keep[rng.choice(np.flatnonzero(t != start[u]), gaps, replace=False)] = False  # so that starts are seen
    made = {"u": u, "t": t, "d": d, "y": y, "x": x, "z": z[u], "g": np.where(start[u] == NEVER, 0, start[u])}
    return {k: v[keep] for k, v in made.items()}


def ours(data: dict[str, Any], method: str, controls: tuple[str, ...], params: dict[str, Any]) -> dict[str, Any]:
    found = estimate(data, SPEC.replace(controls=controls), method, **params)
    made = {"all": (found.estimate, found.standard_error)}
    for c in found.comparisons:
        if c.label.split()[0].lstrip("+-").isdigit():
            made[str(int(c.label.split()[0]))] = (c.estimate, c.standard_error)
    return made


# What is compared: title, method, controls, parameters; the peer's function, arguments and keywords; the panel.
CASES: list[tuple[str, str, tuple[str, ...], dict[str, Any], str, list[Any], dict[str, Any], dict[str, Any]]] = [
    ("group_time, diff-diff, never", "group_time", (), {}, "dd_cs", [], {}, {}),
    ("group_time, diff-diff, not yet", "group_time", (), {"compared_with": "not_yet"}, "dd_cs", [],
     {"control_group": "not_yet_treated"}, {}),
    ("group_time, diff-diff, one base", "group_time", (), {"base": "universal"}, "dd_cs", [],
     {"base_period": "universal"}, {}),
    ("group_time, diff-diff, doubly robust", "group_time", ("z",), {}, "dd_cs", [],
     {"pscore_trim": 1e-6, "fit": {"covariates": ["z"]}}, {}),
    ("group_time, diff-diff, weighting", "group_time", ("z",), {"adjust": "weighting"}, "dd_cs", [],
     {"estimation_method": "ipw", "fit": {"covariates": ["z"]}}, {}),
    ("group_time, diff-diff, regression", "group_time", ("z",), {"adjust": "regression"}, "dd_cs", [],
     {"estimation_method": "reg", "fit": {"covariates": ["z"]}}, {}),
    ("group_time, csdid, never", "group_time", (), {}, "csdid_", [], {}, {}),
    ("group_time, csdid, doubly robust", "group_time", ("z",), {}, "csdid_", ["~z"], {}, {}),
    ("group_time, csdid, regression", "group_time", ("z",), {"adjust": "regression"}, "csdid_", ["~z"],
     {"how": "reg"}, {}),
    ("group_time, differences, doubly robust", "group_time", ("z",), {}, "differences_", ["dr", "y ~ z"], {}, {}),
    ("group_time, differences, improved", "group_time", ("z",), {"adjust": "improved"}, "differences_",
     ["dr-ipt", "y ~ z"], {}, {}),
    ("sun_abraham, diff-diff", "sun_abraham", (), {}, "dd_sa", [], {}, {}),
    ("sun_abraham, diff-diff, gaps", "sun_abraham", (), {}, "dd_sa", [], {}, {"gaps": 60}),
    ("sun_abraham, pyfixest", "sun_abraham", (), {}, "pf_saturated", [], {}, {}),
    ("stacked, diff-diff", "stacked", (), {"before": 2, "after": 1}, "dd_stacked", [2, 1], {}, {}),
    ("imputation, diff-diff", "imputation", (), {}, "dd_imputation", [], {}, {}),
    ("imputation, diff-diff, gaps", "imputation", (), {}, "dd_imputation", [], {}, {"gaps": 60}),
    ("local_projection, diff-diff", "local_projection", (), {}, "dd_lp", [True, 3], {}, {}),
    ("local_projection, diff-diff, variance", "local_projection", (), {"weighting": "variance"}, "dd_lp", [False, 3],
     {}, {}),
    ("switchers, diff-diff", "switchers", (), {}, "dd_switch", [], {}, {"switching": True}),
    ("twfe, pyfixest", "twfe", ("x",), {}, "pf_twfe", [], {}, {"gaps": 60}),
    ("twfe, linearmodels", "twfe", ("x",), {}, "lm_twfe", [], {}, {"gaps": 60}),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", required=True)
    parser.add_argument("--panels", type=int, default=3)
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    peer = subprocess.Popen([asked.python, "-c", PEER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert peer.stdin is not None and peer.stdout is not None
    for title, method, controls, params, name, args, more, shape in CASES:
        if asked.only not in title:
            continue
        gap, error, worst, failed, numbers = 0.0, 0.0, "", "", 0
        for seed in range(asked.panels):
            data = panel(seed, **shape)
            peer.stdin.write(json.dumps([name, {k: v.tolist() for k, v in data.items()}, args, more]) + "\n")
            peer.stdin.flush()
            theirs = json.loads(peer.stdout.readline())
            failed = theirs.pop("failed", failed)
            mine = ours(data, method, controls, params)
            for key in set(mine) & set(theirs):
                (a, s), (b, r) = mine[key], theirs[key]
                numbers += 1
                if abs(a - b) / s > gap:
                    gap, worst = abs(a - b) / s, f"{key}: {a:.6f} and {b:.6f}"
                error = max(error, abs(s - r) / s)
        shown = f"{title:40s} {numbers:3d} numbers  estimates {gap:.1e}  errors {error:.1e}"
        sys.stdout.write(shown + f"  {worst if gap > 1e-6 else ''} {failed}\n")
        sys.stdout.flush()
    peer.stdin.close()
    peer.wait()


if __name__ == "__main__":
    main()
