"""`python -m replication.study`: the commands of somebody who adds a study or keeps the dataset.

Those that take a file (take, matrix, form, tidy), `convert`, those of coders (agree, settle) and of survey files
(compute, conceptual) stand in modules of their own.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from replication import paths
from replication.command_line import run_command, typer_command
from replication.study import commands_handing_in as handing
from replication.study.command_options import Data, Out, Work, deliver, next_command
from replication.study.commands_coding import agree, settle
from replication.study.commands_converting import convert
from replication.study.commands_surveys import compute, conceptual

if TYPE_CHECKING:
    from replication.dataset import Dataset
    from replication.study.checking import CheckReport

__all__ = [
    "agree",
    "answer",
    "check",
    "codebook",
    "compute",
    "conceptual",
    "convert",
    "deliver",
    "export",
    "main",
    "new",
    "preview",
    "settle",
    "todo",
    "versions",
]


def new(
    key: Annotated[str, typer.Argument(help="First author and year in small letters, e.g. smith2024.")],
    bib: Annotated[
        Path | None, typer.Option(help="A file with its reference: BibTeX (.bib), RIS (.ris) or CSL JSON (.json).")
    ] = None,
    author: Annotated[str, typer.Option(help='Authors: "Smith, Ann and Jones, Bo".')] = "",
    title: Annotated[str, typer.Option(help="Title.")] = "",
    year: Annotated[str, typer.Option(help="Year.")] = "",
    journal: Annotated[str, typer.Option(help="Journal, publisher or school.")] = "",
    doi: Annotated[str, typer.Option(help="DOI, if it has one.")] = "",
    url: Annotated[str, typer.Option(help="Address, if it has one.")] = "",
    kind: Annotated[str, typer.Option(help="Kind of publication, e.g. primary_study (the usual).")] = "",
    role: Annotated[str, typer.Option(help="Its role here, e.g. primary (the usual) or related.")] = "",
    setting: Annotated[str, typer.Option(help="Setting; the first of its list is the usual one.")] = "",
    design: Annotated[str, typer.Option(help="Who was studied, when and how, in a sentence.")] = "",
    xlsx: Annotated[bool, typer.Option("--xlsx", help="Write KEY.xlsx here to fill in, in place of a folder.")] = False,
    another: Annotated[
        bool, typer.Option("--another", help="It is another work than the one held that looks like it.")
    ] = False,
    data: Data = None,
) -> None:
    """Make the folder of a new work with templates to fill in; asks for what is missing when run at a terminal.

    With --xlsx a workbook is made instead; what the options do not say is asked in the workbook itself.
    """
    from replication.dataset import check_dataset, format_problems
    from replication.errors import DataError
    from replication.study.bibtex import Entry
    from replication.study.keys import check_key, check_text
    from replication.study.new import NewWork, create_work
    from replication.study.references_in import read_reference

    root = paths.dataset_of(data)
    # An empty list checks nothing: problems in other works must not stop somebody from adding a new one.
    dataset = check_dataset(root, []).readable
    if dataset is None:
        raise DataError(format_problems(check_dataset(root).problems))
    check_key(key, root, set(dataset.works) | set(dataset.references))
    entry = read_reference(bib) if bib else Entry("book" if kind == "book" else "article", {})
    given = {"author": author, "title": title, "year": year, "journal": journal, "doi": doi, "url": url}
    fields = {**entry.fields, **{name: check_text(name, text) for name, text in given.items() if text}}
    if not another:
        _refuse_known(dataset, fields)
    if xlsx:
        words = {"kind": kind, "role": role, "setting": setting, "design": design, "publication": entry.kind}
        _new_workbook(key, {**fields, **words}, dataset, data)
        return
    for name in ("author", "title", "year"):
        fields[name] = fields.get(name) or check_text(name, _prompted(name.capitalize()))
    # What was typed in may name a work that the options did not.
    if not another:
        _refuse_known(dataset, fields)
    words = _asked_words(dataset, {"kind": kind, "role": role, "setting": setting, "design": design})
    folder = create_work(root, dataset, NewWork(key, Entry(entry.kind, fields), words))
    lines = (
        f"Made {folder} and an entry in references.bib.",
        "Fill in the tables (each explains its columns; delete those the work does not need), then:",
        f"  {next_command('check', key, data)}",
    )
    sys.stdout.write("\n".join(lines) + "\n")


def _asked_words(dataset: Dataset, given: Mapping[str, str]) -> dict[str, str]:
    """The fields of `work.toml`: those that were given, and the usual word of the others where nobody types another."""
    # The usual setting is the first of the list: what the topic is about.
    first = dataset.vocabulary.words("setting")[0]
    words = {}
    for name, usual in (("kind", "primary_study"), ("role", "primary"), ("setting", first)):
        known = dataset.vocabulary.words(name)
        words[name] = given[name] or _prompted(f"{name.capitalize()} ({', '.join(known)})", usual)
    design = given["design"] or _prompted("Who was studied, when and how (may stay empty)")
    return {**words, "quantitative": "yes", "design": design}


def _refuse_known(dataset: Dataset, fields: Mapping[str, str]) -> None:
    """A work that is held already is not entered a second time."""
    from replication.errors import UserError
    from replication.study.known_works import known_works

    found = known_works(dataset, fields)
    if found:
        known = found[0]
        raise UserError(
            f"{known.key} has {known.shared}: {known.reference.short}, {known.reference.title}. It is in the dataset "
            f"already; add your rows to its folder, or say --another if it is another work"
        )


def _new_workbook(key: str, said: dict[str, str], dataset: Dataset, data: Path | None) -> None:
    from replication.errors import UserError
    from replication.study.submission import RECORD_FIELDS
    from replication.study.tables import write_bytes
    from replication.study.workbook import Filled, workbook_bytes

    path = Path(f"{key}.xlsx")
    if path.exists():
        raise UserError(f"{path} is there already; fill it in, or move it away first")
    venue = next((said[name] for name in ("journal", "booktitle", "publisher", "school") if said.get(name)), "")
    record = {name: said.get(name, "") for name in RECORD_FIELDS} | {"key": key, "journal": venue}
    write_bytes(path, workbook_bytes(key, Filled(record), dataset.vocabulary))
    lines = (
        f"Made {path}. Fill it in with any spreadsheet program, save it, then:",
        f"  {next_command('check', path, data)}",
    )
    sys.stdout.write("\n".join(lines) + "\n")


def _prompted(question: str, usual: str = "") -> str:
    """The answer typed at a terminal; elsewhere the usual one."""
    return str(typer.prompt(question, default=usual)) if sys.stdin.isatty() else usual


def check(
    work: Annotated[
        str, typer.Argument(help="Key of a work, or a filled workbook; all works when none is named.")
    ] = "",
    style: Annotated[
        Literal["text", "html", "json"], typer.Option("--format", help="How to show the result.")
    ] = "text",
    out: Out = None,
    strict: Annotated[bool, typer.Option("--strict", help="Unanswered questions count as errors.")] = False,
    data: Data = None,
) -> int:
    """Check one work or all: every problem, every question of plausibility, every disagreement of coders.

    Exit codes: 0 nothing to mend, 1 something to mend.
    """
    from replication.study.checking import check_study
    from replication.study.handing_in import is_file_of_study
    from replication.study.rendering import as_html, as_json, print_report

    root = paths.dataset_of(data)
    handed_in = is_file_of_study(work)
    report = _check_file(root, Path(work)) if handed_in else check_study(root, work)
    if style == "text" and out is None:
        print_report(report, data, file=work if handed_in else "")
        if report.readable is not None and not handed_in:  # no analysis names rows of a study that is not taken yet
            _say_what_is_touched(report.readable, work)
    else:
        text = as_json(report) if style == "json" else as_html(report)
        deliver(text, out)
    return 1 if report.errors or (strict and report.questions) else 0


def _say_what_is_touched(dataset: Dataset, work: str) -> None:
    """Which analyses ask for rows that were withdrawn since the last release, a line per row."""
    from replication.dataset.folder import WORK_TABLES

    # Without withdrawals nothing can be touched, and reading every analysis would be in vain.
    gone = [dataset.columns(name, withdrawn=True) for name in WORK_TABLES]
    if not any(work in rows["work"] if work else len(rows) for rows in gone):
        return
    from replication.report.releases import read_releases
    from replication.study.touched import touched_analyses, touched_lines

    releases = read_releases(paths.reports_dir())
    released = releases[-1].dataset_version if releases else ""
    works = frozenset({work} & set(dataset.works))
    found = touched_analyses(dataset, works, released, paths.analyses_dir(), paths.reports_dir() / "latest")
    for line in touched_lines(found):
        sys.stdout.write(line + "\n")


def _check_file(root: Path, path: Path) -> CheckReport:
    """The check of a workbook or of a saved form; a workbook gets a copy with every message in its cell."""
    from replication.study.handing_in import annotated_copy, read_submission
    from replication.study.submission import check_submission

    submission = read_submission(path)
    report = check_submission(root, submission)
    if path.suffix.lower() != ".json" and (report.errors or report.questions):
        copy = annotated_copy(path, submission, report, root)
        sys.stderr.write(f"Every message stands in its cell in {copy}\n")
    return report


def answer(
    work: Work,
    rule: Annotated[str, typer.Argument(help="The question, as the check names it in brackets.")],
    row: Annotated[str, typer.Argument(help="Id of the row it is about.")],
    reason: Annotated[str, typer.Option(help="Why the row is right.")] = "",
    who: Annotated[str, typer.Option(help="Who says so.")] = "",
    data: Data = None,
) -> None:
    """Record why a row that raises a question is right as it stands."""
    from replication.study.answering import record_answer
    from replication.study.checking import check_study, work_folder
    from replication.writing import exclusive

    root = paths.dataset_of(data)
    with exclusive(root):  # the answers are read and written as one: eight may answer at once
        record_answer(work_folder(root, work), check_study(root, work), rule, row, reason, who)
    sys.stdout.write(f"Recorded in {work}/answers.toml.\n")


def preview(
    work: Work,
    out: Out = None,
    whole: Annotated[
        bool, typer.Option("--all", help="Run also the findings made of several others, which takes a minute.")
    ] = False,
    data: Data = None,
) -> int:
    """What a work changes: findings and claims with and without it, with forest plots on a page.

    Exit codes: 0 done, 1 something to mend or an analysis failed.
    """
    from replication.study.previewing import preview_html, preview_lines, preview_work

    def say(line: str) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"computing: {line}\n")

    found = preview_work(paths.dataset_of(data), work, say, whole=whole)
    sys.stdout.write("\n".join(preview_lines(found)) + "\n")
    page = out or paths.cache_dir() / "previews" / f"{work}.html"
    deliver(preview_html(found), page)
    return 1 if found.failed else 0


def todo(
    work: Annotated[str, typer.Argument(help="Make the coding sheet of this work.")] = "",
    packet: Annotated[
        bool, typer.Option("--packet", help="A fuller sheet: what is known, and each table to copy from the work.")
    ] = False,
    leads: Annotated[bool, typer.Option("--leads", help="Show studies nobody has opened, too.")] = False,
    out: Out = None,
    data: Data = None,
) -> None:
    """What is still to be read, where it stands, and how much it would tell; or one work's coding sheet."""
    from replication.dataset import load_dataset
    from replication.evidence.reading_list import reading_list
    from replication.study.todo import coding_sheet, todo_lines

    dataset = load_dataset(paths.dataset_of(data))
    if packet:
        from replication.errors import UserError
        from replication.study.packets import reading_packet

        if not work:
            raise UserError(f"--packet needs a work: {', '.join(sorted(dataset.packets))}")
        deliver(reading_packet(dataset, work), out, "Wrote")
        return
    entries = reading_list(dataset)
    text = coding_sheet(entries, dataset, work) if work else "\n".join(todo_lines(entries, dataset, leads=leads)) + "\n"
    deliver(text, out, "Wrote")


