"""``whence doctor``: what is installed, which kernel runs, and what is missing and how to get it."""

from __future__ import annotations

import os
import shutil
import tempfile
from importlib import metadata, util
from typing import Any

from whence.cli import screen
from whence.cli.options import Json, Seed
from whence.cli.status import ANSWERED, DEFECT

# Distribution -> module, of what whence cannot do without.
REQUIRED = {
    "numpy": "numpy", "scipy": "scipy", "narwhals": "narwhals", "duckdb": "duckdb", "scikit-learn": "sklearn",
    "pydantic": "pydantic", "cyclopts": "cyclopts", "rich": "rich", "jinja2": "jinja2",
}  # fmt: skip
# Distribution -> (module, what it is for). Hints name these and never whence itself: the package index has an
# unrelated project of that name.
OPTIONAL = {
    "causaldata": ("causaldata", "the data of the demonstration"),
    "pandas": ("pandas", "pandas frames in"),
    "polars": ("polars", "polars frames in"),
    "pyarrow": ("pyarrow", "Arrow tables and Feather files in"),
}
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
REINSTALL = "in the folder whence was cloned to: pip install --force-reinstall --no-deps ."
COMPILER_HELP = (
    "Install a C++17 compiler (Debian, Ubuntu: apt install g++; Fedora: dnf install gcc-c++; macOS: "
    f"xcode-select --install), then reinstall, {REINSTALL}"
)


def doctor(*, json: Json = False, seed: Seed = 0) -> int:
    """Show versions, kernel, threads, and what is missing.

    The status is 0 when whence can work, even if slower or without optional parts, and 1 when something it needs
    is missing or broken.

    Examples:

      whence doctor
      whence doctor --json
    """
    found = examine()
    if json:
        screen.emit(found)
    else:
        _show(found)
    return ANSWERED if found["healthy"] else DEFECT


def examine() -> dict[str, Any]:
    """Everything that doctor reports, as data."""
    from whence.core.result import versions

    missing = [name for name, module in REQUIRED.items() if util.find_spec(module) is None]
    temporary = _temporary_folder()
    problems = []
    if missing:
        problems.append(f"Missing: {', '.join(missing)}. Get them: pip install {' '.join(missing)}")
    if not temporary["writable"]:
        problems.append(
            f"No temporary folder can be written to ({temporary['reason']}). Set TMPDIR to one that can."
        )
    return {
        "healthy": not problems,
        "problems": problems,
        "versions": versions(*REQUIRED),
        "kernel": _kernel() if "numpy" not in missing else None,
        "threads": _threads(),
        "optional": [_optional(name) for name in OPTIONAL],
        "temporary_folder": temporary,
    }


def _kernel() -> dict[str, Any]:
    from whence.kernels import BACKEND

    if BACKEND == "native":
        return {"backend": BACKEND, "reason": "The compiled kernels are in use.", "remedy": None}
    if os.environ.get("WHENCE_KERNELS") == "numpy":
        return {
            "backend": BACKEND, "reason": "WHENCE_KERNELS=numpy asks for the NumPy kernels.",
            "remedy": "Unset WHENCE_KERNELS to use the compiled ones.",
        }
    compiler = next((c for c in ("c++", "g++", "clang++", "cl") if shutil.which(c)), None)
    reason = "The compiled kernels were not built; the NumPy ones give the same answers, slower."
    if compiler is None:
        return {"backend": BACKEND, "reason": reason, "remedy": COMPILER_HELP}
    return {
        "backend": BACKEND, "reason": reason,
        "remedy": f"A compiler is here ({compiler}). Reinstall, {REINSTALL}",
    }


def _threads() -> dict[str, Any]:
    affinity = getattr(os, "sched_getaffinity", None)  # absent on macOS and Windows
    return {
        "processors": os.cpu_count(),
        "usable": len(affinity(0)) if affinity else os.cpu_count(),
        "environment": {name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ},
    }


def _optional(name: str) -> dict[str, Any]:
    module, purpose = OPTIONAL[name]
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        version = None
    present = version is not None and util.find_spec(module) is not None
    return {
        "name": name, "version": version, "purpose": purpose, "present": present,
        "get": None if present else f"pip install {name}",
    }


def _temporary_folder() -> dict[str, Any]:
    try:
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"whence")
            file.flush()
    except OSError as error:
        return {"path": None, "writable": False, "reason": error.strerror or str(error)}
    return {"path": tempfile.gettempdir(), "writable": True, "reason": None}


def _show(found: dict[str, Any]) -> None:
    screen.heading("Versions")
    screen.table(("package", "version"), found["versions"].items())
    kernel = found["kernel"]
    if kernel:
        screen.heading("Kernel")
        screen.say(f"{kernel['backend']}: {kernel['reason']}")
        if kernel["remedy"]:
            screen.say(kernel["remedy"])
    threads = found["threads"]
    screen.heading("Threads")
    screen.say(f"{threads['usable']} of {threads['processors']} processors may be used.")
    for name, value in threads["environment"].items():
        screen.say(f"{name}={value}")
    screen.heading("Optional")
    screen.table(
        ("package", "for", "version", "get it"),
        [(o["name"], o["purpose"], o["version"] or "missing", o["get"]) for o in found["optional"]],
    )
    folder = found["temporary_folder"]
    screen.heading("Temporary folder")
    screen.say(f"{folder['path']} can be written to." if folder["writable"] else f"None: {folder['reason']}.")
    screen.say()
    for problem in found["problems"]:
        screen.say(problem, style="31")
    if found["healthy"]:
        screen.say("All well.")
