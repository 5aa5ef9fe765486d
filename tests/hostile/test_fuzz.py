"""Anything may stand in the dataset: what passes the check runs, is shown, previewed and exported; the rest is said.

`make fuzz` tries 20,000 inputs; here a few hundred, the same ones each time.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import re
import shutil
import signal
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import typer.main
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from replication import paths
from replication.analysis import Analysis, Context, Findings, plain, run_analysis
from replication.dataset import Checked, Dataset, check_dataset, load_dataset
from replication.dataset.letters import has_hidden
from replication.dataset.selection import select
from replication.errors import DataError, UserError
from replication.evidence.pooling import pool
from replication.report.archive import make_archive
from replication.report.gallery import as_csv
from replication.report.search import search_index
from replication.report.words import load_words
from replication.study import previewing
from replication.study.commands import main
from replication.study.exporting import export_dataset
from replication.study.previewing import preview_html, preview_lines, preview_work
from tests.data.small import Small
from tests.hostile.corpus import BYTES, CELLS, IMPOSSIBLE, RECORDS

LONG = "FUZZ" in os.environ
EXAMPLES = int(os.environ.get("FUZZ", "500"))
ENGAGEMENT = paths.analyses_dir() / "findings" / "engagement.py"
LONGEST = 20  # seconds of computing for one input: more is a hang, however busy the machine is
TABLES = ("alpha2020/effects.csv", "alpha2020/samples.csv", "alpha2020/claims.csv", "beta2021/effects.csv")
TEXTS = ("alpha2020/work.toml", "traps.toml", "article/statements.toml", "article/corrections.toml", "vocabulary.toml")
FILES = (*TABLES, *TEXTS, "references.bib", "VERSION", "alpha2020/NOTES.md")
OTHERS = {
    "alpha2020/explanations.toml": '[[explanation]]\nid = "x"\nclaims = ["alpha2020-001"]\nat_most = 0.1\n'
    'reason = "r"\nevidence = "e"\n',
    "alpha2020/answers.toml": '[[answer]]\nrule = "p"\nrows = ["alpha2020-e1"]\nfound = "f"\nreason = "r"\nwho = "w"\n',
    "alpha2020/measures.csv": "variable,measure,form,items,since\npositive,a,index,items,1.0.0\n",
    "alpha2020/descriptives.csv": "sample_id,variable,measure,n,mean,sd,scale_low,scale_high,reading,since\n"
    "alpha2020_s1,positive,a,120,3.1,.7,1,5,table,1.0.0\n",
    "alpha2020/NOTES.md": "# alpha2020\n\nInvented.\n",
}

Change = tuple[str, str, bytes]
"""A file, what was done to it in a word, and its new content."""


@pytest.fixture(scope="module")
def small() -> Iterator[Small]:
    """The small dataset with every kind of file; each input is put back."""
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr("typer.main.get_command", cache(typer.main.get_command))  # a third of what a check costs here
        remember_the_unchanged(patch)
        small = Small.build(Path(name) / "references", paths.data_dir())
        effects = "alpha2020/effects.csv"
        small.replace(effects, "since,note", "since,note,se,p,ci_low,ci_high,n_effective,clusters")
        small.write(effects, (small.root / effects).read_text(encoding="utf-8").replace("1.0.0,\n", "1.0.0,,,,,,,\n"))
        claims = (small.root / "alpha2020/claims.csv").read_text(encoding="utf-8")
        claims = claims.replace("printed,", "printed,ci_low,ci_high,se,p,k,n,").replace(",.34,", ",.34,.2,.48,,,2,200,")
        small.write("alpha2020/claims.csv", claims)
        samples = (small.root / "alpha2020/samples.csv").read_text(encoding="utf-8")
        samples = samples.replace("country,", "country,age_mean,female_pct,schools,").replace("Norway,", "Norway,,,,")
        small.write("alpha2020/samples.csv", samples)
        for file, text in OTHERS.items():
            small.write(file, text)
        yield small


def remember_the_unchanged(patch: pytest.MonkeyPatch) -> None:
    """An input changes one file of the dataset; what is made of all others is made once: half of what an input costs.

    Everything is remembered under the whole of what it is made from, so no input is answered with another's result.
    """
    patch.setattr("tomllib.loads", cache(tomllib.loads))
    patch.setattr("tests.hostile.test_fuzz.load_words", cache(load_words))
    computed = previewing._computed
    without: dict[object, previewing._Result] = {}

    def computed_once(task: previewing._Task, dataset: Dataset) -> previewing._Result:
        if "alpha2020" in dataset.works:
            return computed(task, dataset)
        tables = "".join(table.to_csv() for table in dataset.tables.values())
        key = (task.analysis.id, task.plans, repr(dataset.vocabulary), repr(dataset.works), tables)
        if key not in without:
            without[key] = computed(task, dataset)
        return without[key]

    patch.setattr(previewing, "_computed", computed_once)


def cell_changed(text: str, row: int, column: int, value: str, *, raw: bool) -> str:
    """A table with one cell changed; `raw` writes it without the quotes it may need."""
    rows = list(csv.reader(io.StringIO(text)))
    row, column = row % len(rows), column % len(rows[0])
    if raw:
        lines = [",".join(cells) for cells in rows]
        cells = [*rows[row][:column], value, *rows[row][column + 1 :]]
        return "\n".join([*lines[:row], ",".join(cells), *lines[row + 1 :]]) + "\n"
    rows[row][column] = value
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()


@st.composite
def changes(draw: st.DrawFn) -> tuple[str, str, object]:
    """What is done to which file: cells, bytes, lines of a record, or noise."""
    how = draw(st.sampled_from(("cell", "cell", "cell", "record", "bytes", "splice", "delete")))
    if how == "cell":
        value = draw(st.one_of(st.sampled_from(CELLS), st.text(max_size=12), st.floats().map(repr)))
        place = (draw(st.integers(0, 3)), draw(st.integers(0, 30)), value, draw(st.booleans()))
        return draw(st.sampled_from((*TABLES, "alpha2020/measures.csv", "alpha2020/descriptives.csv"))), how, place
    if how == "record":
        line = draw(st.one_of(st.sampled_from(RECORDS), st.text(max_size=20)))
        return draw(st.sampled_from((*TEXTS, *list(OTHERS)[:2], "references.bib"))), how, (line, draw(st.booleans()))
    if how == "splice":
        place = (draw(st.floats(0, 1)), draw(st.integers(0, 12)), draw(st.binary(max_size=12)))
        return draw(st.sampled_from(FILES)), how, place
    return draw(st.sampled_from((*FILES, *OTHERS))), how, draw(st.sampled_from(range(len(BYTES))))


def changed(small: Small, file: str, how: str, what: object) -> bytes | None:
    """The new content of the file; None deletes it."""
    path = small.root / file
    old = path.read_bytes()
    if how == "delete":
        return None
    if how == "bytes":
        return BYTES[what](old)  # type: ignore[index]
    if how == "splice":
        place, gone, new = what  # type: ignore[misc]
        at = int(place * len(old))
        return old[:at] + new + old[at + gone :]
    if how == "record":
        line, first = what  # type: ignore[misc]
        text = f"{line}\n{old.decode()}" if first else f"{old.decode()}\n{line}\n"
        return text.encode("utf-8", "surrogatepass")
    row, column, value, raw = what  # type: ignore[misc]
    return cell_changed(old.decode(), row, column, value, raw=raw).encode("utf-8", "surrogatepass")


@contextlib.contextmanager
def in_time() -> Iterator[None]:
    """An input that takes longer than it may is a hang."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def late(*_: object) -> None:
        raise AssertionError(f"no answer within {LONGEST} seconds of computing")

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, LONGEST)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def said_by(*arguments: str) -> tuple[int, str]:
    """A study command in this process: its exit code and everything it said."""
    out, argv = io.StringIO(), sys.argv
    try:
        sys.argv = ["study", *arguments]
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out), pytest.raises(SystemExit) as end:
            main()
    finally:
        sys.argv = argv
    return int(end.value.code or 0), out.getvalue()


