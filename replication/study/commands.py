"""`python -m replication.study`: the commands of somebody who adds a study or keeps the dataset.

Those that take a file (take, matrix, form, tidy) and `convert` stand in modules of their own.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from replication import paths
from replication.command_line import run_command
from replication.study import commands_handing_in as handing
from replication.study.command_options import Data, Out, Work, deliver
from replication.study.commands_converting import convert

if TYPE_CHECKING:
    from replication.dataset import Dataset
    from replication.dataset.recipes import WholeSurvey
    from replication.study.checking import CheckReport
    from replication.study.coding import Coders, Comparison

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
    setting: Annotated[str, typer.Option(help="Setting, e.g. school (the usual).")] = "",
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

    root = data or paths.data_dir()
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
        _new_workbook(key, {**fields, **words}, dataset)
        return
    for name in ("author", "title", "year"):
        fields[name] = fields.get(name) or check_text(name, _asked(name.capitalize()))
    if not another:
        _refuse_known(dataset, fields)
    words = {"kind": kind, "role": role, "setting": setting}
    for name, usual in (("kind", "primary_study"), ("role", "primary"), ("setting", "school")):
        known = dataset.vocabulary.words(name)
        words[name] = words[name] or _asked(f"{name.capitalize()} ({', '.join(known)})", usual)
    words |= {"quantitative": "yes", "design": design or _asked("Who was studied, when and how (may stay empty)")}
    folder = create_work(root, dataset, NewWork(key, Entry(entry.kind, fields), words))
    lines = (
        f"Made {folder} and an entry in references.bib.",
        "Fill in the tables (each explains its columns; delete those the work does not need), then:",
        f"  python -m replication.study check {key}",
    )
    sys.stdout.write("\n".join(lines) + "\n")


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


def _new_workbook(key: str, said: dict[str, str], dataset: Dataset) -> None:
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
        f"  python -m replication.study check {path}",
    )
    sys.stdout.write("\n".join(lines) + "\n")


def _asked(question: str, usual: str = "") -> str:
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

    root = data or paths.data_dir()
    report = _check_file(root, Path(work)) if is_file_of_study(work) else check_study(root, work)
    if style == "text" and out is None:
        print_report(report)
        _say_what_is_touched(root, report.title)
    else:
        text = as_json(report) if style == "json" else as_html(report)
        deliver(text, out)
    return 1 if report.errors or (strict and report.questions) else 0


def _say_what_is_touched(root: Path, work: str) -> None:
    """Which analyses ask for rows that were withdrawn since the last release, a line a row."""
    from replication.dataset import check_dataset
    from replication.report.releases import read_releases
    from replication.study.touched import touched_analyses, touched_lines

    dataset = check_dataset(root).readable
    # Without withdrawals nothing can be touched, and reading every analysis would be in vain.
    if dataset is None or not any(len(rows) for rows in dataset.withdrawn.values()):
        return
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

    root = data or paths.data_dir()
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

    found = preview_work(data or paths.data_dir(), work, say, whole=whole)
    sys.stdout.write("\n".join(preview_lines(found)) + "\n")
    page = out or paths.cache_dir() / "previews" / f"{work}.html"
    deliver(preview_html(found), page)
    return 1 if found.failed else 0


def agree(
    work: Work,
    write: Annotated[
        bool, typer.Option("--write", help="Write the agreed and settled rows to the work's tables.")
    ] = False,
    out: Out = None,
    data: Data = None,
) -> int:
    """How far the coders of a work agree, field by field, and every disagreement with what was settled.

    Exit codes: 0 everything is settled, 1 something is open.
    """
    from replication.study.checking import work_folder
    from replication.study.coding import merged_tables
    from replication.study.coding.agreement import agreement_of
    from replication.study.coding.showing import agreement_html, agreement_lines, merged_line
    from replication.writing import exclusive, write_together

    root = data or paths.data_dir()
    with exclusive(root) if write else nullcontext():
        coders, comparison = _coders(root, work)
        fields = agreement_of(comparison)
        sys.stdout.write("\n".join(agreement_lines(comparison, fields)) + "\n")
        if out is not None:
            deliver(agreement_html(comparison, fields), out)
        if write:
            made = merged_tables(work_folder(root, work), coders, comparison)
            write_together(root, {f"{work}/{merged.table}": merged.text for merged in made})
            sys.stdout.writelines(f"{merged_line(work, merged)}\n" for merged in made)
    return 1 if comparison.open or comparison.undecided else 0


def settle(
    work: Work,
    row: Annotated[str, typer.Argument(help="Id of the row; all for every row.")],
    column: Annotated[
        str,
        typer.Argument(
            help="The column on which the coders differ; row, where only some have the row; all for every one."
        ),
    ],
    value: Annotated[
        str,
        typer.Argument(
            help='What it should be, "" for an empty cell, after -- where it begins with a minus; '
            "keep or drop for a row; @name for what that coder wrote."
        ),
    ],
    who: Annotated[str, typer.Option(help="Who decided.")] = "",
    why: Annotated[str, typer.Option(help="Why.")] = "",
    table: Annotated[str, typer.Option(help="The table.")] = "effects.csv",
    data: Data = None,
) -> None:
    """Record what was decided where coders differ: a cell, or whether a row belongs that only some of them have."""
    from replication.study.checking import work_folder
    from replication.study.coding import record_settled, settle_many
    from replication.study.coding.coders import Settled
    from replication.study.coding.settling import EVERY
    from replication.writing import exclusive

    root = data or paths.data_dir()
    with exclusive(root):
        _, comparison = _coders(root, work)
        vocabulary = _readable(root).vocabulary
        decided = Settled(value, who, why)
        if row == EVERY:
            count = settle_many(work_folder(root, work), comparison, vocabulary, (table, column), decided)
        else:
            record_settled(work_folder(root, work), comparison, vocabulary, (table, row, column), decided)
            count = 1
    sys.stdout.write(f"Recorded in {work}/coders/settled.csv{f': {count} decisions' if count > 1 else ''}.\n")


def compute(
    sample: Annotated[
        str,
        typer.Argument(help="sample_id of the survey sample, e.g. timss2019_tur_g5, or a whole cycle, e.g. pisa2018."),
    ],
    file: Annotated[
        list[Path],
        typer.Option(help="The public file you have (.sav .dta .rda .csv .parquet); again for a second one."),
    ],
    write: Annotated[bool, typer.Option("--write", help="Add the rows that are not in the dataset yet.")] = False,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Withdraw stored rows that come out otherwise; the new ones take their place."),
    ] = False,
    levels: Annotated[bool, typer.Option("--levels", help="Each pair also within and between schools.")] = False,
    measures: Annotated[
        bool, typer.Option("--measures", help="Size, mean, reliability and missing share of each measure, too.")
    ] = False,
    encoding: Annotated[str, typer.Option(help="Encoding of the file's text, e.g. windows-1252.")] = "",
    fresh: Annotated[bool, typer.Option("--fresh", help="Of a whole survey: compute every country anew.")] = False,
    roles: Annotated[
        bool, typer.Option("--roles", help="Of HBSC: bullying roles per country, and what countries have in common.")
    ] = False,
    out: Out = None,
    data: Data = None,
) -> int:
    """Recompute a survey sample's correlations from the public file, by its recipe, beside what is stored.

    The name of a whole cycle (`data/surveys/`) makes a sample per country; a stopped run goes on where it was, and
    --out writes the rows. Exit codes: 0 as stored (or new, or replaced as asked), 1 something stored comes out
    otherwise or not at all, or a country could not be computed.
    """
    from replication.dataset.schema import TABLES
    from replication.errors import UserError
    from replication.study import computing
    from replication.study.microdata.whole_files import load_survey
    from replication.study.tables import add_rows, read_rows, write_rows
    from replication.writing import exclusive

    root = data or paths.data_dir()
    dataset = _readable(root)
    survey = load_survey(sample, root.parent / "surveys")
    if survey is not None:
        if len(file) != 1:
            raise UserError(f"{sample} needs one --file, with all its countries; found {len(file)}")
        if roles:
            return _compute_roles(survey, file[0])
        return _compute_survey(dataset, survey, file[0], out, levels=levels, fresh=fresh)
    work, recipe = computing.recipe_of(dataset, sample)
    found = computing.compare_with_stored(dataset, work, recipe, file, sample, levels=levels, encoding=encoding)
    sys.stdout.write("\n".join(computing.computed_lines(found)) + "\n")
    if measures:
        from replication.study.microdata.describing import describe_recipe, described_lines

        sys.stdout.write("\n".join(described_lines(describe_recipe(recipe, file, sample))) + "\n")
    path, table = root / work / "effects.csv", TABLES["effects.csv"]
    with exclusive(root) if write or replace else nullcontext():
        if replace:
            # Read again under the lock: ids may have been taken since the rows were computed.
            now = _readable(root)
            taken = set(now.effects["effect_id"])
            after = computing.replaced_rows(read_rows(path, table), found.rows, recipe, now.version, taken)
            write_rows(path, table, after)
            replaced = sum(bool(entry.differs) for entry in found.rows)
            sys.stdout.write(f"Replaced {replaced} rows of {work}/effects.csv.\n")
        if write:
            rows = computing.rows_to_add(_readable(root), work, found.rows, recipe)
            add_rows(path, table, rows)
            sys.stdout.write(f"Added {len(rows)} rows to {work}/effects.csv.\n")
    # Pairs that no longer come out at all cannot be replaced by anything, so the code stays 1.
    lost = any(entry.stored for entry in found.lacking)
    return 0 if found.reproduced or (replace and not lost) else 1


def conceptual(
    work: Annotated[str, typer.Argument(help="Key of the cited work, e.g. marengo2021.")],
    file: Annotated[list[Path], typer.Option(help="The public file you have; again for a further one.")],
    write: Annotated[bool, typer.Option("--write", help="Add the results that are not in the dataset yet.")] = False,
    bayes: Annotated[
        float | None, typer.Option(help="Roles at this cut by the Bayesian multilevel model too: takes minutes.")
    ] = None,
    data: Data = None,
) -> int:
    """Ask a cited work's question of an open file, by its record, beside what is stored; never the work's own result.

    Exit codes: 0 as stored (or new), 1 something stored comes out otherwise.
    """
    from replication.dataset.schema import TABLES
    from replication.errors import UserError
    from replication.models.bayes.sampled.sampling import Settings
    from replication.study.conceptual import (
        compare_conceptual,
        compute_conceptual,
        conceptual_rows,
        sample_conceptual_roles,
        with_files,
    )
    from replication.study.tables import add_rows
    from replication.writing import exclusive

    root = data or paths.data_dir()
    with exclusive(root) if write else nullcontext():  # new rows are numbered after those that are stored
        dataset = _readable(root)
        records = dataset.conceptual.get(work, ())
        if not records:
            raise UserError(
                f"{work} has no conceptual.toml; works that have one: {', '.join(sorted(dataset.conceptual))}"
            )
        results = dataset.table("conceptual.csv")
        stored = results[results["work"] == work].to_dict("records")
        rows: list[dict[str, str]] = []
        differs = False
        for record, files in with_files(records, file):
            found = compute_conceptual(record, files)
            if bayes is not None:
                settings, compiled = Settings(), paths.cache_dir() / "compiled"
                found += sample_conceptual_roles(record, files, bayes, settings, compiled)
            new, lines = compare_conceptual(record, found, stored)
            for line in lines:
                sys.stdout.write(line + "\n")
                differs |= line.endswith("[differs]")
            rows += conceptual_rows(work, record, new, len(stored) + len(rows) + 1, dataset.version)
        if write and rows:
            add_rows(root / work / "conceptual.csv", TABLES["conceptual.csv"], rows)
            sys.stdout.write(f"Added {len(rows)} rows to {work}/conceptual.csv.\n")
    return 1 if differs else 0


def _compute_roles(survey: WholeSurvey, file: Path) -> int:
    """Bullying roles in every country, at the survey's cut and at the softer one, and pooled over countries."""
    from replication.errors import ModelError
    from replication.study.microdata.country_roles import pool_roles, roles_by_country

    for softer in (False, True):
        found = []
        for country in roles_by_country(survey, file, paths.cache_dir() / "surveys", softer=softer):
            found.append(country)
            said = country.problem or f"{country.n} students in {country.classes} classes, roles {country.counts}"
            sys.stdout.write(f"{country.country}, cut {country.cut:g}: {said}\n")
            # A country takes minutes: without this, a piped run would be silent for all of it.
            sys.stdout.flush()
        try:
            pooled = pool_roles(found)
        except ModelError as error:
            sys.stdout.write(f"not pooled: {error}\n")
            continue
        for p in pooled:
            spread = f"sd between {p.countries} countries {p.sd:.3f}"
            line = f"{p.contrast} against uninvolved, {p.predictor}: log odds {p.value:.3f} [{p.low:.3f}, {p.high:.3f}]"
            sys.stdout.write(f"{line}, {spread}\n")
    return 0


