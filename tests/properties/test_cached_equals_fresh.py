"""What an analysis is given decides the key of its result: random edits, and a result kept is the result computed.

An analysis is a function of its view of the dataset. So a kept result is right where equal keys mean equal views, and
that is what is tried here, with edits of every kind of cell; with the code behind an analysis likewise.
"""

from __future__ import annotations

import gc
import json
import math
import os
import shutil
import weakref
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from replication import paths, results
from replication.analysis import Analysis, Context, Findings, analysis_files, load_analysis, plain, run_analysis
from replication.dataset import Dataset, Reads, kept_with, view_of
from replication.dataset.columns import Columns, Frames
from replication.provenance import Cache, Sources
from replication.results import Results

READS = (
    Reads(),
    Reads(works=("ahnert2006",)),
    Reads(works=("jakcheung2018", "roorda2011"), remarks=True),
    Reads(outcomes=("engagement",), claims=("roorda2011-011",)),
    Reads(outcomes=("victimization", "school_bullying")),
    Reads(outcomes=("engagement", "achievement"), claims=("jakcheung2018",)),
    Reads(tables=("effects.csv", "claims.csv", "leads.csv")),
)
TABLES = ("effects.csv", "samples.csv", "measures.csv", "descriptives.csv", "claims.csv", "directions.csv")


HELD = ("ahnert2006", "jakcheung2018", "krull2022", "pisa2003nld", "roorda2011", "timss2015usa", "trianingsih2014")


@pytest.fixture(scope="module")
def some(dataset: Dataset) -> Dataset:
    """A few works, with rows in every table: so that an edit is looked at in no time."""
    few = dataset.without(*(work for work in dataset.works if work not in HELD))
    return replace(few, tables=Frames({name: Columns.of(table) for name, table in few.tables.items()}))


def edited(data: Dataset, table: str, row: int, column: str) -> Dataset:
    """A copy with another content of one cell."""
    held = data.columns(table)
    cells = list(held[column])
    cell = cells[row]
    number = isinstance(cell, int | float)
    cells[row] = (0.5 if math.isnan(cell) else cell + 1) if number else f"{cell} "
    rows = {name: data.columns(name) for name in data.tables}
    rows[table] = Columns({**{name: held[name] for name in held.cells}, column: cells}, held.numbers)
    return replace(data, tables=Frames(rows), digest=f"{data.digest} {table} {row} {column}")


def same(one: Dataset, other: Dataset) -> bool:
    """Whether two views hold the same; their digests are not looked at."""
    apart = ("digest", "tables", "withdrawn")
    if any(getattr(one, f.name) != getattr(other, f.name) for f in fields(Dataset) if f.name not in apart):
        return False
    return all(_held(one, gone) == _held(other, gone) for gone in (False, True))


def _held(data: Dataset, withdrawn: bool) -> dict[str, dict[str, list[str]]]:
    tables = {name: data.columns(name, withdrawn=withdrawn) for name in (data.withdrawn if withdrawn else data.tables)}
    # As text: an empty number differs from itself.
    return {name: {column: list(map(repr, table[column])) for column in table.cells} for name, table in tables.items()}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_equal_keys_are_equal_views(some: Dataset, data: st.DataObject) -> None:
    table = data.draw(st.sampled_from(TABLES))
    rows = some.tables[table]
    keys = ("effect_id", "sample_id", "claim_id", "direction_id")  # another id is another row, which readers refuse
    column = data.draw(st.sampled_from([str(c) for c in rows.columns if c not in keys]))
    after = edited(some, table, data.draw(st.integers(0, len(rows) - 1)), column)
    for reads in READS[1:]:
        before, now = view_of(some, reads), view_of(after, reads)
        assert (before.digest == now.digest) == same(before, now), reads


def position(dataset: Dataset, table: str, column: str, value: str) -> int:
    return int(np.flatnonzero(dataset.tables[table][column] == value)[0])


