"""One analysis that fails, one letter without a glyph, one typesetter that is killed: everything else is whole."""

from __future__ import annotations

import json
from pathlib import Path

import pypdf
import pytest

from replication import paths, workflow
from replication.analysis import analysis_files, load_analysis
from replication.analysis.failures import failed_outcome
from replication.dataset import Dataset
from replication.dataset.letters import lacks_glyph
from replication.report import build_report, pdf
from tests.data.small import Small
from tests.hostile.test_releases import ANALYSIS

BAD = {
    "divides": "1 / 0",
    "exits": "__import__('sys').exit(3)",
    "nests": "(lambda f: f(f))(lambda f: f(f))",
    "odd": "object()",
    "names": "nobody",
}
RUN = {"time": "2024-01-01T00:00:00Z", "dataset_version": "1.0.0", "dataset_digest": "abc", "seed": 2024}
FOREIGN = "王秀英 and 山田太郎 and 김민수 and สมชาย and 😀 and محمد and Øyvind"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small dataset, with authors of other scripts, one sound analysis and many bad ones."""
    root = tmp_path / "project"
    (root / "data").mkdir(parents=True)
    small = Small.build(root / "data" / "references", paths.data_dir())
    small.replace("references.bib", "Invented, I.", FOREIGN)
    folder = root / "analyses" / "reproductions"
    folder.mkdir(parents=True)
    for name, value in {"sound": "0.1", **BAD}.items():
        (folder / f"{name}.py").write_text(ANALYSIS.format(name=name, value=value, slow=False), encoding="utf-8")
    (folder / "unreadable.py").write_text("def run(:\n", encoding="utf-8")
    (folder / "raises.py").write_text("raise ValueError('at import')\n", encoding="utf-8")
    monkeypatch.setattr(paths, "project_root", lambda: root)
    return root


def test_failing_analyses_are_pages_that_say_so_and_the_report_is_whole(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = workflow.Request(ids=(), data=paths.data_dir(), out=paths.reports_dir() / "latest", jobs=1)
    assert workflow.make_report(request) == 1
    said = capsys.readouterr().err
    failed = {*BAD, "unreadable", "raises"}
    assert all(f"error: {name} failed: " in said for name in failed) and "Traceback" not in said
    latest = project / "reports" / "latest"
    record = json.loads((latest / "run.json").read_text(encoding="utf-8"))
    assert set(record["failed"]) == failed and set(record["analyses"]) == {*failed, "sound"}
    sound = json.loads((latest / "outcomes" / "sound.json").read_text(encoding="utf-8"))
    assert sound["estimates"][0]["value"] == 0.1
    page = (latest / "analyses" / "divides.html").read_text(encoding="utf-8")
    assert "This analysis failed" in page and "ZeroDivisionError" in page
    assert "Not everything could be computed" in (latest / "index.html").read_text(encoding="utf-8")
    for name in failed:  # mended, the same command makes a whole report of them
        text = ANALYSIS.format(name=name, value=0.2, slow=False)
        (project / "analyses" / "reproductions" / f"{name}.py").write_text(text, encoding="utf-8")
    assert workflow.make_report(request) == 0
    volumes = [pypdf.PdfReader(latest / name).pages for name in ("report.pdf", "appendix.pdf")]
    text = "".join(part.extract_text() for pages in volumes for part in pages)
    assert "□" in text and "the web pages show it" in text
    assert "王秀英" in (latest / "works" / "alpha2020.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("end", ["import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "raise SystemExit('no')"])
def test_without_the_typesetter_the_pages_are_whole_and_say_that_there_is_no_pdf(
    project: Path, end: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    setter = project / "setter.py"
    setter.write_text(end, encoding="utf-8")
    monkeypatch.setattr(pdf, "_SETTER", setter)
    request = workflow.Request(ids=("sound",), data=paths.data_dir(), out=paths.reports_dir() / "latest", quiet=True)
    assert workflow.make_report(request) == 1
    assert "report.pdf failed: the typesetter" in capsys.readouterr().err
    latest = project / "reports" / "latest"
    index = (latest / "index.html").read_text(encoding="utf-8")
    assert "There is no PDF of this report" in index and "report.pdf" not in index
    assert not (latest / "report.pdf").exists() and (latest / "replication-bundle.zip").exists()


def test_a_report_of_nothing_but_failures_has_every_page(dataset: Dataset, tmp_path: Path) -> None:
    files = analysis_files(paths.analyses_dir(), paths.data_dir())
    outcomes = [failed_outcome(name, path, "it broke", dataset, load_analysis(path)) for name, path in files.items()]
    assert json.loads(json.dumps(outcomes)) == outcomes, "titles are labels, outcomes plain data"
    assert build_report(tmp_path, outcomes, dataset, RUN) == ""
    for name in ("index", "claims", "methods", "missing", "findings/engagement", "findings/bullying", "nb/index"):
        assert "failed" in (tmp_path / f"{name}.html").read_text(encoding="utf-8") or name.startswith("nb/")


def test_letters_the_check_warns_of_are_those_the_typesetter_lacks() -> None:
    """Asked of the typesetter itself, for names of every script people are likely to bring."""
    import typst

    for word in ("王", "や", "한", "ส", "😀", "ব", "த", "ქ", "እ", "ខ", "ה", "ا", "न", "Ж", "Ω", "Ø", "ğ", "ẵ", "ə"):
        source = f'#set document(title: "x")\n#set text(lang: "en", font: "Libertinus Serif")\n#"{word}"'
        try:
            typst.compile(source.encode(), ignore_system_fonts=True, pdf_standards=["ua-1"])
            shown = True
        except typst.TypstError:
            shown = False
        assert bool(lacks_glyph(word)) == (not shown), word


def test_a_foreign_name_is_a_warning_and_no_error(tmp_path: Path) -> None:
    small = Small.build(tmp_path / "references", paths.data_dir())
    small.replace("references.bib", "Invented, I.", FOREIGN)
    checked = small.check()
    assert checked.errors == () and {p.rule for p in checked.problems} == {"no-glyph"}