def go_through_everything(small: Small) -> bool:
    """Check, run, show and export, which must agree; whether the dataset passes."""
    checked = check_dataset(small.root)
    with as_found(checked):  # read once: reading takes most of the time, and is the same for all
        code, text = said_by("check", "--data", str(small.root))
        assert "a fault of this program" not in text and "Traceback" not in text, text
        assert code == 1 or checked.dataset is not None
        for problem in checked.problems:
            line = str(problem)
            assert problem.found and problem.expected and line.isprintable(), line
        if checked.dataset is None:
            with pytest.raises(DataError, match="nothing was computed"):
                load_dataset(small.root)
            assert checked.errors
            return False
        use(load_dataset(small.root), small.root, text)
        preview(small.root)
    return True


@contextlib.contextmanager
def as_found(checked: Checked) -> Iterator[None]:
    """Every command reads the dataset as it was just read."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("replication.study.checking", "replication.study.previewing", "replication.dataset.loading"):
            patch.setattr(f"{module}.check_dataset", lambda *_: checked)
        yield


def preview(root: Path) -> None:
    """What a work changes, by one finding and the claims: said in words or computed, never a fault of the program."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("replication.study.previewing.analysis_files", lambda *_: {"engagement": ENGAGEMENT})
        patch.setattr("replication.study.previewing._FORKS", False)  # here, where a fault and a hang are seen
        if not LONG:  # a certainty fits forty models, which is as long as everything else of an input together
            patch.setattr("replication.study.previewing.grade_of_question", lambda *_: "low")
        found = preview_work(root, "alpha2020")
    assert not [reason for reason in found.failed.values() if re.match(r"\w+: ", reason)], found.failed
    assert not [line for line in preview_lines(found) if has_hidden(line.removeprefix("\n"))]
    assert "<script" not in preview_html(found)


