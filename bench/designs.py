"""CPU time of designs beside pyfixest, csdid, diff-diff and rdrobust, and how far apart the answers are.

``agreement`` is about numbers alone: discontinuities beside rdrobust on ten random sets of 800 rows for each case, with
the cause named wherever they part.

    python bench/designs.py [--python PATH ...] [--runs 4] [--only NAME ...]

``--python`` names interpreters of environments that have the peers; each is run in the first that can import it,
alternately with ours. Times are process CPU seconds of one thread, the least of the runs after a first one that warms
up, from a table (for the peers: a data frame) in memory to the answer with its standard error.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

# The data sets, drawn alike by ours and by the peers' processes.
SETS = r'''
import numpy as np
def panel(units, periods, starts, seed=0):
    rng = np.random.default_rng(seed)
    u, t = np.repeat(np.arange(units), periods), np.tile(np.arange(periods), units)
    start = rng.choice(starts, units)
    d = (t >= start[u]).astype(int)
    z = rng.standard_normal(units)
    y = z[u] + 0.3 * t + 0.1 * z[u] * t + d + rng.standard_normal(len(u))
    return {"u": u, "t": t, "d": d, "y": y, "g": np.where(start < periods, start, 0)[u], "z": z[u]}
def workers(people, years, moves, far, seed=0):
    rng = np.random.default_rng(seed)
    firms = people // 10
    home = rng.integers(0, firms, people)
    after = rng.integers(0, firms, people) if far else np.minimum(home + 1, firms - 1)
    after = np.where(rng.random(people) < moves, after, home)
    u, t = np.repeat(np.arange(people), years), np.tile(np.arange(years), people)
    f = np.where(t < years // 2, home[u], after[u])
    keep = rng.random(len(u)) < 0.9
    d = (rng.random(len(u)) < 0.3).astype(int)
    pay = np.cumsum(rng.standard_normal(firms)) / 100
    y = rng.standard_normal(people)[u] + pay[f] + d + rng.standard_normal(len(u))
    return {k: v[keep] for k, v in {"u": u, "f": f, "d": d, "y": y}.items()}
def jump(n, fuzzy=False, seed=0):
    rng = np.random.default_rng(seed)
    x = 2 * rng.beta(2, 4, n) - 1
    side = (x >= 0).astype(int)
    d = np.where(rng.random(n) < 0.8, side, 1 - side) if fuzzy else side
    return {"x": x, "d": d, "y": x + 3 * x**2 + d + 0.3 * rng.standard_normal(n)}
def cutoff_set(kind, extra, seed, n=800):
    rng = np.random.default_rng([seed, 11])
    x = 2 * rng.beta(2, 4, n) - 1 if seed % 2 else np.clip(0.4 * rng.standard_t(3, n), -3, 3)
    x = np.round(x, 2) if "ties" in extra else x
    side, g = x >= 0, rng.integers(0, 60, n)
    z, w = rng.standard_normal(n) + 0.5 * x, (rng.random(n) < 0.4) * 1.0
    shared = rng.standard_normal(60)[g]
    if "kink" in kind:
        d = np.where(side, x, 0.0)
        d = 0.8 * d + 0.1 * x + 0.02 * rng.standard_normal(n) if "fuzzy" in kind else d
    else:
        d = (rng.random(n) < 0.15 + 0.6 * side) * 1.0 if "fuzzy" in kind else side * 1.0
    y = 0.5 + x + 2 * x**2 * (x < 0) + (3.5 if "kink" in kind else 0.7) * d + 0.5 * z + 0.3 * w + 0.2 * shared
    y = y + 0.3 * rng.standard_normal(n)
    return {"x": x, "d": d, "y": y, "z": z, "w": w, "g": 2 * g + side if extra == "clusters on one side" else g}
'''
exec(SETS)

# Discontinuities beside rdrobust: the design, what comes with it (ties in the running variable, controls, clusters) and
# whether both are given the same bandwidths.
CASES = [(kind, extra, given) for kind in ("sharp", "fuzzy", "kink", "fuzzy kink")
         for extra in ("", "ties", "controls", "ties, controls", "clusters on one side", "clusters on both sides")
         for given in (True, False)]
# Why the numbers part, where they do: with its own bandwidths, and with the same.
OWN = {
    "controls": "theirs finds the controls' coefficients in each pilot's window and on each side, ours once",
    "fuzzy": "theirs weighs treatment against outcome by each side's level, so it moves with the outcome's origin",
    "clusters": "theirs counts clusters into the bandwidth",
}
SAME = {
    "clusters": "theirs corrects each side for few clusters by itself and takes the plain error from the plain fit",
    "clusters on both sides": "it takes the two parts of a cluster for independent",
}

# What a peer's process runs: one task by name for each line it reads; the CPU seconds and the numbers as JSON.
PEER = SETS + r'''
import contextlib, importlib, io, json, sys, time, warnings
warnings.filterwarnings("ignore")
import pandas as pd
library, out = importlib.import_module(sys.argv[1]), sys.stdout
held = {}
def given(kind, *how):
    key = json.dumps([kind, how])
    if key not in held:
        held.clear(); held[key] = pd.DataFrame(globals()[kind](*how))
    return held[key]
def timed(work):
    start = time.process_time()
    found = work()
    return [time.process_time() - start, *map(float, found)]
def pyfixest(kind, how, second):
    frame = given(kind, *how)
    def work():
        m = library.feols(f"y ~ d | u + {second}", data=frame, vcov={"CRV1": "u"}, copy_data=False, store_data=False,
                          demeaner=library.LsmrDemeaner() if second == "f" else library.MapDemeaner())
        return m.coef().iloc[0], m.se().iloc[0]
    return timed(work)
def csdid(kind, how, covariate):
    frame = given(kind, *how)
    from csdid.att_gt import ATTgt
    def work():
        a = ATTgt(yname="y", gname="g", idname="u", tname="t", data=frame,
                  xformla="y~z" if covariate else "y~1").fit(est_method="dr", bstrap=False)
        found = [a.aggte(typec=kind, bstrap=False, cband=False).atte for kind in ("dynamic", "simple")]
        return found[1]["overall_att"], np.ravel(found[1]["overall_se"])[0]
    return timed(work)
def diff_diff(kind, how, covariate):
    frame = given(kind, *how)
    def work():
        m = library.CallawaySantAnna(control_group="never_treated", estimation_method="dr")
        r = m.fit(frame, outcome="y", unit="u", time="t", first_treat="g", aggregate="all",
                  covariates=["z"] if covariate else None)
        return r.overall_att, r.overall_se
    return timed(work)
def rdrobust(kind, how, bandwidths=None):
    if bandwidths is not None:
        return fitted(how, bandwidths)
    frame = given(kind, *how)
    def work():
        fuzzy = frame["d"] if len(how) > 1 and how[1] else None
        r = library.rdrobust(frame["y"], frame["x"], fuzzy=fuzzy)
        return r.coef.iloc[0, 0], r.se.iloc[2, 0], r.coef.iloc[2, 0]
    return timed(work)
def fitted(how, bandwidths):
    frame = pd.DataFrame(cutoff_set(*how))
    more = {"h": 0.5, "b": 0.7} if bandwidths else {}
    more |= {"fuzzy": frame["d"]} if "fuzzy" in how[0] else {}
    more |= {"deriv": 1, "p": 2} if "kink" in how[0] else {}
    more |= {"covs": frame[["z", "w"]]} if "controls" in how[1] else {}
    more |= {"cluster": frame["g"]} if "clusters" in how[1] else {}
    r = library.rdrobust(frame["y"], frame["x"], **more)
    return [0.0, *map(float, (r.bws.iloc[0, 0], r.bws.iloc[1, 0], r.coef.iloc[0, 0], r.coef.iloc[1, 0], r.se.iloc[0, 0],
                              r.se.iloc[2, 0]))]
for line in sys.stdin:
    name, *how = json.loads(line)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            answer = globals()[name](how[0], tuple(how[1]), *how[2:])
    except Exception as error:
        answer = str(error)[:120]
    out.write(json.dumps(answer) + "\n"); out.flush()
'''


class Peer:
    """A library in a process of its own; ``process`` is None where no interpreter has it."""

    def __init__(self, library: str, pythons: list[str]) -> None:
        self.process, self.library = None, library
        for python in pythons:
            if subprocess.run([python, "-c", f"import {library}"], capture_output=True).returncode == 0:
                self.process = subprocess.Popen([python, "-c", PEER, library], stdin=subprocess.PIPE,
                                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
                return

    def run(self, *task: Any) -> list[float] | str:
        assert self.process and self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps([self.library, *task]) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def compared(title: str, ours: Callable[[], Any], pythons: list[str], runs: int, **peers: tuple[Any, ...]) -> None:
    """Ours and each peer in turn; ``peers``: the task of each library."""
    processes = {name: Peer(name, pythons) for name in peers}
    spent: list[float] = []
    theirs: dict[str, list[list[float] | str]] = {name: [] for name, peer in processes.items() if peer.process}
    for run in range(runs + 1):
        start = time.process_time()
        found = ours()
        spent += [time.process_time() - start] if run else []
        for name, kept in theirs.items():
            if kept and (isinstance(kept[-1], str) or (run > 1 and kept[-1][0] > 20)):
                continue  # it failed, or it takes too long to be asked again
            kept.append(processes[name].run(*peers[name]))
    mine = found if isinstance(found, list) else [found.estimate, found.standard_error]
    print(f"{title}: ours {min(spent):.2f} s, {mine[0]:.8f} ({mine[1]:.8f})", flush=True)
    for name, kept in theirs.items():
        numbers = [k for k in kept[1:] or kept if not isinstance(k, str)]
        if not numbers:
            print(f"    {name}: {kept[0]}", flush=True)
            continue
        least = min(k[0] for k in numbers)
        gaps = ", ".join(f"{abs(a - b) / max(1e-300, abs(b)):.1e}" for a, b in zip(mine, numbers[0][1:], strict=False))
        print(f"    {name} {least:.2f} s: {least / min(spent):.1f} times ours; apart by {gaps}", flush=True)
    for peer in processes.values():
        if peer.process and peer.process.stdin:
            peer.process.stdin.close()
            peer.process.wait()


def answer(data: dict[str, np.ndarray], method: str, spec: dict[str, Any], **how: Any) -> Callable[[], Any]:
    from whence.data.load import read
    from whence.estimation.estimate import estimate
    from whence.identification.spec import Spec

    table = read(data)
    _ = table.hash
    asked = Spec(spec.pop("strategy"), ("d",), ("y",), **spec)
    return lambda: estimate(table, asked, method, **how)


def twfe(pythons: list[str], runs: int) -> None:
    how = (100_000, 10, [3, 5, 7, 99])
    data = {k: v for k, v in panel(*how).items() if k in "utdy"}  # noqa: F821
    compared("two-way fixed effects, 100,000 units x 10 periods, clustered by unit",
             answer(data, "twfe", {"strategy": "did", "time": "t", "unit": "u"}), pythons, runs,
             pyfixest=("panel", how, "t"))


def firms(pythons: list[str], runs: int) -> None:
    """The fixed effects of workers and firms alone, with the coefficient and its clustered error."""
    from whence.stats.fixed_effects import absorb

    for words, how in (("one in ten moves anywhere", (100_000, 10, 0.1, True)),
                       ("three in ten move next door", (20_000, 10, 0.3, False))):
        data = workers(*how)  # noqa: F821
        columns = np.column_stack([data["y"], data["d"]]).astype(float)

        def fit(data: dict[str, np.ndarray] = data, columns: np.ndarray = columns) -> list[float]:
            found = absorb(columns, [data["u"], data["f"]])
            y, d = found.columns.T
            slope = float(d @ y / (d @ d))
            sums, groups = np.bincount(data["u"], weights=d * (y - slope * d)), len(np.unique(data["u"]))
            k = found.rank - groups + 2
            factor = groups / (groups - 1) * (len(y) - 1) / (len(y) - k)
            return [slope, float(np.sqrt(factor * (sums @ sums)) / (d @ d))]

        compared(f"workers and firms, {len(columns):,} rows, {words}", fit, pythons, runs,
                 pyfixest=("workers", how, "f"))


def group_time(pythons: list[str], runs: int) -> None:
    how = (100_000, 10, [3, 5, 7, 99])
    data = panel(*how)  # noqa: F821
    for covariate in (False, True):
        names = "utdyz" if covariate else "utdy"
        spec: dict[str, Any] = {"strategy": "did", "time": "t", "unit": "u"}
        spec |= {"controls": ("z",)} if covariate else {}
        compared(f"group-time effects, 100,000 units x 10 periods, {'one control' if covariate else 'no control'}",
                 answer({k: v for k, v in data.items() if k in names}, "group_time", spec), pythons, runs,
                 csdid=("panel", how, covariate), diff_diff=("panel", how, covariate))


def rdd(pythons: list[str], runs: int) -> None:
    for fuzzy in (False, True):
        how = (100_000, fuzzy)
        run = answer(jump(*how), "rdd",  # noqa: F821
                     {"strategy": "rdd", "running_variable": "x", "cutoff": 0.0}, correction="own")

        def numbers(run: Callable[[], Any] = run) -> list[float]:
            found = run()
            return [found.estimate, found.standard_error, found.diagnostics["bias_corrected"]]

        compared(f"discontinuity, 100,000 rows, {'fuzzy' if fuzzy else 'sharp'}, robust interval", numbers, pythons,
                 runs, rdrobust=("jump", how))


def agreement(pythons: list[str], runs: int) -> None:
    """The largest distance over ten sets: bandwidths and errors relatively, estimates in errors."""
    peer = Peer("rdrobust", pythons)
    if not peer.process:
        print("agreement: no interpreter has rdrobust", flush=True)
        return
    for kind, extra, given in CASES:
        gaps = []
        for seed in range(10):
            ours, theirs = _ours(kind, extra, seed, given), peer.run("cutoff_set", (kind, extra, seed), given)
            if isinstance(theirs, str) or ours is None:
                why = theirs if isinstance(theirs, str) else "no jump of the treatment"
                print(f"    set {seed}: {why}", flush=True)
                continue
            _, h, b, plain, corrected, error, robust = theirs
            gaps.append([max(abs(ours[0] / h - 1), abs(ours[1] / b - 1)), abs(ours[2] - plain) / error,
                         abs(ours[3] - corrected) / robust, abs(ours[4] / error - 1), abs(ours[5] / robust - 1)])
        words = f"{kind}{', ' + extra if extra else ''}, {'the same bandwidths' if given else 'its own bandwidths'}"
        far = np.max(gaps, axis=0)
        causes = [*SAME.items(), *([] if given else OWN.items())]
        told = [why for what, why in causes if far.max() > 1e-5 and what in f"{kind}, {extra}"]
        print(f"{words}, {len(gaps)} sets: bandwidths {far[0]:.0e}, estimates {far[1]:.0e} and {far[2]:.0e}, errors "
              f"{far[3]:.0e} and {far[4]:.0e}" + (f" ({'; '.join(told)})" if told else ""), flush=True)
    assert peer.process.stdin
    peer.process.stdin.close()
    peer.process.wait()


def _ours(kind: str, extra: str, seed: int, given: bool) -> list[float] | None:
    """Bandwidths, conventional and corrected estimate, and their errors."""
    from whence import Effect, Spec, estimate

    spec = Spec("rdd", ("d",), ("y",), running_variable="x", cutoff=0.0,
                controls=("z", "w") if "controls" in extra else (), cluster="g" if "clusters" in extra else None)
    how: dict[str, Any] = {"bandwidth": 0.5, "bias_bandwidth": 0.7} if given else {}
    how |= {"change": "kink"} if "kink" in kind else {}
    found = estimate(cutoff_set(kind, extra, seed), spec, correction="own", interval="robust", **how)  # noqa: F821
    if not isinstance(found, Effect):
        return None
    names = ("bandwidth", "bias_bandwidth", "conventional", "bias_corrected", "conventional_error", "robust_error")
    return [float(found.diagnostics[name]) for name in names]


TASKS: dict[str, Callable[[list[str], int], None]] = {"twfe": twfe, "firms": firms, "group_time": group_time,
                                                      "rdd": rdd, "agreement": agreement}


def main() -> None:
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
    if not threads.items() <= os.environ.items():  # read once, when NumPy is imported
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | threads)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", nargs="*", default=[], help="interpreters that have the peers")
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--only", nargs="*", default=list(TASKS), choices=list(TASKS))
    given = parser.parse_args()
    for name in given.only:
        TASKS[name](given.python, given.runs)


if __name__ == "__main__":
    main()
