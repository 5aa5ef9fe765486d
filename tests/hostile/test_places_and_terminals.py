"""Terminals of other encodings, the interrupt key, places away from a checkout, packed bombs, pages that run nought."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from replication import paths
from replication.errors import UserError
from replication.study.microdata.r_files import read_saved_tables
from replication.study.rendering import page, table
from tests.data.small import Small

ROOT = paths.project_root()


def study(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "replication.study", *arguments]
    given = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(command, cwd=ROOT, env=given, capture_output=True, timeout=120, check=False)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_terminal_that_lacks_an_arrow_gets_the_nearest_letters(tmp_path: Path, encoding: str) -> None:
    small = Small.build(tmp_path / "references", paths.data_dir())
    small.replace("alpha2020/effects.csv", ",.35,", ',"0,35 李",')
    done = study("check", "alpha2020", "--data", str(small.root), PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    assert done.returncode == 1 and b"Traceback" not in done.stderr
    assert b'found "0,35 ?"; expected a number' in done.stdout and b"->" in done.stdout


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_interrupted_a_command_says_what_was_promised(tmp_path: Path) -> None:
    """Held at a place where it waits for us: the lock of the dataset."""
    from replication.writing import exclusive

    small = Small.build(tmp_path / "references", paths.data_dir())
    command = [sys.executable, "-m", "replication.study", "tidy", "alpha2020", "--data", str(small.root)]
    with exclusive(small.root):
        process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stderr is not None and "another command is writing" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 130 and "stopped; nothing was written" in said and "Traceback" not in said


@pytest.mark.parametrize("module", ["run", "study"])
def test_away_from_a_checkout_nothing_is_reported_of_no_analyses_nor_written_beside_the_package(
    tmp_path: Path, module: str
) -> None:
    installed, away = tmp_path / "site-packages", tmp_path / "away"
    away.mkdir()
    shutil.copytree(ROOT / "replication", installed / "replication", ignore=shutil.ignore_patterns("__pycache__"))
    before = {path.relative_to(installed) for path in installed.rglob("*")}
    small = Small.build(tmp_path / "references", paths.data_dir())
    arguments = ["preview", "alpha2020"] if module == "study" else []
    command = [sys.executable, "-B", "-m", f"replication.{module}", *arguments, "--data", str(small.root)]
    environment = {**os.environ, "PYTHONPATH": str(installed), "HOME": str(away)}
    done = subprocess.run(command, cwd=away, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1 and "run this in a checkout" in done.stderr
    assert {path.relative_to(installed) for path in installed.rglob("*")} == before
    assert not (away / "reports").exists()


def test_the_cache_of_an_installed_package_is_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if sys.platform == "linux":
        assert paths.cache_dir(tmp_path / "site-packages") == tmp_path / "tsr-replication"
    assert paths.cache_dir(ROOT) == ROOT / ".cache"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--release", "9.9.9", "--check"), "two different things"),
        (("--withdraw", "1.0.0", "--release", "9.9.9"), "two different things"),
        (("--release", "9.9.9", "--out", "x"), "leave out --out"),
        (("--release", "9.9.9", "--no-sampling"), "--no-sampling"),
    ],
)
def test_options_of_which_one_would_be_ignored_are_refused_at_once(
    arguments: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from replication.run import main

    monkeypatch.setattr(sys, "argv", ["run", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1 and said in capsys.readouterr().err


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_packed_bomb_is_refused_before_it_fills_the_memory(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "bomb.rda"
    path.write_bytes(pack(bytes(260_000_000)))
    with pytest.raises(UserError, match="unpacks to more than 256 MB"):
        read_saved_tables(path)


def test_pages_of_the_study_commands_load_and_run_nothing() -> None:
    text = page("<script>alert(1)</script>", [table(("a",), [("<img src=x onerror=alert(1)>",)])])
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)
    assert policy is not None and policy[1].startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy[1] and "<script" not in text and "<img" not in text
