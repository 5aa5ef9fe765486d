"""Releases: killed at any write event they are taken up by the same command; nothing half-made is ever listed."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import replication.report
from replication import paths, workflow
from replication.dataset import load_dataset
from replication.errors import UserError
from replication.report.releases import damaged, read_releases
from replication.report.sbom import needed_packages
from replication.report.site import versions_page
from replication.stored import read_stored, write_outcome
from tests.data.small import Small
from tests.hostile.killing import KILLED, STEP, forked

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forks")

ANALYSIS = """
from replication.analysis import Analysis, Estimate, Findings

def run(context):
    return Findings(estimates=(Estimate(id="mean", label="mean", metric="r", value={value}),))

ANALYSIS = Analysis(id="{name}", title="t", question="q", run=run, slow={slow})
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of the small dataset with one quick and one slow analysis; its reports have two pages, made at once."""
    root = tmp_path / "project"
    (root / "data").mkdir(parents=True)
    Small.build(root / "data" / "references", paths.data_dir())
    (root / "analyses" / "reproductions").mkdir(parents=True)
    put(root, "quick", 0.1, slow=False)
    put(root, "slow", 0.2, slow=True)
    monkeypatch.setattr(paths, "project_root", lambda: root)
    monkeypatch.setattr(replication.report, "build_report", pages)
    monkeypatch.setattr(replication.report, "Workshop", SimpleNamespace(of=lambda _: None))
    monkeypatch.setattr(workflow, "code_digest", lambda _package: "the code")  # as long as everything else together
    monkeypatch.setattr("replication.dataset.load_dataset", cache(load_dataset))
    monkeypatch.setattr("replication.report.sbom.needed_packages", cache(needed_packages))
    return root


def put(root: Path, name: str, value: float, *, slow: bool) -> None:
    text = ANALYSIS.format(name=name, value=value, slow=slow)
    (root / "analyses" / "reproductions" / f"{name}.py").write_text(text, encoding="utf-8")


def pages(folder: Path, outcomes: Sequence[Mapping[str, Any]], *_: object, **__: object) -> str:
    """Stands for the pages, which another test makes: what is tested here is when they appear."""
    for outcome in outcomes:
        write_outcome(folder, outcome)
    (folder / "works").mkdir()
    (folder / "index.html").write_text(json.dumps(outcomes), encoding="utf-8")
    (folder / "works" / "a.html").write_text("a", encoding="utf-8")
    return ""


def release(root: Path, version: str, **options: object) -> Callable[[], int]:
    """`--release VERSION` as something to do."""

    def act() -> int:
        given = {"ids": (), "data": paths.data_dir(), "out": paths.reports_dir() / "latest", "jobs": 1, "quiet": True}
        try:
            return workflow.make_release(workflow.Request(**{**given, **options}), version)  # type: ignore[arg-type]
        except UserError as error:
            sys.stderr.write(f"{error}\n")
            return 1

    del root
    return act


def whole(reports: Path) -> bool:
    """The page is that of the list, and every listed folder is as it was released."""
    page = (reports / "index.html").read_text(encoding="utf-8")
    return damaged(reports) == [] and page == versions_page(read_releases(reports))


def test_killed_at_any_write_event_a_release_is_taken_up_by_the_same_command(project: Path, tmp_path: Path) -> None:
    assert release(project, "1.0.0")() == 0  # in this process: what it imports, the forks have
    kept = tmp_path / "kept"
    shutil.copytree(project, kept)
    said, states = tmp_path / "said", set()
    for event in range(1, 400, STEP):
        shutil.rmtree(project)
        shutil.copytree(kept, project)
        if forked(release(project, "1.1.0"), event) != KILLED:
            break
        reports = project / "reports"
        assert damaged(reports) == [], event
        listed = [entry.version for entry in read_releases(reports)]
        states.add((len(listed), (reports / "v1.1.0").exists()))
        code = forked(release(project, "1.1.0"), said=said)
        text = said.read_text(encoding="utf-8")
        assert code == 0 or "exists already" in text, (event, text)
        assert forked(release(project, "1.2.0"), said=said) == 0, (event, said.read_text(encoding="utf-8"))
        assert [entry.version for entry in read_releases(reports)] == ["1.0.0", "1.1.0", "1.2.0"], event
        assert whole(reports), event
        latest = read_stored(reports / "latest")
        assert latest is not None and latest.whole, event
        assert not [p.name for p in reports.iterdir() if p.name.startswith(".") and p.name != ".lock"], event
    else:
        raise AssertionError("never came to an end")
    assert STEP > 1 or states == {(1, False), (1, True), (2, True)}  # killed before, between, after folder and list


def test_withdrawn_and_killed_the_list_and_its_page_agree(project: Path, tmp_path: Path) -> None:
    assert forked(release(project, "1.0.0")) == 0
    kept = tmp_path / "kept"
    shutil.copytree(project, kept)

    def act() -> int:
        workflow.withdraw_release("1.0.0", "a row was misread")
        return 0

    seen = set()
    for event in range(1, 100, STEP):
        shutil.rmtree(project)
        shutil.copytree(kept, project)
        if forked(act, event) != KILLED:
            break
        from replication.writing import finish_writing

        finish_writing(project / "reports")
        assert whole(project / "reports"), event
        seen.add(read_releases(project / "reports")[0].withdrawn)
    assert seen == {"", "a row was misread"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sampling": False}, "--no-sampling"),
        ({"ids": ("quick",)}, "ids"),
        ({"as_of": "1.0.0"}, "--as-of"),
    ],
)
def test_a_release_leaves_nothing_out(project: Path, options: dict[str, object], said: str) -> None:
    request = workflow.Request(data=paths.data_dir(), out=project / "reports" / "latest", **{"ids": (), **options})  # type: ignore[arg-type]
    with pytest.raises(UserError, match=said):
        workflow.make_release(request, "1.0.0")
    assert not (project / "reports" / "versions.json").exists()


def test_a_release_takes_nothing_from_the_cache(project: Path) -> None:
    """A cache with whole, well-named entries of another number: the frozen report has the computed one."""
    assert forked(release(project, "1.0.0")) == 0
    from replication.provenance import Cache

    for path in (project / ".cache" / "outcomes").glob("quick.*.json"):
        entry = json.loads(path.read_text(encoding="utf-8"))
        entry["result"]["estimates"][0]["value"] = 0.9
        Cache(project / ".cache").put("quick", entry["key"], entry["result"])
    assert forked(release(project, "1.1.0")) == 0
    frozen = json.loads((project / "reports/v1.1.0/outcomes/quick.json").read_text(encoding="utf-8"))
    assert frozen["estimates"][0]["value"] == 0.1


def test_nothing_is_released_while_an_analysis_fails(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    text = ANALYSIS.format(name="bad", value="1 / 0", slow=False)
    (project / "analyses" / "reproductions" / "bad.py").write_text(text, encoding="utf-8")
    assert release(project, "1.0.0")() == 1
    assert "bad failed: ZeroDivisionError" in capfd.readouterr().err
    assert not (project / "reports" / "v1.0.0").exists() and read_releases(project / "reports") == ()


def test_a_folder_that_is_not_ours_to_take_up_is_left_alone(project: Path) -> None:
    """A frozen folder lost from the list must never be written over, though its version is free by the list."""
    assert forked(release(project, "1.0.0")) == 0
    (project / "reports" / "versions.json").unlink()
    put(project, "quick", 0.3, slow=False)
    before = (project / "reports/v1.0.0/outcomes/quick.json").read_bytes()
    with pytest.raises(UserError, match=r"restore versions\.json"):
        workflow.make_release(workflow.Request(ids=(), data=paths.data_dir(), out=project / "reports/latest"), "1.0.0")
    assert (project / "reports/v1.0.0/outcomes/quick.json").read_bytes() == before
