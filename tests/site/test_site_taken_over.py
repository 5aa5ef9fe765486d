"""A report that takes over what nothing changed of is the report made anew, byte for byte, whatever was edited."""

from __future__ import annotations

import copy
import io
import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pytest
from jinja2 import meta

from replication import paths
from replication.dataset import Dataset
from replication.errors import UserError
from replication.report import build_report, consulted, making, site, templating
from replication.report.archive import Archive, make_archive
from replication.report.consulted import Answers, Log, watched
from replication.report.pages.claims import claim_rows
from replication.report.words import RULES, Words, load_words
from replication.workers import Forks

RUN = {"time": "2024-01-01T00:00:00Z", "dataset_version": "1.0.0", "dataset_digest": "abc", "seed": 2024}
TEXTS, NUMBERS = ("label", "title", "question", "reason"), ("value", "low", "high", "x", "y")
CELLS = (
    ("effects.csv", "value", 0.12),
    ("effects.csv", "note", "Read twice."),
    ("effects.csv", "locator", "Table 9"),
    ("samples.csv", "label", "Gamma"),
    ("claims.csv", "quantity", "pooled correlation: another"),
    ("claims.csv", "locator", "p. 3"),
    ("directions.csv", "note", "said in passing"),
)


@dataclass(frozen=True)
class Made:
    """What a report is made from."""

    dataset: Dataset
    outcomes: Sequence[Mapping[str, Any]]
    run: Mapping[str, Any]

    def report(self, folder: Path, before: Path | None) -> dict[str, bytes]:
        """Its files, by path; what is kept for the next one is no part of it."""
        build_report(folder, self.outcomes, self.dataset, self.run, before=before)
        files = (path for path in folder.rglob("*") if path.is_file() and path.name != making.KEPT)
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture
def sound(invented: Dataset, outcomes: Sequence[Mapping[str, Any]]) -> Made:
    """What a small report is made from, with a figure or two of each outcome."""
    named = replace(invented, notes={**invented.notes, "gamma2019": "see alpha2020-003"})
    return Made(named, [{**outcome, "figures": outcome["figures"][:2]} for outcome in outcomes], RUN)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of the plans that were made, and not taken over."""
    names: list[str] = []
    make = making.Source.made

    def noted(self: making.Source, plan: making.Plan, folder: Path) -> making.Made:
        names.append(plan.name)
        return make(self, plan, folder)

    monkeypatch.setattr(making.Source, "made", noted)
    yield names


@pytest.fixture
def no_paper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replication.report.pdf.typesetter_is_there", lambda: False)


def with_cell(dataset: Dataset, table: str, row: int, column: str, value: object) -> Dataset:
    frame = dataset.tables[table].copy()
    frame.loc[frame.index[row % len(frame)], column] = value
    return replace(dataset, tables={**dataset.tables, table: frame}, digest=dataset.digest + "'")


def with_leaf(outcomes: Sequence[Mapping[str, Any]], rng: random.Random) -> list[Any]:
    """The outcomes with one number or text of one of them changed."""
    changed = copy.deepcopy(list(outcomes))
    places = [place for outcome in changed for place in leaves(outcome)]
    holder, key = rng.choice(places)
    holder[key] = holder[key] + 0.01 if isinstance(holder[key], float) else f"{holder[key]} anew"
    return changed


def leaves(node: Any, name: str = "") -> Iterator[tuple[Any, Any]]:
    """Every place of a number or text that may change without naming another thing."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        path = key if isinstance(key, str) else name
        if isinstance(value, dict | list):
            yield from leaves(value, path)
        elif (path in TEXTS and isinstance(value, str)) or (path in NUMBERS and isinstance(value, float)):
            yield node, key


def with_work(dataset: Dataset, key: str, **fields: str) -> Dataset:
    return replace(dataset, works={**dataset.works, key: dataset.works[key].model_copy(update=fields)})


def with_reference(dataset: Dataset, key: str, year: str) -> Dataset:
    return replace(dataset, references={**dataset.references, key: replace(dataset.references[key], year=year)})


