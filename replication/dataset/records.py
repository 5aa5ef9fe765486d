"""TOML records of the dataset, checked by pydantic: works, corrections, explanations, statements and traps."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from replication.dataset.letters import hidden_lines, hidden_values
from replication.dataset.problems import Problem, nearest, shown
from replication.dataset.reading import read_bytes

__all__ = [
    "AnswerFile",
    "Article",
    "ArticleFile",
    "Bullying",
    "Correction",
    "CorrectionFile",
    "Explanation",
    "ExplanationFile",
    "PacketFile",
    "PacketTable",
    "RecordType",
    "RecordedAnswer",
    "Reference",
    "Statement",
    "Trap",
    "TrapFile",
    "Work",
    "parse_record",
    "read_toml",
]

_LARGEST_TOML = 2_000_000
_EXPECTED = {  # pydantic's kinds of failure, in words
    "string_type": "text in quotes",
    "string_too_short": "some text",
    "string_too_long": "shorter text: a few sentences at most",
    "string_pattern_mismatch": "small letters and digits, starting with a letter (a version: 1.0.0)",
    "list_type": 'a list in square brackets, e.g. ["a", "b"]',
    "too_short": "at least one entry",
    "bool_type": "true or false, without quotes",
    "int_type": "a whole number without quotes",
    "float_type": "a number without quotes",
    "dict_type": "a table of names and values",
    "model_type": "a table of fields",
    "finite_number": "a finite number",
}
Filled = Annotated[str, StringConstraints(min_length=1, max_length=5000, strip_whitespace=True)]
Short = Annotated[str, StringConstraints(max_length=5000)]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


class Bullying(_Record):
    """What a cited work can say on relationship and bullying, by its abstract."""

    relationship_measured: Filled
    bullying_measured: Filled
    usable_for_pool: Filled


class Work(_Record):
    """One work (`work.toml`). Title, authors and year are in `references.bib` under the same key."""

    key: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{2,39}$")]
    kind: Filled
    role: Filled
    setting: Filled
    quantitative: Filled
    read_in_full: bool = False  # whether somebody of this project had the whole text before them
    printed_only: Short = ""  # the name of its page, where nothing in it can be computed from public data
    peer_reviewed: bool = True
    since: Annotated[str, StringConstraints(pattern=r"^\d{1,4}\.\d{1,4}\.\d{1,4}$")] = "1.0.0"
    design: Short = ""
    argues: Short = ""
    missing: Short = ""
    fit: Short = ""
    bullying: Bullying | None = None


class PacketTable(_Record):
    """One table to copy from a work: its rows by name, the columns wanted, `more` empty rows, and what it settles."""

    title: Filled
    where: Filled
    why: Filled
    rows: list[Filled] = Field(default_factory=list)
    columns: list[Filled] = Field(min_length=1)
    more: int = Field(default=0, ge=0, le=100)
    settles: list[Filled] = Field(default_factory=list)


class PacketFile(_Record):
    """`packet.toml`: what somebody with the work in hand should copy from it."""

    get_it: Filled
    table: list[PacketTable] = Field(min_length=1)


class Correction(_Record):
    """An error in print, or a point that no record settles."""

    id: Filled
    works: list[str] = Field(default_factory=list)
    status: Filled
    printed: Short = ""
    corrected: Short = ""
    record: Short = ""
    reason: Short = ""


class CorrectionFile(_Record):
    """`corrections.toml`."""

    correction: list[Correction]


class Explanation(_Record):
    """Why our number differs from the printed one, up to the relative difference `at_most`.

    It expires: when a claim no longer differs, a test fails.
    """

    id: Filled
    claims: list[Filled] = Field(min_length=1)
    at_most: float = Field(gt=0, allow_inf_nan=False)
    reason: Filled
    evidence: Filled


class ExplanationFile(_Record):
    """`explanations.toml`."""

    explanation: list[Explanation]


class RecordedAnswer(_Record):
    """Why something that looks wrong is right: the answer to one plausibility question of `study check`.

    `rows` are all rows the question is about, and `found` is what the check said when it was answered: once the numbers
    change, the question is asked again.
    """

    rule: Filled
    rows: list[Filled] = Field(min_length=1)
    found: Filled
    reason: Filled
    who: Filled


class AnswerFile(_Record):
    """`answers.toml`."""

    answer: list[RecordedAnswer]


class Statement(_Record):
    """One statement of the article in our words, in English and Norwegian."""

    id: Filled
    says: Filled
    says_nb: Filled
    needs: Filled
    needs_nb: Filled
    # Which findings there are, the report's own table says: it refuses a name it does not list.
    finding: Annotated[str, StringConstraints(pattern=r"^([a-z][a-z0-9]*)?$")] = ""
    works: list[str]
    limits: Filled
    limits_nb: Filled


class Article(_Record):
    """The article itself."""

    title: Filled
    publisher: Filled
    year: int
    changed: Filled
    language: Filled
    reading: Filled
    works_listed: int
    note: Filled


class ArticleFile(_Record):
    """`article/statements.toml`."""

    article: Article
    statement: list[Statement]


class Trap(_Record):
    """Something that trips a reader of this literature."""

    id: Filled
    title: Filled
    works: list[str]
    text: Filled


class TrapFile(_Record):
    """`traps.toml`."""

    trap: list[Trap]


@dataclass(frozen=True, slots=True)
class Reference:
    """A bibliography entry as plain text. An empty field is unknown."""

    key: str
    title: str
    authors: tuple[str, ...]
    year: str
    venue: str
    doi: str
    note: str

    @property
    def short(self) -> str:
        """Authors and year as cited in running text, e.g. "Roorda et al. (2011)"; without authors the main title."""
        last = [name.split(",")[0].strip("{} ") for name in self.authors]
        if not last:
            # What follows the colon is a subtitle; a survey's title ends in its year or country before it.
            main = (self.title.rpartition(": ")[0] or self.title).removesuffix(" [title paraphrased]")
            return main if self.year and self.year in main else f"{main} ({self.year or 'year unknown'})"
        who = last[0]
        if len(last) == 2:
            who = f"{last[0]} & {last[1]}"
        elif len(last) > 2:
            who = f"{last[0]} et al."
        return f"{who} ({self.year or 'year unknown'})"


def read_toml(path: Path, file: str) -> Mapping[str, object] | Problem:
    """The parsed TOML file, or the problem with line and column as the parser names them."""
    content = read_bytes(path, file)
    if isinstance(content, Problem):
        return content
    if len(content) > _LARGEST_TOML:
        return Problem(file, 0, "", "too-large", f"{len(content)} bytes", "at most 2 MB", "keep records short")
    try:
        # utf-8-sig: Windows editors put a mark at the beginning that TOML does not allow.
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
        record = tomllib.loads(text)
        # Without an escape every value is a piece of a line.
        inside = hidden_values(record, file) if "\\" in text else ()
        return next(itertools.chain(hidden_lines(text, file), inside), record)
    except UnicodeDecodeError as error:
        row = content[: error.start].count(b"\n") + 1
        found = f"the byte 0x{content[error.start]:02X}, which is not UTF-8"
        return Problem(file, row, "", "encoding", found, "UTF-8 text", "save the file as UTF-8")
    except tomllib.TOMLDecodeError as error:
        row = getattr(error, "lineno", 0) or _line_of(str(error))
        twice = "overwrite" in str(error).lower()
        hint = "is a field there twice? Delete one" if twice else 'text values stand in quotes: title = "…"'
        return Problem(file, row, "", "toml", shown(error), "TOML", hint)
    except (ValueError, RecursionError) as error:  # an integer of thousands of digits, or tables in tables in tables
        found = "values nested too deeply" if isinstance(error, RecursionError) else shown(error)
        return Problem(file, 0, "", "toml", found, "flat records and short numbers", "look for what is out of shape")


RecordType = TypeVar("RecordType", bound=BaseModel)


def parse_record(
    model: type[RecordType], record: Mapping[str, object], file: str
) -> tuple[RecordType | None, list[Problem]]:
    """The record as `model`, or every field that does not fit it."""
    try:
        return model.model_validate(dict(record)), []
    except ValidationError as error:
        return None, [_field_problem(model, file, detail) for detail in error.errors()]


def _field_problem(model: type[BaseModel], file: str, detail: Mapping[str, object]) -> Problem:
    location = detail["loc"]
    parts = [str(part + 1) if isinstance(part, int) else str(part) for part in location]  # type: ignore[attr-defined]
    field, kind, found = ".".join(parts), str(detail["type"]), shown(detail["input"])
    if kind == "missing":
        return Problem(file, 0, field, "missing-field", "no such field", f"the field {parts[-1]}", "add it")
    if kind == "extra_forbidden":
        # Deeper fields belong to another model, whose names would be the wrong suggestions.
        fields = model.model_fields if len(parts) == 1 else ()
        return Problem(file, 0, field, "unknown-field", parts[-1], "a known field", nearest(parts[-1], fields))
    message = str(detail["msg"]).removeprefix("Value error, ")
    return Problem(file, 0, field, "field", found, _EXPECTED.get(kind, message[:1].lower() + message[1:]))


def _line_of(message: str) -> int:
    _, _, tail = message.partition("line ")
    digits = tail.partition(",")[0]
    return int(digits) if digits.isdigit() else 0