def use(dataset: Dataset, root: Path, said: str) -> None:
    """A fast subset of what a run does with a dataset that can be read; what it refuses, the check has said."""
    works = tuple(dataset.works)
    outcome = plain(
        run_analysis(Analysis(id="x", title="", question="", run=lambda _: Findings(), claims=works), Context(dataset))
    )
    assert isinstance(outcome, dict)
    try:
        pool(select(dataset, pair=("positive", "engagement")), id="x", label="x")
    except UserError as error:  # too few rows for a pool is said; a row that passed and cannot be used must not be
        assert "no Fisher z" not in str(error), error
    try:
        archive = make_archive(dataset, [outcome], {})
    except UserError as error:
        assert str(error) in said
        return
    spoken = {language: load_words(language) for language in archive.menu.languages}
    for language in spoken:
        assert "<script" not in search_index(archive, spoken, language, {})
    for name in dataset.tables:
        table = archive.table(name)
        text = as_csv(list(table[0]) if table else [], [list(row.values()) for row in table])
        assert not any(runs(cell) for cells in csv.reader(io.StringIO(text)) for cell in cells)
    with tempfile.TemporaryDirectory() as folder:
        export_dataset(dataset, Path(folder) / "export", root / "references.bib")


def runs(cell: str) -> bool:
    """Whether a spreadsheet would run a cell; numbers and lone signs are none."""
    if not cell.startswith(("=", "+", "-", "@", "\t", "\r", "|", "%", "＝", "＋", "－", "＠")) or len(cell) == 1:
        return False
    try:
        float(cell.removesuffix("%"))
    except ValueError:
        return True
    return False


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=not LONG,  # the same inputs each time in CI, others each time in `make fuzz`
    database=None,
    phases=(Phase.explicit, Phase.generate),  # inputs are small as they are; shrinking takes minutes
    suppress_health_check=list(HealthCheck),
)
@given(change=changes())
@example(change=("VERSION", "splice", (0.48, 12, b"\x9a")))  # what this test has found is tried each time
@example(change=("alpha2020/claims.csv", "cell", (1, 26, "\ufffe", False)))
@example(change=("alpha2020/effects.csv", "splice", (0.0, 7, b"\x8b\xa0\x8b5`")))
@example(change=("alpha2020/samples.csv", "cell", (2, 14, "\r", False)))
@example(change=("article/statements.toml", "splice", (0.4032, 6, b"c")))
@example(change=("alpha2020/claims.csv", "splice", (0.5, 4, b"\xb6\xa0<\xd8")))
def test_whatever_stands_in_a_file_is_said_or_used(small: Small, change: tuple[str, str, object]) -> None:
    file, how, what = change
    path = small.root / file
    before = path.read_bytes()
    try:
        content = changed(small, file, how, what)
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
        with in_time():
            go_through_everything(small)
    finally:
        path.write_bytes(before)
        shutil.rmtree(small.root / ".journal", ignore_errors=True)


def test_the_dataset_that_is_fuzzed_passes_itself(small: Small) -> None:
    assert go_through_everything(small)


@pytest.mark.parametrize(("table", "column", "value"), IMPOSSIBLE)
def test_what_no_study_can_have_is_refused(small: Small, table: str, column: str, value: str) -> None:
    path = small.root / "alpha2020" / table
    before = path.read_bytes()
    rows = list(csv.reader(io.StringIO(before.decode())))
    try:
        path.write_text(cell_changed(before.decode(), 1, rows[0].index(column), value, raw=False), encoding="utf-8")
        errors = [problem for problem in check_dataset(small.root).errors if problem.column == column]
        assert errors and not go_through_everything(small)
    finally:
        path.write_bytes(before)
