"""`python -m replication.study` as a process: help, errors without traceback, exit codes; hostile folders."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from replication import paths
from tests.cli.conftest import Command
from tests.data.small import Small

COMMANDS = (
    "new", "check", "answer", "convert", "preview", "agree", "settle", "compute", "todo", "versions", "export",
    "codebook",
)  # fmt: skip


def process(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(paths.project_root()), "COLUMNS": "100"}
    command = [sys.executable, "-m", "replication.study", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=cwd, check=False)


def test_help_names_every_command_and_loads_nothing_heavy() -> None:
    said = process("--help")
    assert said.returncode == 0
    assert all(f" {name} " in said.stdout for name in COMMANDS)
    code = "import sys; sys.argv = ['study', '--help']\nfrom replication.study.commands import main\n"
    code += "try:\n    main()\nexcept SystemExit:\n    pass\n"
    code += "heavy = {'pandas', 'numpy', 'scipy', 'pydantic', 'matplotlib', 'statsmodels'} & set(sys.modules)\n"
    code += "sys.exit(f'loaded {heavy}' if heavy else 0)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert loaded.returncode == 0, loaded.stderr


def test_a_check_loads_neither_data_frames_nor_special_functions(small: Small) -> None:
    """They take longer to load than the whole dataset to read, and a check needs neither."""
    code = f"import sys; sys.argv = ['study', 'check', 'alpha2020', '--data', {str(small.root)!r}]\n"
    code += "from replication.study.commands import main\n"
    code += "try:\n    main()\nexcept SystemExit as done:\n    print('exit', done.code)\n"
    code += "print(sorted({'pandas', 'scipy.special', 'scipy.stats', 'babel', 'openpyxl'} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert said.stdout.endswith("nothing to mend.\nexit 0\n[]\n"), said.stdout + said.stderr


def test_an_error_is_one_plain_line(small: Small) -> None:
    said = process("check", "nobody2020", "--data", str(small.root))
    assert said.returncode == 1
    assert said.stderr.startswith("error: no work") and said.stderr.count("\n") == 1 and said.stdout == ""


def test_no_command_shows_the_help() -> None:
    said = process()
    assert "Usage" in said.stdout + said.stderr


def test_a_wrong_option_is_said_plainly(study: Command) -> None:
    said = study("check", "--frmat", "html")
    assert said.code == 1 and "--frmat" in said.err and "see --help" in said.err


@pytest.mark.parametrize("command", ["check", "todo", "export", "preview", "codebook"])
def test_a_broken_dataset_stops_every_command_with_a_line(study: Command, small: Small, command: str) -> None:
    small.write("vocabulary.toml", "[kind\n")
    arguments = {"preview": ("alpha2020",), "export": ("--out", small.root.parent / "out")}.get(command, ())
    said = study(command, *arguments, "--data", small.root)
    assert said.code == 1
    assert "vocabulary.toml" in said.out + said.err and "Traceback" not in said.out + said.err
    assert not (small.root.parent / "out").exists()


def test_a_dataset_without_any_table_is_checked_too(study: Command, small: Small) -> None:
    for path in small.root.rglob("*.csv"):
        path.unlink()
    assert study("check", "--data", small.root).out == "the dataset: nothing to mend.\n"
    assert study("export", "--out", small.root.parent / "out", "--data", small.root).code == 0


def test_a_hundred_thousand_rows_are_all_reported_and_two_hundred_shown(study: Command, small: Small) -> None:
    header, row, _ = (small.root / "alpha2020/effects.csv").read_text(encoding="utf-8").splitlines()
    rows = [row.replace("e1", f"e{i}", 1).replace(".35", "much") for i in range(100_000)]
    small.write("alpha2020/effects.csv", "\n".join([header, *rows]) + "\n")
    said = study("check", "alpha2020", "--data", small.root)
    lines = said.out.splitlines()
    assert said.code == 1 and len(lines) == 202
    assert lines[200].startswith("… and ") and "more" in lines[200]
    assert lines[201].startswith("alpha2020: 199999 problems to mend")


def test_a_new_work_survives_a_full_stop_between_its_two_steps(study: Command, small: Small) -> None:
    """What a killed run leaves is said by the check, with what to do."""
    shutil.copytree(small.root / "alpha2020", small.root / "gamma2022")
    text = study("check", "gamma2022", "--data", small.root).out
    assert "add an entry @article{gamma2022, …} to references.bib" in text
