"""The study command in this process, a small invented dataset to use it on, and small copies of the project."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from replication import paths
from replication.study.commands import main
from tests.data.small import Small
from tests.project import FAST, run, small_project


@dataclass(frozen=True)
class Said:
    """What a command said: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


Command = Callable[..., Said]


@pytest.fixture
def small(tmp_path: Path) -> Small:
    """Two invented works, `alpha2020` and `beta2021`, with samples, effects and a claim."""
    return Small.build(tmp_path / "references", paths.data_dir())


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """`python -m replication.study ARGUMENTS`; nothing but SystemExit may leave it."""

    def run(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["study", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            main()
        captured = capsys.readouterr()
        return Said(int(exit_.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project with a few works and two reproductions, so that a run takes seconds."""
    _make(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same after a run, made once: tests of what comes after a run take copies of it."""
    folder = tmp_path_factory.mktemp("ran")
    _make(folder)
    done = run(folder, "--quiet")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    return folder


@pytest.fixture
def reported(ran: Path, tmp_path: Path) -> Path:
    """A copy of the project with its report."""
    return Path(shutil.copytree(ran, tmp_path, dirs_exist_ok=True))


def _make(folder: Path) -> None:
    small_project(folder, FAST)
    for record in (folder / "data" / "references").glob("*/work.toml"):  # works that only print are analyses as well
        lines = record.read_text(encoding="utf-8").splitlines(keepends=True)
        record.write_text("".join(line for line in lines if not line.startswith("printed_only")), encoding="utf-8")
