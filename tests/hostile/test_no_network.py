"""A run asks nobody: it is done without a network, and opens no connection where there is one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from replication import paths

ROOT = paths.project_root()
WATCHED = """
import runpy, sys

def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request"):
        raise SystemExit(f"the run asked the network: {event} {arguments}")

sys.addaudithook(watch)
runpy.run_module("replication.run", run_name="__main__", alter_sys=True)
"""


def without_network() -> list[str]:
    """What starts a command in a network of its own, in which nothing is reached; nothing where a system has none."""
    place = shutil.which("unshare")
    if place is None or subprocess.run([place, "-rn", "true"], capture_output=True, check=False).returncode:
        return []
    return [place, "-rn"]


@pytest.mark.parametrize("alone", [True, False])
def test_a_run_neither_needs_nor_asks_the_network(tmp_path: Path, alone: bool) -> None:
    start = without_network() if alone else []
    if alone and not start:
        pytest.skip("this system gives no network namespace (unshare -rn)")
    command = [*start, sys.executable, "-c", WATCHED, "magro2024", "--jobs", "1", "--out", str(tmp_path / "report")]
    given = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "report" / "report.pdf").exists() and (tmp_path / "report" / "index.html").exists()
