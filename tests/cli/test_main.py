"""Every way a command can end, and its exit status."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import whence as package
from whence.cli import main as entry
from whence.cli.app import COMMANDS

PYTHON_M = [sys.executable, "-m", "whence"]


def child(*argv: str, **changes: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "WHENCE_DEBUG"} | changes
    return subprocess.run([*PYTHON_M, *argv], capture_output=True, text=True, env=environment, timeout=60)


def test_version(whence: Any) -> None:
    for flag in ("--version", "-V"):
        ran = whence(flag)
        assert (ran.status, ran.out, ran.err) == (0, f"whence {package.__version__}\n", "")


def test_python_m_whence_is_the_same_command() -> None:
    ran = child("--version")
    assert (ran.returncode, ran.stdout) == (0, f"whence {package.__version__}\n")


@pytest.mark.parametrize("argv", [(), ("--help",), ("-h",)])
def test_help_names_every_command(whence: Any, argv: tuple[str, ...]) -> None:
    ran = whence(*argv)
    assert ran.status == 0
    for name, line in COMMANDS.items():
        assert f"{name}: {line}" in ran.out
    assert "Exit status" in ran.out


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_reads_well(whence: Any, command: str) -> None:
    ran = whence(command, "--help")
    assert ran.status == 0 and ran.err == ""
    assert COMMANDS[command] in " ".join(ran.out.split())
    assert f"\n  whence {command}" in ran.out, "an example"
    assert "--json" in ran.out and "--seed" in ran.out
    assert "\x1b[" not in ran.out


@pytest.mark.parametrize("argv, code", [
    (("profle", "x.csv"), "unknown_command"),
    (("profile",), "usage"),
    (("profile", "x.csv", "y.csv"), "usage"),
    (("profile", "x.csv", "--nope"), "usage"),
    (("profile", "x.csv", "--seed", "many"), "usage"),
    (("estimate", "x.csv"), "usage"),
    (("identify", "x --> y", "--treatment", "x"), "usage"),
])
def test_bad_usage_is_2(whence: Any, argv: tuple[str, ...], code: str) -> None:
    ran = whence(*argv, "--json")
    assert ran.status == 2
    assert ran.json["error"]["code"] == code
    assert ran.json["error"]["message"].strip(". ") in " ".join(ran.err.split())
    plain = whence(*argv)
    assert plain.status == 2 and plain.out == "" and plain.err.startswith("Error: ")
    assert "Traceback" not in plain.err


def test_a_mistyped_command_gets_a_suggestion(whence: Any) -> None:
    assert "'profile'" in whence("profle").err


def test_a_defect_is_1_and_never_a_traceback(whence: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import whence.cli.doctor as doctor

    def broken() -> None:
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr(doctor, "examine", broken)
    ran = whence("doctor", "--json")
    assert ran.status == 1
    assert ran.json["error"]["code"] == "defect" and ran.json["error"]["retryable"] is False
    assert "ZeroDivisionError" in ran.err and "WHENCE_DEBUG=1" in ran.err and "Traceback" not in ran.err
    monkeypatch.setenv("WHENCE_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        entry.main(["doctor"])


def test_ctrl_c_is_130_and_one_line(whence: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import whence.cli.doctor as doctor

    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "examine", interrupted)
    ran = whence("doctor", "--json")
    assert (ran.status, ran.out, ran.err) == (130, "", "Stopped.\n")


# In the middle of imports, and when start-up is over but the bootstrap is not.
@pytest.mark.parametrize("when", [0.4, 0.8, 4.0])
def test_sigint_stops_a_long_run_at_once(trial: Path, when: float) -> None:
    long = [*PYTHON_M, "discover", str(trial), "--stability", "100000"]
    with subprocess.Popen(long, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        time.sleep(when)
        assert process.poll() is None, process.communicate()
        process.send_signal(signal.SIGINT)
        sent = time.monotonic()
        out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert (out, err) == ("", "Stopped.\n")
    assert time.monotonic() - sent < 5


def test_an_error_that_an_interrupt_became_is_an_interrupt(whence: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import whence.cli.doctor as doctor
    import whence.cli.interrupt as interrupt

    def broken() -> None:
        raise ImportError("half a module")

    monkeypatch.setattr(doctor, "examine", broken)
    monkeypatch.setattr(interrupt, "_received", True)
    assert whence("doctor").status == 130


def test_a_swallowed_interrupt_ends_the_process_all_the_same() -> None:
    code = (
        "import time\n"
        "from whence.cli import interrupt\n"
        "interrupt.watch()\n"
        "while True:\n"
        "    try:\n"
        "        time.sleep(60)\n"
        "    except BaseException:\n"
        "        pass\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) as process:
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, "Stopped.\n")


def test_a_closed_pipe_is_quiet() -> None:
    script = f"{sys.executable} -m whence doctor | true; echo ${{PIPESTATUS[0]}}"
    ran = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)
    assert ran.stderr == ""
    assert ran.stdout.strip() in ("141", "0")  # 0 when everything was written before `true` ended


def test_output_to_a_full_disk_is_no_traceback() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with open("/dev/full", "w") as full:
        ran = subprocess.run([*PYTHON_M, "doctor"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr and "no space left" in ran.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_no_encoding_crashes_the_output(tmp_path: Path, encoding: str) -> None:
    name = tmp_path / "größe ≥ 3 – 身長.csv"
    for argv in (["profile", str(name)], ["profile", str(name), "--json"], ["ask", "--help"], ["doctor"]):
        ran = subprocess.run([*PYTHON_M, *argv], capture_output=True, timeout=60,
                             env=os.environ | {"PYTHONIOENCODING": encoding})
        assert b"Traceback" not in ran.stderr and ran.returncode in (0, 2), ran.stderr
        ran.stdout.decode(encoding)
        ran.stderr.decode(encoding)