def edited(sound: Made, rng: random.Random) -> Made:
    """What a report is made from, with one edit of a kind a contributor, a corrector or a new day makes."""
    data, key = sound.dataset, rng.choice(sorted(sound.dataset.works))
    kind = rng.randrange(7)
    if kind == 0:
        return replace(sound, dataset=with_cell(data, *pick(rng)))
    if kind in (1, 2):
        return replace(sound, outcomes=with_leaf(sound.outcomes, rng))
    if kind == 3:
        return replace(sound, dataset=with_work(data, key, argues=f"It argues {rng.random()}, see beta2021."))
    if kind == 4:
        return replace(sound, dataset=with_reference(data, key, str(rng.randrange(1990, 2020))))
    if kind == 5:
        return replace(sound, dataset=replace(data, notes={**data.notes, key: f"# {key}\n\nsee {rng.choice(KNOWN)}"}))
    return replace(sound, run={**sound.run, "time": f"2024-01-{rng.randrange(10, 29)}T00:00:00Z"})


KNOWN = ("alpha2020-001", "gamma2019", "beta2021-d1", "alpha2020-e1", "nowhere2020-001")


def pick(rng: random.Random) -> tuple[str, int, str, object]:
    table, column, value = rng.choice(CELLS)
    return table, rng.randrange(9), column, value


@pytest.mark.usefixtures("no_paper")
@pytest.mark.parametrize("seed", range(2024, 2025))
def test_after_any_edits_what_is_taken_over_is_what_is_made_anew(
    sound: Made, made: list[str], seed: int, tmp_path: Path
) -> None:
    rng = random.Random(seed)
    before = tmp_path / "0"
    sound.report(before, tmp_path / "none")
    whole, saved = len(made), 0
    for number in range(1, 9):
        sound = edited(sound, rng)
        made.clear()
        taken = sound.report(tmp_path / str(number), before)
        saved += whole - len(made)
        assert taken == sound.report(tmp_path / f"fresh {number}", None)
        before = tmp_path / str(number)
    assert saved > 3 * whole  # of eight times all


def with_word(words: Words, rng: random.Random) -> Words:
    """The words of a language with one text of one of their tables changed."""
    table = copy.deepcopy(dict(words.table))
    held = table[rng.choice(sorted(table))]
    while any(isinstance(inner, dict) for inner in held.values()):
        held = rng.choice([inner for inner in held.values() if isinstance(inner, dict)])
    if held:
        key = rng.choice(sorted(held))
        held[key] = f"{held[key]} (anew)"
    return replace(words, table=table, known={}, wholes={}, citations={}, said={})