@pytest.mark.parametrize(
    ("row", "column", "touched"),
    [
        ("roorda2011", "note", {2: True} | dict.fromkeys((1, 3, 4, 5, 6), False)),  # who asks for remarks reads a note
        ("iccs2016", "note", dict.fromkeys((1, 2, 3, 4, 5, 6), False)),
        ("oecdpisa", "value", {1: False, 2: False, 3: False, 4: True, 5: False}),  # of schools
        ("trianingsih2014", "value", {1: False, 2: False, 3: False, 4: False, 5: True}),  # on achievement
        ("trianingsih2014", "n", {1: False, 2: False, 3: True, 4: True, 5: True}),  # sizes are taken from all rows
        ("krull2022_deu_g34-001", "value", {3: False, 4: False, 5: False, 6: True}),  # belonging, in the same sample
        ("krull2022_deu_g34-002", "value", {3: True, 4: False, 5: True, 6: True}),  # engagement
        ("krull2022_deu_g34-003", "value", {3: False, 4: True, 5: False, 6: True}),  # victimization
    ],
)
def test_an_edit_touches_what_reads_it(dataset: Dataset, row: str, column: str, touched: dict[int, bool]) -> None:
    at = position(dataset, "effects.csv", "effect_id" if "-" in row else "work", row)
    after = edited(dataset, "effects.csv", at, column)
    moved = {i: view_of(dataset, READS[i]).digest != view_of(after, READS[i]).digest for i in touched}
    assert moved == touched


def test_an_analysis_sees_what_it_reads_and_nothing_else(dataset: Dataset) -> None:
    seen: list[Dataset] = []

    def run(context: Context) -> Findings:
        seen.append(context.data)
        return Findings()

    for reads in (READS[2], READS[3], READS[0]):
        run_analysis(Analysis(id="spy", title="", question="", run=run, reads=reads), Context(dataset))
    by_work, by_outcome, whole = seen
    assert set(by_work.effects["work"]) == {"roorda2011"} and set(by_work.works) == {"jakcheung2018", "roorda2011"}
    assert set(by_work.claims["work"]) == {"jakcheung2018", "roorda2011"} and not by_work.notes
    results = by_outcome.effects.dropna(subset="value")
    assert 0 < len(results) < len(by_outcome.effects) == len(dataset.effects)
    assert "oecdpisa" not in set(results["work"]) and set(by_outcome.claims["claim_id"]) == {"roorda2011-011"}
    assert whole is dataset


FILES = analysis_files(paths.analyses_dir(), paths.data_dir())
LONG = ("engagement", "achievement", "bullying", "mediation", "multiverse")
SAMPLED = ("averaging", "sampling", "bullying_roles_simulated")


def is_enough(dataset: Dataset, name: str) -> bool:
    """Whether an analysis comes out on what it reads as on the whole dataset: nothing it needs is withheld."""
    analysis = load_analysis(FILES[name])
    whole = replace(analysis, reads=Reads())
    given, everything = (plain(run_analysis(each, Context(dataset))) for each in (analysis, whole))
    return json.dumps(given) == json.dumps(everything)


def test_what_is_made_of_a_dataset_is_made_once_and_goes_with_it(dataset: Dataset) -> None:
    class Made:
        def __init__(self, name: str) -> None:
            self.name = name

    @kept_with
    def made(_: Dataset, name: str) -> Made:
        return Made(name)

    view = replace(dataset)
    first = made(view, "a")
    assert made(view, "a") is first and made(view, "b").name == "b"
    assert made(replace(view), "a") is not first, "another dataset begins with nothing"
    left = weakref.ref(first)
    del view, first
    gc.collect()
    assert left() is None


def test_what_an_analysis_is_given_is_enough(dataset: Dataset) -> None:
    names = [name for name in FILES if name not in (*LONG, *SAMPLED) and load_analysis(FILES[name]).reads != Reads()]
    assert len(names) > 50 and [name for name in names if not is_enough(dataset, name)] == []


@pytest.mark.simulation
@pytest.mark.parametrize("name", LONG)
def test_what_a_long_finding_is_given_is_enough(dataset: Dataset, name: str) -> None:
    assert is_enough(dataset, name)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    root = tmp_path / "replication"
    shutil.copytree(paths.project_root() / "replication", root, ignore=shutil.ignore_patterns("__pycache__"))
    return root


