"""A file of 1 GB is read and profiled within 2 GB of memory. Slow: it writes that file."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

SCRIPT = """
import json, resource, sys, time
import whence
from whence.data.moments import counts, moments
started = time.time()
table = whence.read(sys.argv[1])
read = time.time() - started
profile = whence.profile(table)
profiled = time.time() - started - read
m = moments(table, ["x0", "x1", "b0"])
c = counts(table, ["g0", "b0"])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"rows": table.n_rows, "backed": table.backing is not None, "megabytes": peak, "mean": list(m.mean),
                  "counted": int(c.sum()), "kinds": table.kinds, "read": read, "profile": profiled,
                  "remarks": [r.code for r in profile.remarks]}))
"""


@pytest.mark.slow
def test_one_gigabyte_in_two(tmp_path):
    rng = np.random.default_rng(0)
    x, b, g = rng.normal(size=(50_000, 26)).round(6), rng.integers(0, 2, (50_000, 4)), rng.integers(0, 4, (50_000, 4))
    words = np.array(["red", "green", "blue", "yellow"])
    names = [*(f"x{i}" for i in range(26)), *(f"b{i}" for i in range(4)), *(f"g{i}" for i in range(4)), "day"]
    lines = [
        ",".join([*map(str, x[i]), *map(str, b[i]), *words[g[i]], f"2020-01-{1 + i % 28:02d}"]) for i in range(50_000)
    ]
    block = ("\n".join(lines) + "\n").encode()
    path = tmp_path / "big.csv"
    blocks = -(-(1 << 30) // len(block))
    with path.open("wb") as f:
        f.write((",".join(names) + "\n").encode())
        for _ in range(blocks):
            f.write(block)
    run = subprocess.run([sys.executable, "-c", SCRIPT, str(path)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["backed"]
    assert found["rows"] == found["counted"] == 50_000 * blocks
    assert found["megabytes"] < 2048, found
    assert found["mean"][0] == pytest.approx(x[:, 0].mean())
    assert found["kinds"]["g0"] == "categorical"
    assert found["kinds"]["day"] == "datetime"
