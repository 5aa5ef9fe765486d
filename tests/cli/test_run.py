"""`python -m replication.run` as its users run it: in a process of its own, on copies of the project."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.project import FAST, run, start


def test_a_run_writes_the_report_and_prints_the_verdicts(project: Path) -> None:
    done = run(project)
    assert done.returncode == 0, done.stderr
    assert "roorda2017" in done.stdout
    assert str(project / "reports" / "latest" / "index.html") in done.stdout
    report = project / "reports" / "latest"
    assert json.loads((report / "run.json").read_text(encoding="utf-8"))["analyses"] == sorted(FAST)
    again = run(project)
    assert run(project, "--quiet").stdout == ""
    assert "Nothing has changed" in again.stdout
    assert run(project, "--check").returncode == 0


def test_a_run_in_which_nothing_has_changed_loads_nothing_heavy(reported: Path) -> None:
    code = (
        "import sys; sys.argv = ['run', '--quiet']\nfrom replication.run import main\n"
        "try: main()\nexcept SystemExit as done: print(done.code)\n"
        "print(sorted({'typer', 'pydantic', 'numpy', 'pandas', 'jinja2', 'rich'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(reported)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=reported, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["0", "[]"]


def test_a_changed_number_is_found_by_check(reported: Path) -> None:
    path = reported / "reports" / "latest" / "outcomes" / "roorda2017.json"
    stored = json.loads(path.read_text(encoding="utf-8"))
    stored["estimates"][0]["value"] += 1e-6
    path.write_text(json.dumps(stored), encoding="utf-8")
    checked = run(reported, "--check")
    assert checked.returncode == 2
    assert "roorda2017.estimates[0].value" in checked.stdout


def test_bad_data_ends_in_lines_that_say_where_and_leaves_the_report(reported: Path) -> None:
    before = (reported / "reports" / "latest" / "run.json").read_bytes()
    effects = reported / "data" / "references" / "roorda2011" / "effects.csv"
    effects.write_text(effects.read_text(encoding="utf-8").replace("-0.54", "-5.4", 1), encoding="utf-8")
    done = run(reported)
    assert done.returncode == 1
    assert 'roorda2011/effects.csv, row 2, column value: found "-5.4"' in done.stderr
    assert "Traceback" not in done.stderr
    assert (reported / "reports" / "latest" / "run.json").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["roorda2018"], 'no analysis "roorda2018": did you mean "roorda2017"?'),
        (["--data", "nowhere"], "no such folder"),
        (["--out", "data"], "not a report"),
        (["--seed", "x"], "--help"),
        (["--chek"], "--help"),
        (["--check"], "run without --check first"),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_1(project: Path, arguments: list[str], message: str) -> None:
    done = run(project, *arguments)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def test_a_broken_analysis_file_is_named(project: Path) -> None:
    (project / "analyses" / "reproductions" / "broken.py").write_text("def run(:\n", encoding="utf-8")
    done = run(project)
    assert done.returncode == 1
    assert "reproductions/broken.py cannot be loaded" in done.stderr


def test_list_names_every_analysis_with_its_question(project: Path) -> None:
    done = run(project, "--list")
    assert [line.split()[0] for line in done.stdout.splitlines()] == sorted(FAST)


def test_named_analyses_leave_the_whole_report_alone(reported: Path) -> None:
    before = (reported / "reports" / "latest" / "run.json").read_bytes()
    assert run(reported, "magro2024").returncode == 0
    assert (reported / "reports" / "partial" / "run.json").exists()
    assert (reported / "reports" / "latest" / "run.json").read_bytes() == before


def test_same_input_same_bytes_but_for_the_stamp(reported: Path) -> None:
    shutil.rmtree(reported / ".cache")  # the report it comes with was made in another folder
    assert run(reported, "--quiet", "--out", str(reported / "reports" / "again")).returncode == 0
    one, two = (
        {p.relative_to(r): p.read_bytes() for p in r.rglob("*") if p.is_file()}
        for r in (reported / "reports" / "latest", reported / "reports" / "again")
    )
    assert one.keys() == two.keys()
    different = {str(name) for name in one if one[name] != two[name]}
    # .made.json.gz is no part of what a reader is given; it holds the digest of every page, also of the stamp's.
    assert different <= {"run.json", "provenance.html", ".made.json.gz"}


def moments() -> Iterator[float]:
    yield from (0.4, 1.0, 1.8)


def test_killed_at_any_moment_the_previous_report_is_whole(reported: Path) -> None:
    report = reported / "reports" / "latest"
    names = {p.relative_to(report) for p in report.rglob("*")}
    for seconds in moments():
        shutil.rmtree(reported / ".cache", ignore_errors=True)
        process = start(reported, "--seed", str(int(seconds * 1000)))
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert {p.relative_to(report) for p in report.rglob("*")} == names
        json.loads((report / "run.json").read_text(encoding="utf-8"))


def test_two_runs_at_once_leave_one_whole_report(project: Path) -> None:
    runs = [start(project, "--seed", str(seed)) for seed in (1, 2)]
    errors = [process.communicate(timeout=120)[1] for process in runs]
    assert [process.returncode for process in runs] == [0, 0], errors
    report = project / "reports" / "latest"
    seed = json.loads((report / "run.json").read_text(encoding="utf-8"))["seed"]
    assert seed in (1, 2)
    assert run(project, "--check", "--seed", str(seed)).returncode == 0