@pytest.mark.parametrize(
    ("module", "analysis", "counts"),
    [
        ("models/masem/wls.py", "findings/engagement", False),
        ("models/masem/wls.py", "findings/mediation", True),
        ("models/multilevel/robust.py", "findings/engagement", True),
        ("models/bayes/sampled/sampling.py", "findings/engagement", False),
        ("models/bayes/sampled/sampling.py", "findings/sampling", True),
        ("models/bayes/__init__.py", "findings/engagement", True),
        ("report/site.py", "findings/engagement", False),
        ("claims.py", "reproductions/lei2022", True),
    ],
)
def test_a_line_of_code_touches_what_needs_it(package: Path, module: str, analysis: str, counts: bool) -> None:
    path = paths.analyses_dir() / f"{analysis}.py"
    before = Sources(package, paths.analyses_dir()).digest(path)
    with (package / module).open("a", encoding="utf-8") as file:
        file.write("\n# a comment\n")
    assert Sources(package, paths.analyses_dir()).digest(path) == before
    with (package / module).open("a", encoding="utf-8") as file:
        file.write("_ANEW = 1\n")
    assert (Sources(package, paths.analyses_dir()).digest(path) != before) == counts


def test_what_is_kept_of_a_text_is_what_is_read_of_it(package: Path, tmp_path: Path) -> None:
    path, cache = paths.analyses_dir() / "findings" / "engagement.py", Cache(tmp_path / "cache")
    first = Sources(package, paths.analyses_dir(), cache)
    plain = first.digest(path)
    first.keep()
    opened = Sources(package, paths.analyses_dir(), cache)
    assert len(opened._known) > 100 and opened.digest(path) == plain
    with (package / "models" / "multilevel" / "robust.py").open("a", encoding="utf-8") as file:
        file.write("_ANEW = 1\n")
    assert Sources(package, paths.analyses_dir(), cache).digest(path) != plain


def results_in(cache: Path, dataset: Dataset, seed: int = 1) -> Results:
    return Results(dataset, seed, Cache(cache))