def versions(
    analysis: Annotated[str, typer.Argument(help="Id of the analysis, e.g. engagement.")],
    as_of: Annotated[str, typer.Option("--as-of", help="Compare today with this dataset version, e.g. 1.0.0.")] = "",
    published: Annotated[str, typer.Option(help="Compare today with the rows this published work used.")] = "",
    out: Out = None,
    data: Data = None,
) -> None:
    """An analysis as published or as of a version, and as of today: rows that differ, and what moved the estimate."""
    from replication.analysis import analysis_files, choose, load_analysis
    from replication.dataset import load_dataset
    from replication.errors import UserError
    from replication.study.history import compare_states, history_html, history_lines

    if bool(as_of) == bool(published):
        raise UserError("give either --as-of VERSION or --published WORK")
    today = load_dataset(paths.dataset_of(data))
    before = today.as_of(as_of) if as_of else today.as_published(published)
    name = f"as of {as_of}" if as_of else f"as published in {published}"
    path = choose(analysis_files(paths.analyses_dir(), paths.data_dir()), [analysis])[analysis]
    history = compare_states(load_analysis(path), ((name, before), ("today", today)))
    sys.stdout.write("\n".join(history_lines(history)) + "\n")
    if out is not None:
        deliver(history_html(history), out)


def export(
    out: Annotated[Path, typer.Option(help="Folder of the export; an earlier export there is replaced.")] = Path(
        "export"
    ),
    as_of: Annotated[str, typer.Option("--as-of", help="Export this dataset version.")] = "",
    data: Data = None,
) -> None:
    """Write the dataset as a Frictionless data package, with files for metafor and metaSEM and an R script."""
    from replication.dataset import load_dataset
    from replication.study.exporting import export_dataset

    root = paths.dataset_of(data)
    dataset = load_dataset(root)
    exported = export_dataset(dataset.as_of(as_of) if as_of else dataset, out, root / "references.bib")
    listed = ", ".join(f"{rows} {name}" for name, rows in exported.rows.items())
    sys.stdout.write(f"Wrote {exported.folder}: {listed}.\n")