def _compute_survey(
    dataset: Dataset, survey: WholeSurvey, file: Path, out: Path | None, *, levels: bool, fresh: bool
) -> int:
    """Every country of a whole file: a line as each is done, and the rows to `out` when all are."""
    from replication.dataset.schema import TABLES
    from replication.study import computing
    from replication.study.microdata.whole_files import compute_whole
    from replication.study.tables import rows_as_csv

    rows: list[dict[str, str]] = []
    failed = count = 0
    for found in compute_whole(survey, file, paths.cache_dir() / "surveys", levels=levels, fresh=fresh):
        count += 1
        failed += bool(found.problem)
        lines = computing.country_lines(dataset, found, survey.recipe, str(count))
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()
        rows += computing.country_rows(found, survey.recipe, dataset.version)
    if out is not None:
        deliver(rows_as_csv(TABLES["effects.csv"], rows), out, "Wrote")
    sys.stdout.write(f"{survey.title}: {count - failed} of {count} countries computed, {len(rows)} correlations.\n")
    return 1 if failed or not count else 0


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

    dataset = load_dataset(data or paths.data_dir())
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
    today = load_dataset(data or paths.data_dir())
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

    root = data or paths.data_dir()
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
    from replication.study import codebook as book
    from replication.study.codebook import schema_files
    from replication.study.form import FORM_FILE, form_html
    from replication.study.workbook_picture import PICTURE_FILE, workbook_svg
    from replication.writing import exclusive, write_atomic

    root = data or paths.data_dir()
    vocabulary = _readable(root).vocabulary
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


def _coders(root: Path, work: str) -> tuple[Coders, Comparison]:
    from replication.dataset import format_problems
    from replication.errors import DataError
    from replication.study.checking import work_folder
    from replication.study.coding import compare_coders, matched, read_coders

    folder = work_folder(root, work)
    coders, problems = read_coders(folder, _readable(root).vocabulary)
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        raise DataError(f"mend this first:\n{format_problems(errors)}", tuple(errors))
    coders = matched(coders)
    return coders, compare_coders(coders)


def _readable(root: Path) -> Dataset:
    """The dataset as far as it can be read."""
    from replication.dataset import check_dataset, format_problems
    from replication.errors import DataError

    checked = check_dataset(root, [])
    if checked.readable is None:
        raise DataError(format_problems(checked.problems), checked.problems)
    return checked.readable


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
    run_command(_app, stopped="stopped; nothing was written")