def test_what_a_file_declares_is_kept_under_its_code(
    some: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = paths.analyses_dir() / "findings" / "bullying.py"
    first = results_in(tmp_path, some)
    declared = first.declared("bullying", path)
    assert declared.finding and "victimization" in declared.reads.outcomes
    first.make_keys()
    monkeypatch.setattr(results.Declared, "by", lambda _: pytest.fail("it is loaded again"))
    assert results_in(tmp_path, some).declared("bullying", path) == declared
    monkeypatch.setattr(results, "rules_digest", lambda: "other rules")
    with pytest.raises(pytest.fail.Exception, match="loaded again"):
        results_in(tmp_path, some).declared("bullying", path)


def test_an_outcome_computed_before_its_key_is_made_is_found_under_it(some: Dataset, tmp_path: Path) -> None:
    path = paths.analyses_dir() / "reproductions" / "ahnert2006.py"
    made = {"id": "ahnert2006", "digest": "", "postponed": []}
    first = results_in(tmp_path, some)
    first.declared("ahnert2006", path)
    assert first.outcome("ahnert2006") is None
    first.keep("ahnert2006", made)
    assert made["digest"]

    def found(data: Dataset = some, seed: int = 1) -> dict[str, object] | None:
        again = results_in(tmp_path, data, seed)
        again.declared("ahnert2006", path)
        return again.outcome("ahnert2006")

    assert found() == made and found(seed=2) is None
    for work, expected in (("ahnert2006", None), ("roorda2011", made)):
        at = position(some, "claims.csv", "work", work)
        assert found(edited(some, "claims.csv", at, "printed")) == expected


@pytest.mark.parametrize("lacking", [{"failed": "why"}, {"postponed": ["bias-one"]}])
def test_what_failed_or_lacks_a_slow_result_is_not_kept(
    some: Dataset, tmp_path: Path, lacking: dict[str, object]
) -> None:
    path = paths.analyses_dir() / "reproductions" / "ahnert2006.py"
    for _ in range(2):
        again = results_in(tmp_path, some)
        again.declared("ahnert2006", path)
        assert again.outcome("ahnert2006") is None
        again.keep("ahnert2006", {"id": "ahnert2006", "digest": "", "postponed": [], **lacking})


def test_every_way_to_import_counts(tmp_path: Path) -> None:
    """Within functions, over lines with comments, of a package, of a package on first use, under another name."""
    package = tmp_path / "replication"
    for name in (
        "__init__",
        "a",
        "b",
        "c",
        "d",
        "lazy/__init__",
        "lazy/e",
        "room/__init__",
        "room/f",
        "../analyses/shared/g",
    ):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / f"{name}.py").write_text(f"# {name}\n", encoding="utf-8")
    (package / "lazy" / "__init__.py").write_text("__getattr__ = on_first_use(...)\n", encoding="utf-8")
    (package / "b.py").write_text("def late():\n    from replication.c import x\n", encoding="utf-8")
    ways = {
        "from replication.a import (\n    x,  # (why)\n    y,\n)\n": {"a"},
        "from replication.b import z": {"b", "c"},
        "import replication.a as short": {"a"},
        "from replication import (  # both\n    a,\n    # and\n    d,\n)\n": {"a", "d"},
        "from replication.lazy import e": {"lazy/__init__", "lazy/e"},
        "from replication.lazy import Name": {"lazy/__init__", "lazy/e"},
        "from replication.room import f": {"room/__init__", "room/f"},
        "if TYPE_CHECKING:\n    from replication.room.f import Name": {"room/__init__", "room/f"},
        "from analyses.shared.g import x": {"../analyses/shared/g"},
        "from analyses.shared import (\n    g,\n)": {"../analyses/shared/g"},
    }
    root = tmp_path / "analysis.py"
    for text, expected in ways.items():
        root.write_text(text, encoding="utf-8")
        plain = Sources(package, tmp_path / "analyses").digest(root)
        for file in (*package.rglob("*.py"), tmp_path / "analyses/shared/g.py"):
            old = file.read_text(encoding="utf-8")
            file.write_text(old + "anew = 1\n", encoding="utf-8")
            name = Path(os.path.relpath(file, package)).with_suffix("").as_posix()
            counted = Sources(package, tmp_path / "analyses").digest(root) != plain
            opened = name == "__init__" and "replication" in text
            assert counted == (name in expected or opened), (text, name)
            file.write_text(old, encoding="utf-8")


def test_no_module_is_imported_relatively_or_by_its_name_as_text() -> None:
    """Such imports would not be counted."""
    for path in [*(paths.project_root() / "replication").rglob("*.py"), *paths.analyses_dir().rglob("*.py")]:
        text = path.read_text(encoding="utf-8")
        assert "from ." not in text.replace(">>> ", "") or not any(
            line.lstrip().startswith("from .") for line in text.splitlines()
        ), path
        if path.name not in ("lazily.py", "running.py"):
            assert "import_module(" not in text and "__import__(" not in text, path


def test_an_edit_that_is_taken_back_costs_nothing(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    for i in range(12):
        cache.put("engagement", f"{i:016d}", {"value": i})
    held = [i for i in range(12) if cache.get("engagement", f"{i:016d}") == {"value": i}]
    assert held == list(range(4, 12))


def test_the_rules_count_by_what_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = tmp_path / "analyses" / "protocol.toml"
    rules.parent.mkdir()
    monkeypatch.setattr(paths, "project_root", lambda: tmp_path)
    digests = []
    for text in ("a = 1\n", "# why\na = 1\n", "a = 2\n", "a = [\n"):
        rules.write_text(text, encoding="utf-8")
        digests.append(results.rules_digest())
    assert digests[0] == digests[1] and len(set(digests)) == 3
    (rules.parent / "report.toml").write_text("title = 1\n", encoding="utf-8")  # pages alone are made from it
    assert results.rules_digest() == digests[-1]


def test_what_only_pages_are_made_from_is_read_by_no_analysis() -> None:
    rooms = [paths.project_root() / "replication" / room for room in ("analysis", "evidence", "models", "dataset")]
    texts = [path.read_text(encoding="utf-8") for room in (*rooms, paths.analyses_dir()) for path in room.rglob("*.py")]
    named = [name for name in results.OF_THE_REPORT for text in texts if f'"{name}"' in text]
    assert named == []