def codebook(
    check: Annotated[
        bool, typer.Option("--check", help="Only say whether the files are up to date; exit 1 if not.")
    ] = False,
    data: Data = None,
) -> int:
    """Write the codebook, the form for browsers, the JSON Schemas for editors and the list of what was released."""
    from replication.dataset import readable_dataset
    from replication.study import codebook as book
    from replication.study.codebook import schema_files
    from replication.study.form import FORM_FILE, form_html
    from replication.study.workbook_picture import PICTURE_FILE, workbook_svg
    from replication.writing import exclusive, write_atomic

    root = paths.dataset_of(data)
    vocabulary = readable_dataset(root).vocabulary
    files = {root / "README.md": book.codebook(vocabulary)}
    files |= {root.parent / FORM_FILE: form_html(vocabulary), root.parent / PICTURE_FILE: workbook_svg(vocabulary)}
    files |= {root.parent / "schemas" / name: text for name, text in schema_files(vocabulary).items()}
    files |= _released_list(root)
    stale = [path for path, text in files.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        if not check:
            path.parent.mkdir(exist_ok=True)
            with exclusive(path.parent):
                write_atomic(path, files[path])
        sys.stdout.write(f"{'stale' if check else 'wrote'}: {path}\n")
    return 1 if check and stale else 0


def _released_list(root: Path) -> dict[Path, str]:
    """The list of released files and rows, of the project's own dataset once something was released."""
    from replication.dataset import check_dataset
    from replication.dataset.released import RELEASED, released_text
    from replication.report.releases import read_releases

    releases = read_releases(paths.reports_dir()) if root.resolve() == paths.data_dir().resolve() else ()
    dataset = check_dataset(root).dataset if releases else None
    return {root / RELEASED: released_text(dataset, root, releases[-1].dataset_version)} if dataset else {}


_app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Add a study, check it, see what it changes; keep the dataset. Six steps stand in CONTRIBUTING.md.",
)
for _name, _command in (
    ("new", new),
    ("check", check),
    ("take", handing.take),
    ("answer", answer),
    ("convert", convert),
    ("matrix", handing.matrix),
    ("preview", preview),
    ("agree", agree),
    ("compute", compute),
    ("conceptual", conceptual),
    ("todo", todo),
    ("versions", versions),
    ("export", export),
    ("codebook", codebook),
    ("form", handing.form),
    ("practice", handing.practice),
    ("tidy", handing.tidy),
):
    _app.command(_name)(_command)
# A value to settle may be a negative number, which is no option.
_app.command("settle", context_settings={"ignore_unknown_options": True})(settle)


def main() -> None:
    """Run a command."""
    run_command(typer_command(_app), stopped="stopped; nothing was written")
