"""Files of a report: planned first, then made, or taken over from the report before where nothing behind them changed.

A `Plan` makes a page, or a few files that belong together, from what it is `Given`, and from nothing else. While it is
made its questions are written down (`consulted`); they are kept with the report, in a hidden file beside the pages.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from replication.report.archive import Archive
from replication.report.consulted import TEMPLATES, Answers, Asked, Log, as_json, listening, name_of, watched
from replication.report.gallery import Gallery, Pictures
from replication.report.view import Page
from replication.report.words import Words
from replication.writing import gzip_packer, take_over

__all__ = [
    "KEPT",
    "Before",
    "File",
    "Given",
    "InTurn",
    "Kept",
    "Made",
    "Plan",
    "Source",
    "Spread",
    "read_before",
    "written",
]

KEPT = ".made.json.gz"
"""Hidden: it is no part of what a reader is given, and no digest of the report counts it."""
File = tuple[str, str | bytes]
"""A path below the report's folder, and the text or the bytes of the file."""
Task = TypeVar("Task")
Result = TypeVar("Result")


class Spread(Protocol):
    """How the making of many files is spread over processes."""

    def over(self, function: Callable[[Task], Result], tasks: list[Task]) -> Iterator[Result]:
        """The results of a function, as they come."""


class InTurn:
    """Over none: one after the other, in this process."""

    def over(self, function: Callable[[Task], Result], tasks: list[Task]) -> Iterator[Result]:
        """The results, each made when it is asked for."""
        return map(function, tasks)


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """What a page is made from: the archive, the words of its language, its figures in it, and words by language."""

    archive: Archive
    words: Words
    gallery: Gallery
    spoken: Mapping[str, Words]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What is to be made: its name, its language, and how.

    `outside` is a digest of what it reads elsewhere. `about` is the outcome or work it is about: plans about the same
    are made by one process.
    """

    name: str
    language: str
    make: Callable[[Given], Iterable[Page | File]]
    outside: str = ""
    about: str = ""


@dataclass(frozen=True, slots=True)
class Made:
    """What was made by a plan: the digest of each file by its path, what was asked for it, what was read elsewhere.

    `answers` is the digest of what was answered, where that is known.
    """

    name: str
    files: Mapping[str, str]
    asked: Asked
    outside: str = ""
    answers: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """The archive, its words and figures, of which each plan is given a watched part; `render` makes text of a page."""

    archive: Archive
    spoken: Mapping[str, Words]
    pictures: Mapping[str, Pictures]
    render: Callable[[Given, Page], str]

    def given(self, language: str, log: Log) -> Given:
        """What a plan of a language is given; its questions go to the log."""
        archive = watched(self.archive, log)
        spoken = {name: listening(words, archive.names, log) for name, words in self.spoken.items()}
        return Given(archive, spoken[language], self.pictures[language].seen_by(log), spoken)

    def made(self, plan: Plan, folder: Path) -> Made:
        """Make the files of a plan in a folder."""
        log = Log()
        given, files = self.given(plan.language, log), {}
        for item in plan.make(given):
            if isinstance(item, Page):
                log.note(TEMPLATES, item.template)
            path, content = (item.path, self.render(given, item)) if isinstance(item, Page) else item
            files[path] = written(folder / path, content if isinstance(content, bytes) else content.encode("utf-8"))
        return Made(plan.name, files, log.plain(), plan.outside)


@dataclass(frozen=True, slots=True, eq=False)
class Before:
    """The report before: its folder, and what is known of how each of its files was made."""

    folder: Path
    made: Mapping[str, Made]
    """By the name of the plan."""

    def same(self, plan: Plan, answers: Answers) -> Made | None:
        """What was made by this plan from what it would be made from now; None where there is no such thing."""
        # Same code, same questions, same answers: only then are the same bytes sure.
        made = self.made.get(plan.name)
        if made is None or made.outside != plan.outside or answers.digest(made.asked) != made.answers:
            return None
        return made

    def taken(self, plan: Plan, answers: Answers, folder: Path) -> Made | None:
        """Take the files of a plan over into a folder, if nothing behind them changed; None if they are to be made."""
        made = self.same(plan, answers)
        return self.take(made, folder) if made else None

    def take(self, made: Made, folder: Path) -> Made | None:
        """Take files over into a folder; None where one of them was edited since, or is gone."""
        found = {}
        for path, known in made.files.items():
            with contextlib.suppress(OSError):
                content = (self.folder / path).read_bytes()
                if _digest(content) == known:
                    found[path] = content
        # All files of a plan or none: a page beside drawings of another run would not agree with them.
        if len(found) < len(made.files):
            return None
        for path, content in found.items():
            take_over(self.folder / path, folder / path, content)
        return made


def read_before(folder: Path, made_by: str) -> Before:
    """What can be taken over from the report in a folder; nothing where other code made it."""
    made: dict[str, Made] = {}
    try:
        first, *lines = gzip.decompress((folder / KEPT).read_bytes()).decode("utf-8").split("\n")
        lists: list[str] = []
        for line in lines if json.loads(first) == made_by else ():
            if line.startswith("["):
                lists.append(line)
            elif line:
                name, files, numbers, outside, answers = json.loads(line)["plan"]
                asked = {part: lists[number] for part, number in numbers.items()}
                made[name] = Made(name, files, asked, outside, answers)
    except (
        OSError,
        EOFError,
        zlib.error,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        RecursionError,
        StopIteration,
    ):  # no report, or one of which nothing is known
        made = {}
    return Before(folder, made)


class Kept:
    """What the files of a report were made from, taken down as they are done, for the next report.

    A line of JSON each: who made it, lists of questions, and plans, whose questions are given by the numbers of lists.
    """

    def __init__(self, made_by: str, answers: Answers) -> None:
        self._answers = answers
        self._lists: dict[bytes, int] = {}
        # Packed line by line while others make pages: of very many works the whole text would be a hundred megabytes.
        # Not by a GzipFile: one that is left unfinished, as where the PDF fails, complains on the terminal.
        self._packer, self._packed = gzip_packer(), list[bytes]()
        self._line(as_json(made_by))

    def add(self, one: Made) -> None:
        """Take down one plan's files; of what it asked nothing is held but names of lists."""
        numbers = {part: self._number(listed) for part, listed in one.asked.items()}
        answers = one.answers or self._answers.digest(one.asked)
        self._line(as_json({"plan": [one.name, one.files, numbers, one.outside, answers]}))

    def _number(self, listed: str) -> int:
        """The number of a list of questions, which is written down when it is first seen."""
        # Pages of one kind put the same questions: each list of them is written once.
        name = name_of(listed)
        if name not in self._lists:
            self._lists[name] = len(self._lists)
            self._line(listed)
        return self._lists[name]

    def _line(self, text: str) -> None:
        self._packed.append(self._packer.compress(f"{text}\n".encode()))

    def write(self, folder: Path) -> None:
        """Write it beside the files of the report."""
        (folder / KEPT).write_bytes(b"".join([*self._packed, self._packer.flush()]))


def written(path: Path, content: bytes) -> str:
    """Write a file and give its digest."""
    # A new file, never one that is there: that may be of the report before by another name, and stays as it is. What is
    # in the way is looked for only where something is: of a thousand files nearly none.
    try:
        _write_new(path, content)
    except FileExistsError:
        path.unlink()
        _write_new(path, content)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_new(path, content)
    return _digest(content)


def _write_new(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