@pytest.mark.usefixtures("no_paper")
@pytest.mark.parametrize("seed", range(2024, 2025))
def test_after_edits_of_words_and_templates_what_is_taken_over_is_what_is_made_anew(
    sound: Made, made: list[str], seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(seed)
    spoken = {language: load_words(language) for language in ("en", "nb")}
    monkeypatch.setattr(site, "load_words", lambda language: spoken[language])
    templates = tmp_path / "templates"
    shutil.copytree(templating._TEMPLATES, templates)
    monkeypatch.setattr(templating, "_TEMPLATES", templates)
    before, saved = tmp_path / "0", 0
    sound.report(before, tmp_path / "none")
    whole = len(made)
    for number in range(1, 6):
        if number % 3:
            language = rng.choice(sorted(spoken))
            spoken[language] = with_word(spoken[language], rng)
        else:
            template = rng.choice(
                [path for path in sorted(templates.glob("*.html")) if "<p" in path.read_text("utf-8")]
            )
            template.write_text(template.read_text("utf-8").replace("<p", "\n<p"), encoding="utf-8")
        made.clear()
        taken = sound.report(tmp_path / str(number), before)
        saved += whole - len(made)
        assert taken == sound.report(tmp_path / f"fresh {number}", None), number
        before = tmp_path / str(number)
    assert saved > whole  # of five times all


def test_every_template_is_seen_to_use_what_it_extends_or_imports() -> None:
    environment = templating.environment(escaped=True)
    for path in templating._TEMPLATES.iterdir():
        text = path.read_text(encoding="utf-8")
        used = set(meta.find_referenced_templates(environment.parse(text)))
        assert used == set(templating._USES.findall(text)), (
            path.name
        )  # None among them would be a name found on the way


def without_a_claim(sound: Made) -> Made:
    claims = sound.dataset.tables["claims.csv"]
    gone = claims[claims["claim_id"] != "alpha2020-003"].reset_index(drop=True)
    return replace(sound, dataset=replace(sound.dataset, tables={**sound.dataset.tables, "claims.csv": gone}))


def with_estimate(sound: Made) -> Made:
    changed = copy.deepcopy(list(sound.outcomes))
    changed[0]["estimates"][0]["value"] = 0.2
    return replace(sound, outcomes=changed)


def with_verdict(sound: Made) -> Made:
    changed = copy.deepcopy(list(sound.outcomes))
    changed[0]["checks"][0]["verdict"] = "INCONSISTENT"
    return replace(sound, outcomes=changed)


@pytest.mark.usefixtures("no_paper")
@pytest.mark.parametrize(
    ("unseen", "edit"),
    [
        (("works",), lambda sound: replace(sound, dataset=with_work(sound.dataset, "gamma2019", argues="Other."))),
        (
            ("names", "references"),
            lambda sound: replace(sound, dataset=with_reference(sound.dataset, "alpha2020", "1")),
        ),
        (("by_outcome", "outcomes"), with_estimate),
        (("checks", "by_outcome", "outcomes"), with_verdict),
        (("places",), without_a_claim),
        (("table samples.csv",), lambda sound: replace(sound, dataset=with_cell(sound.dataset, *SAMPLE))),
    ],
)
def test_a_question_that_nobody_writes_down_is_a_page_that_is_wrong(
    sound: Made, unseen: tuple[str, ...], edit: Callable[[Made], Made], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault is planted: were a part not watched, the test above would see it."""
    of = Log.of
    monkeypatch.setattr(Log, "of", lambda log, part: {} if part in unseen else of(log, part))
    sound.report(tmp_path / "before", tmp_path / "none")
    after = edit(sound)
    assert after.report(tmp_path / "taken", tmp_path / "before") != after.report(tmp_path / "fresh", None)


def test_a_page_of_claims_asks_for_the_directions_it_shows(sound: Made) -> None:
    """Asked of the whole analysis, the page of every work would be made anew with any of its sentences."""

    def archive(question: str, word: str) -> Any:
        links = [{"kind": "claim", "id": name} for name in ("beta2021-d01", "another-d01")]
        table = {"id": "open-data", "columns": ["open_data", "r"], "rows": [["positive", 0.2], [word, None]]}
        table |= {"links": links, "kind": "", "section": "", "title": "", "note": "", "about": None}
        empty = dict.fromkeys(("estimates", "checks", "figures", "sentences", "exclusions"), ())
        outcome = {**sound.outcomes[0], **empty, "id": "directions", "question": question, "tables": [table]}
        return make_archive(sound.dataset, [outcome], RUN)

    log, first = Log(), archive("asked", "negative")
    assert watched(first, log).open_data.get("beta2021-d01") == {"open_data": "positive", "r": 0.2}
    other = archive("otherwise", "none")
    assert Answers(first).digest(log.plain()) == Answers(other).digest(log.plain())
    gone = make_archive(sound.dataset, [], RUN)
    assert Answers(gone).digest(log.plain()) != Answers(first).digest(log.plain())
    log = Log()
    claim_rows(watched(first, log), first.claims)
    assert set(log.plain()) == {"open_data", "checks"} and None not in log.asked["open_data"]


SAMPLE = ("samples.csv", 0, "label", "Another name")


def test_every_part_of_the_dataset_and_the_archive_is_watched_left_out_or_in_the_key() -> None:
    """A field added to either is seen by pages unwatched until it is given its place."""
    in_key = {"version", "vocabulary", "article"}
    # what begins empty with every copy holds nothing of the dataset it was made of
    of_dataset = {field.name for field in fields(Dataset) if field.init}
    assert of_dataset == {*consulted.OF_DATASET, *consulted.LEFT_OUT} | in_key
    assert {field.name for field in fields(Archive)} == {*consulted.OF_ARCHIVE, "dataset", "names", "tables", "menu"}


def test_pages_read_nothing_but_what_their_key_holds(
    sound: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files opened while pages are made are of the report's package, or settings and words of the project."""
    opened: list[Path] = []
    real = io.open

    def noting(file: Any, *args: Any, **more: Any) -> Any:
        if "w" not in (args[0] if args else more.get("mode", "r")):
            opened.append(Path(str(file)))
        return real(file, *args, **more)

    make = making.Source.made

    def watched(self: making.Source, plan: making.Plan, folder: Path) -> making.Made:
        with monkeypatch.context() as patch:
            patch.setattr(io, "open", noting)
            patch.setattr("builtins.open", noting)
            return make(self, plan, folder)

    monkeypatch.setattr(making.Source, "made", watched)
    sound.report(tmp_path / "report", tmp_path / "none")
    allowed = [Path(site.__file__).parent, paths.analyses_dir() / "locale", tmp_path / "report", paths.cache_dir()]
    settings = [paths.analyses_dir() / name for name in ("checklist.toml", *RULES)]
    settings.append(paths.project_root() / "requirements.lock")
    strange = [p for p in opened if p not in settings and not any(p.is_relative_to(root) for root in allowed)]
    assert opened and not [path for path in strange if "site-packages" not in path.parts]


def ended(folder: Path, reason: str) -> Path:
    """A typesetter that ends at once, for this reason."""
    setter = folder / "setter.py"
    setter.write_text(f"raise SystemExit({reason!r})", encoding="utf-8")
    return setter


def test_the_pdf_is_set_again_when_its_text_changes_and_not_before(sound: Made, tmp_path: Path) -> None:
    first = sound.report(tmp_path / "first", tmp_path / "none")
    other = replace(sound, dataset=with_cell(sound.dataset, "effects.csv", 0, "note", "Read twice."))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("replication.report.pdf._SETTER", ended(tmp_path, "set again"))
        same = other.report(tmp_path / "same", tmp_path / "first")
        assert same["report.pdf"] == first["report.pdf"]
        changed = copy.deepcopy(list(sound.outcomes))
        changed[1]["sentences"][0]["values"]["without"]["value"] = 0.2
        changed = replace(sound, outcomes=changed)
        assert "report.pdf" not in changed.report(tmp_path / "changed", tmp_path / "first")


def test_the_report_before_stays_as_it_is_while_the_next_one_is_made(sound: Made, tmp_path: Path) -> None:
    """What is taken over is the same file under a second name: a page that is made again is another file."""
    first = sound.report(tmp_path / "first", tmp_path / "none")
    changed = copy.deepcopy(list(sound.outcomes))
    changed[1]["sentences"][0]["values"]["without"]["value"] = 0.2
    other = replace(sound, outcomes=changed)
    with pytest.MonkeyPatch.context() as patch:
        # Set in vain, so that every page is made again to say that there is no PDF.
        patch.setattr("replication.report.pdf._SETTER", ended(tmp_path, "no paper"))
        second = other.report(tmp_path / "second", tmp_path / "first")
    assert b"no paper" in second["index.html"]
    held = {name: (tmp_path / "first" / name).read_bytes() for name in first}
    assert held == first
    third = other.report(tmp_path / "third", tmp_path / "first")
    assert (tmp_path / "third" / "traps.html").samefile(tmp_path / "first" / "traps.html")
    assert third == other.report(tmp_path / "fresh", None)


@pytest.mark.usefixtures("no_paper")
def test_a_page_that_was_edited_or_made_by_other_code_is_made_again(
    sound: Made, made: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = sound.report(tmp_path / "first", tmp_path / "none")
    page = tmp_path / "first" / "traps.html"
    page.write_text(page.read_text(encoding="utf-8").replace("</main>", "!</main>"), encoding="utf-8")
    made.clear()
    assert sound.report(tmp_path / "second", tmp_path / "first") == first
    assert made == ["traps.html"]
    monkeypatch.setattr(site, "installed", lambda _: "another")
    made.clear()
    assert sound.report(tmp_path / "third", tmp_path / "second") == first
    assert len(made) > 30


def test_what_processes_make_comes_once_and_one_that_is_ended_costs_nothing() -> None:
    parent = os.getpid()

    def made_where(number: int) -> tuple[int, bool]:
        if number == 3 and os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)  # as the system does where memory is short
        return number, os.getpid() != parent

    found = sorted(Forks(2).over(made_where, list(range(8))))
    assert [number for number, _ in found] == list(range(8))
    assert found[3] == (3, False)


def test_what_fails_in_a_process_is_said_as_it_would_be_here() -> None:
    def refuse(number: int) -> int:
        raise UserError(f"file {number} cannot be made")

    with pytest.raises(UserError, match=r"file \d cannot be made"):
        list(Forks(2).over(refuse, list(range(8))))
