"""The study command in this process, and a small invented dataset to use it on."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from replication import paths
from replication.study.commands import main
from tests.data.small import Small


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
