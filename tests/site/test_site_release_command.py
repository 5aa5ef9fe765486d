"""`--release` and `--withdraw` as their users run them, on a copy of the project."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from replication import paths
from tests.project import small_project


@pytest.fixture
def project(tmp_path: Path) -> Path:
    small_project(tmp_path, ("magro2024",))
    shutil.copy(paths.project_root() / "pyproject.toml", tmp_path)
    return tmp_path


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "replication.run", "--quiet", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(project)}
    return subprocess.run(
        command, cwd=project, env=environment, text=True, capture_output=True, timeout=180, check=False
    )


def test_a_release_is_frozen_listed_and_can_be_withdrawn(project: Path) -> None:
    done = run(project, "--release", "1.0.0")
    assert (done.returncode, done.stderr) == (0, "")
    reports = project / "reports"
    listed = json.loads((reports / "versions.json").read_text(encoding="utf-8"))["versions"]
    assert [entry["version"] for entry in listed] == ["1.0.0"]
    bill = json.loads((reports / "v1.0.0" / "sbom.cdx.json").read_text(encoding="utf-8"))
    assert "numpy" in {component["name"] for component in bill["components"]}
    assert "Report 1.0.0" in (reports / "v1.0.0" / "index.html").read_text(encoding="utf-8")
    assert "Compared with version 1.0.0" in (reports / "latest" / "changes.html").read_text(encoding="utf-8")
    again = run(project, "--release", "1.0.0")
    assert again.returncode == 1 and "never rewritten" in again.stderr and "Traceback" not in again.stderr
    gone = run(project, "--withdraw", "1.0.0", "--reason", "a row was misread")
    assert (gone.returncode, gone.stderr) == (0, "")
    assert "a row was misread" in (reports / "index.html").read_text(encoding="utf-8")
