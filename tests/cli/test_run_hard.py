"""`python -m replication.run` in bad conditions: damaged reports, places that cannot be written, a killed parent."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from replication.errors import UserError
from replication.stored import read_stored, stored_or_none, write_outcome
from tests.project import run, start


def test_a_report_that_lost_a_page_is_made_anew(reported: Path) -> None:
    page = reported / "reports" / "latest" / "works.html"
    page.unlink()
    checked = run(reported, "--check")
    assert checked.returncode == 2 and "changed, added or removed" in checked.stdout
    assert "Nothing has changed" not in run(reported).stdout
    assert page.exists()
    assert run(reported, "--check").returncode == 0


def test_a_damaged_outcome_is_named_by_check_and_renewed_by_a_run(reported: Path) -> None:
    latest = reported / "reports" / "latest"
    path = latest / "outcomes" / "magro2024.json"
    whole = path.read_bytes()
    for content in (b"{}", b"[1]", b"null", b'{"id": 3', b"\x00", b"\xff\xfe", b"[" * 100_000):
        path.write_bytes(content)
        # Such a report counts as none for a run, which makes it anew, and as an error for who wants to compare with it.
        assert stored_or_none(latest) is None
        with pytest.raises(UserError, match=r"magro2024\.json is damaged"):
            read_stored(latest)
    checked = run(reported, "--check")
    assert checked.returncode == 1 and "magro2024.json is damaged" in checked.stderr
    assert "Traceback" not in checked.stderr
    assert run(reported, "--quiet").returncode == 0
    assert path.read_bytes() == whole


def test_an_outcome_is_read_back_as_it_was_written_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    """Findings are compressed and the rest is not; the same outcome gives the same bytes whenever it is written."""
    parts = ("checks", "estimates", "tables", "figures", "sentences", "exclusions", "draws")
    lists: dict[str, list[Any]] = {part: [] for part in parts}
    lists["exclusions"] = [{"row": "å-1", "reason": "one"}, {"row": "å-2", "reason": "two"}]
    outcomes = [{"id": n, "kind": n, "title": "æ", "question": "", **lists} for n in ("finding", "reproduction")]
    for outcome in outcomes:
        write_outcome(tmp_path, outcome)
    path = tmp_path / "outcomes" / "finding.json.gz"
    (tmp_path / "run.json").write_text('{"analyses": ["finding", "reproduction"]}', encoding="utf-8")
    stored, whole = read_stored(tmp_path), path.read_bytes()
    assert sorted(p.name for p in path.parent.iterdir()) == ["finding.json.gz", "reproduction.json"]
    shown = {name: part for name, part in outcomes[0].items() if name != "draws"}
    text = json.dumps(shown, ensure_ascii=False, separators=(",", ":"))
    assert gzip.decompress(whole).decode() == f"{text}\n"
    assert stored is not None
    assert list(stored.outcomes) == [{k: v for k, v in outcome.items() if k != "draws"} for outcome in outcomes]
    os.utime(path, (0, 0))
    write_outcome(tmp_path, outcomes[0])
    assert path.read_bytes() == whole and whole[4:8] == bytes(4), "no time of writing within"
    for content in (b"", b"{}", whole[:-9], whole[:12] + b"\xff" + whole[13:], gzip.compress(b"[1]")):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"finding\.json\.gz is damaged"):
            read_stored(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "README/x"], "is not a folder"),
        (["--out", "/proc/nowhere"], "/proc"),
        (["--release", ""], "is not a version"),
        (["--as-of", "9.9.9"], "no version 9.9.9 yet"),
        (["--as-of", "1.0"], "write it as 1.0.0"),
    ],
)
def test_options_that_cannot_be_are_refused_in_a_line(project: Path, arguments: list[str], message: str) -> None:
    (project / "README").write_text("here", encoding="utf-8")
    done = run(project, *arguments)
    assert done.returncode == 1 and message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_claim_that_is_gone_is_said_without_a_traceback(project: Path) -> None:
    claims = project / "data" / "references" / "roorda2017" / "claims.csv"
    claims.write_text(claims.read_text(encoding="utf-8").replace("roorda2017-007", "roorda2017-907"), encoding="utf-8")
    done = run(project)
    assert done.returncode == 1 and "roorda2017/claims.csv: found no such row" in done.stderr
    assert "Traceback" not in done.stderr


def test_output_that_nobody_reads_is_no_error_of_ours(project: Path) -> None:
    with Path("/dev/full").open("w") as full:
        process = start(project, "--list")
        process.communicate()
        again = subprocess.run(process.args, cwd=project, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert again.returncode == 1 and "Traceback" not in again.stderr


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes in /proc")
def test_workers_end_with_the_run_that_is_killed(project: Path) -> None:
    for name in ("slow_a", "slow_b", "slow_c", "slow_d"):
        text = (
            "import time\nfrom replication.analysis import Analysis, Findings\n\n\ndef run(context):\n"
            "    time.sleep(30)\n    return Findings()\n\n\n"
            f'ANALYSIS = Analysis(id="{name}", title="t", question="q", run=run)\n'
        )
        (project / "analyses" / "reproductions" / f"{name}.py").write_text(text, encoding="utf-8")
    (project / ".cache").mkdir(exist_ok=True)  # on a fresh checkout a third process compiles templates
    process = start(project, "--jobs", "2")
    children = waited(lambda: running(process.pid), 15)
    assert len(children) == 2
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert waited(lambda: [1] if not any(Path(f"/proc/{pid}").exists() for pid in children) else [], 10)


def running(parent: int) -> list[int]:
    """The processes that the run has started, once both are there."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == parent:
                found.append(int(entry.name))
    return found if len(found) >= 2 else []


def waited(look: Callable[[], list[int]], seconds: float) -> list[int]:
    """What `look` finds, as soon as it finds something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.1)
    return []
