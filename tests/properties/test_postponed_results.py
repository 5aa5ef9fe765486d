"""A run that does not sample postpones slow results nobody has kept: said, never stored as whole, never released."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import replication.report
from replication import paths, workflow
from replication.analysis import Context, Findings, load_analysis, run_analysis
from replication.dataset import load_dataset
from replication.errors import UserError
from replication.stored import outcome_paths, read_outcome, read_stored, write_outcome
from tests.data.small import Small

ANALYSIS = """
from replication.analysis import Analysis, Estimate, Findings

def run(context):
    one, other = (context.remember(name, "key of {rows}", lambda: {rows}) for name in ("bias-one", "bias-other"))
    found = [("quick", {quick}), ("one", one), ("other", other)]
    return Findings(estimates=tuple(Estimate(id=n, label=n, metric="r", value=v) for n, v in found if v is not None))

ANALYSIS = Analysis(id="asks", title="t", question="q", run=run)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of the small dataset whose one analysis asks for two slow results; its report has one page."""
    root = tmp_path / "project"
    (root / "data").mkdir(parents=True)
    Small.build(root / "data" / "references", paths.data_dir())
    (root / "analyses" / "findings").mkdir(parents=True)
    edit(root)
    # Python takes a file of the same size and second for the one it compiled before.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(paths, "project_root", lambda: root)
    monkeypatch.setattr(replication.report, "build_report", page)
    monkeypatch.setattr(replication.report, "Workshop", SimpleNamespace(of=lambda _: None))
    monkeypatch.setattr(workflow, "code_digest", lambda _package: "the code")
    monkeypatch.setattr("replication.dataset.load_dataset", cache(load_dataset))
    return root


def edit(root: Path, rows: float = 0.3, quick: float = 0.1) -> None:
    """The analysis, with `rows` that its slow results are of."""
    text = ANALYSIS.format(rows=rows, quick=quick)
    (root / "analyses" / "findings" / "asks.py").write_text(text, encoding="utf-8")


def page(folder: Path, outcomes: Sequence[Mapping[str, Any]], *_: object, **__: object) -> str:
    """Stands for the pages, which other tests make."""
    for outcome in outcomes:
        write_outcome(folder, outcome)
    (folder / "index.html").write_text("a page", encoding="utf-8")
    return ""


def request(*, sampling: bool, out: str = "latest", fresh: bool = False) -> workflow.Request:
    target = paths.reports_dir() / out
    return workflow.Request(ids=(), data=paths.data_dir(), out=target, jobs=1, sampling=sampling, fresh=fresh)


def run(*, sampling: bool, out: str = "latest", fresh: bool = False) -> dict[str, Any]:
    """The outcome of a run."""
    assert workflow.make_report(request(sampling=sampling, out=out, fresh=fresh)) == 0
    (outcome,) = map(read_outcome, outcome_paths(paths.reports_dir() / out).values())
    assert isinstance(outcome, dict)
    return outcome


def values(outcome: dict[str, Any]) -> dict[str, float]:
    return {estimate["id"]: estimate["value"] for estimate in outcome["estimates"]}


def test_a_run_without_sampling_postpones_and_one_with_it_computes(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """New rows, then rows that are kept, then others again: nothing of one state is shown in another."""
    for rows in (0.3, 0.5):
        edit(project, rows)
        lacking = run(sampling=False)
        assert values(lacking) == {"quick": 0.1} and lacking["postponed"] == ["bias-one", "bias-other"]
        assert (
            "Not computed in this run, as its rows are new: asks (bias-one, bias-other); a run"
            in capsys.readouterr().out
        )
        whole = run(sampling=True)
        assert values(whole) == {"quick": 0.1, "one": rows, "other": rows} and whole["postponed"] == []
        assert whole == run(sampling=True, out="fresh", fresh=True), "what follows a postponed one is as computed anew"
        assert "Not computed" not in capsys.readouterr().out
    edit(project, 0.3)
    assert values(run(sampling=False))["one"] == 0.3, "what a run with sampling computed is kept for those without"


def test_a_postponed_result_is_shown_as_soon_as_somebody_has_computed_it(project: Path) -> None:
    assert run(sampling=False)["postponed"]
    run(sampling=True, out="elsewhere")
    again = run(sampling=False)
    assert again["postponed"] == [] and values(again)["one"] == 0.3, "the report of before is not taken for today's"


@pytest.mark.parametrize("stored", [{}, {"bias-one": 0.3}], ids=["both postponed", "one kept"])
def test_a_comparison_skips_what_was_postponed_says_so_and_compares_the_rest(
    project: Path, stored: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in stored.items():
        workflow._cache(request(sampling=False)).put(name, "key of 0.3", value)
    run(sampling=False)
    capsys.readouterr()
    assert workflow.compare(request(sampling=True)) == 0
    named = ", ".join(name for name in ("bias-one", "bias-other") if name not in stored)
    assert f"Not compared, because the stored report has not computed it: asks ({named});" in capsys.readouterr().out
    edit(project, quick=0.2)
    assert workflow.compare(request(sampling=True)) == 2
    assert "asks.estimates[0].value: stored 0.1, now 0.2" in capsys.readouterr().out


def test_a_comparison_computes_what_the_stored_report_has(project: Path) -> None:
    """Also without sampling, and without what is kept: a comparison that postponed would compare nothing."""
    run(sampling=True)
    assert workflow.compare(request(sampling=False)) == 0
    edit(project, rows=0.4)
    assert workflow.compare(request(sampling=False)) == 2


def test_what_one_analysis_lacks_is_not_said_of_the_next(project: Path) -> None:
    lacking = load_analysis(project / "analyses" / "findings" / "asks.py")
    context = Context(load_dataset(paths.data_dir()), postpones=("bias-other",))
    whole = replace(lacking, run=lambda _: Findings())
    assert [run_analysis(one, context).postponed for one in (lacking, whole)] == [("bias-other",), ()]


def postpone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every run postpone one slow result, as if by some fault."""
    begin = workflow._outcomes
    monkeypatch.setattr(
        workflow, "_outcomes", lambda wanted, data, _: begin(wanted, data, None, (), {"asks": ("bias-one",)})
    )


def test_nothing_postponed_is_released(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as fault:
        postpone(fault)
        with pytest.raises(UserError, match=r"postponed: asks \(bias-one\)"):
            workflow.make_release(request(sampling=True), "1.0.0")
    assert not (project / "reports" / "v1.0.0").exists() and not (project / "reports" / "versions.json").exists()
    assert workflow.make_release(request(sampling=True), "1.0.0") == 0


def test_a_folder_that_lacks_a_postponed_result_is_no_interrupted_release(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    postpone(monkeypatch)
    run(sampling=True)
    stored = read_stored(project / "reports" / "latest")
    assert stored is not None and stored.whole and not stored.failed and not stored.complete
