"""The protocol: which rows count for a question, decided by recorded columns and by nobody's memory.

Called by `question.evidence` for every pool, and by a finding for its flow diagram. Three ideas:

1. A criterion is a record in `analyses/protocol.toml`: columns, and the words it refuses or the only ones it allows.
   Code knows no topic; whoever disagrees with a criterion edits a file, and the digest of every result changes.
2. Every candidate row meets every criterion, so "without this criterion" is a look-up and not a second screening.
3. A body of evidence is a kind of row: *published* (somebody chose to print it) or *open-data* (computed by recipe
   from a public file, printed by nobody). The row's own columns say which, never the name of its work.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from replication import paths
from replication.dataset import Dataset, Exclusion, kept_with
from replication.errors import DataError, first_fault
from replication.labels import Label

__all__ = [
    "Body",
    "Criterion",
    "Flow",
    "Protocol",
    "Screened",
    "described",
    "flow",
    "load_protocol",
    "open_ids",
    "rows_on",
    "screen",
    "with_text",
]

Body = Literal["published", "open"]

OPEN = "open data"  # the word of `publication_status` for what nobody printed


class Criterion(BaseModel):
    """One criterion or restriction: `columns` may not hold a word of `refused`, nor another than `allowed`.

    `filled = false` refuses rows where one of the columns holds anything at all.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    wording: str
    wording_nb: str
    reason: str
    columns: tuple[str, ...] = Field(min_length=1)
    refused: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    filled: bool = True

    @property
    def label(self) -> str:
        """The key of its wording: every language has it from the protocol itself (`report.words`)."""
        return f"criterion_{self.id}"

    def fails(self, rows: pd.DataFrame) -> NDArray[np.bool_]:
        """Whether each row `(k,)` fails. Columns the dataset does not have yet are empty, and empty cells pass."""
        failed = np.zeros(len(rows), dtype=bool)
        for column in self.columns:
            if column in rows:
                # What nobody recorded is no reason to leave a row out: exclusions need evidence.
                cells = [cell if isinstance(cell, str) else "" if pd.isna(cell) else str(cell) for cell in rows[column]]
                # A column holds few words, many times each.
                refused = {cell: self._refuses(cell) for cell in set(cells)}
                failed |= np.array([refused[cell] for cell in cells], dtype=bool)
        return failed

    def _refuses(self, cell: str) -> bool:
        words = [word.strip() for word in cell.split(";") if word.strip()]
        if not self.filled:
            return bool(words)
        # flags such as subscale_of=ID carry an id behind the word
        plain = [word.partition("=")[0] for word in words]
        return any(word in self.refused for word in plain) or bool(
            self.allowed and any(word not in self.allowed for word in plain)
        )


class Protocol(BaseModel):
    """All criteria in the order of the flow diagram, and restrictions for sensitivity analyses."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str
    dated: date
    note: str
    note_nb: str
    criterion: tuple[Criterion, ...] = Field(min_length=1)
    restriction: tuple[Criterion, ...] = ()


def load_protocol(path: Path | None = None) -> Protocol:
    """The protocol of `analyses/protocol.toml` (or another file), checked.

    Raises
    ------
    DataError
        when the file is no protocol; the message names the file, the place and what was found.
    """
    # The file is looked up anew each time, and only its content kept: another project has another one.
    return _read_protocol(path or paths.analyses_dir() / "protocol.toml")


@lru_cache(maxsize=8)
def _read_protocol(file: Path) -> Protocol:
    try:
        found = Protocol.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{file.name} cannot be read: {error}; restore it from the repository") from None
    except ValidationError as error:
        raise DataError(first_fault(file.name, error)) from None
    ids = [c.id for c in (*found.criterion, *found.restriction)]
    twice = [name for name, count in Counter(ids).items() if count > 1]
    if twice:
        raise DataError(f'{file.name}: two criteria are called "{twice[0]}"; give each an id of its own')
    return found


@kept_with  # asked for once a pair of constructs
def open_ids(data: Dataset) -> frozenset[str]:
    """The ids of the effects that nobody printed; see `described`."""
    effects = data.columns("effects.csv")
    asked = [name for name in ("reading", "publication_status") if name in effects]
    status = zip(effects["effect_id"], _status(effects.only(*asked).frame()), strict=True)
    return frozenset(name for name, word in status if word == OPEN)


def described(data: Dataset, rows: pd.DataFrame) -> pd.DataFrame:
    """Effect rows with what criteria ask about: setting of the work, scope of measures, body of evidence, informants.

    Added columns: `setting`, `scope` (of the relationship measure), `facet_a`, `facet_b`, `measure_key_a`,
    `measure_key_b` ("construct:measure"), `status`, `sampling`, `body`, `informants` (same, different, unknown).
    """
    sides = {side: _Side.of(data, rows, side) for side in ("a", "b")}
    settings = {key: work.setting for key, work in data.works.items()}
    exposure = {name for name, construct in data.vocabulary.constructs.items() if construct.side == "exposure"}
    scopes = zip(rows["var_a"].tolist(), sides["a"].scope, sides["b"].scope, strict=True)
    status = _status(rows)
    informants = zip(*(rows[f"informant_{side}"].fillna("").tolist() for side in sides), strict=True)
    added = {
        "setting": [settings.get(work, "") for work in rows["work"].tolist()],
        **{f"measure_key_{side}": own.key for side, own in sides.items()},
        **{f"facet_{side}": own.facet for side, own in sides.items()},
        "scope": [a if variable in exposure else b for variable, a, b in scopes],
        "status": status,
        "sampling": _of_sample(data, rows, "sampling"),
        "body": ["open" if word == OPEN else "published" for word in status],
        "informants": ["unknown" if not (a and b) else "same" if a == b else "different" for a, b in informants],
    }
    return with_text(rows, added)


def with_text(rows: pd.DataFrame, columns: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """The rows with further columns of text, as objects like the text of the dataset, and in one block of memory."""
    # Text that is assigned becomes an Arrow array, and picking rows takes one call a column: twenty times as long.
    block = np.empty((len(columns), len(rows)), dtype=object)
    for at, cells in enumerate(columns.values()):
        block[at] = cells
    names = pd.Index(list(columns), dtype="str")
    added = pd.DataFrame(block.T, index=rows.index, columns=names, dtype=object, copy=False)
    other = rows.drop(columns=list(columns), errors="ignore") if rows.columns.isin(names).any() else rows
    return pd.concat([other, added], axis=1)


def _status(rows: pd.DataFrame) -> list[str]:
    """The publication status of each row; where none is recorded, what was computed from a file is open data."""
    computed = (OPEN if reading == "computed" else "not stated" for reading in rows["reading"].tolist())
    if "publication_status" not in rows:
        return list(computed)
    return [own or other for own, other in zip(rows["publication_status"].fillna("").tolist(), computed, strict=True)]


def _of_sample(data: Dataset, rows: pd.DataFrame, column: str) -> list[str]:
    """A column of `samples.csv` for the sample of each row; empty where there is none."""
    samples = data.columns("samples.csv")
    if column not in samples:
        return [""] * len(rows)
    known = dict(samples.rows("sample_id", column))
    return [known.get(sample, "") for sample in rows["sample_id"].tolist()]


@dataclass(frozen=True, slots=True)
class _Side:
    """What is recorded of the measure on one side of each row: its key, facet and scope; empty where nothing is."""

    key: list[str]
    facet: list[str]
    scope: list[str]

    @classmethod
    def of(cls, data: Dataset, rows: pd.DataFrame, side: str) -> _Side:
        """The side `a` or `b` of the rows."""
        variables, measures = rows[f"var_{side}"].tolist(), rows[f"measure_{side}"].fillna("").tolist()
        named = list(zip(rows["work"].tolist(), variables, measures, strict=True))
        keys = [f"{variable}:{measure}" for variable, measure in zip(variables, measures, strict=True)]
        return cls(keys, *(_of_measures(data, named, column) for column in ("facet", "scope")))


def _of_measures(data: Dataset, named: Sequence[tuple[str, str, str]], column: str) -> list[str]:
    """A column of `measures.csv` for measures by work, variable and code; empty where nothing is recorded."""
    measures = data.columns("measures.csv")
    if column not in measures:
        return [""] * len(named)
    cells = measures.rows("work", "variable", "measure", column)
    known = {(work, variable, measure): cell for work, variable, measure, cell in cells}
    return [known.get(name, "") for name in named]


@dataclass(frozen=True, slots=True, eq=False)
class Screened:
    """Candidates for one question, and which criteria each fails: `failed (k, c)`, in the order of the protocol."""

    rows: pd.DataFrame
    failed: NDArray[np.bool_]
    protocol: Protocol

    @property
    def included(self) -> NDArray[np.bool_]:
        """Whether each row `(k,)` passes every criterion."""
        return np.asarray(~self.failed.any(axis=1), dtype=bool)

    @property
    def reasons(self) -> list[str]:
        """The id of the first criterion each row fails; empty for rows that count."""
        ids = [criterion.id for criterion in self.protocol.criterion]
        # The first in the order of the protocol: a flow diagram counts every row once.
        first = [*self.failed.argmax(axis=1)]
        return ["" if passes else ids[at] for at, passes in zip(first, self.included, strict=True)]

    def without(self, criterion: str) -> NDArray[np.bool_]:
        """Which rows `(k,)` would count if this criterion were dropped and all others kept."""
        at = [c.id for c in self.protocol.criterion].index(criterion)
        return np.asarray(~np.delete(self.failed, at, axis=1).any(axis=1), dtype=bool)

    def exclusions(self) -> tuple[Exclusion, ...]:
        """Every row that does not count, with the criterion it fails."""
        wording = {c.id: Label("not_criterion", {"name": c.id, "criterion": c.label}) for c in self.protocol.criterion}
        return tuple(
            Exclusion(str(row), wording[reason])
            for row, reason in zip(self.rows["effect_id"], self.reasons, strict=True)
            if reason
        )


def screen(rows: pd.DataFrame, protocol: Protocol) -> Screened:
    """Hold every row, `described` or with the columns that criteria ask about, against every criterion."""
    failed = np.column_stack([criterion.fails(rows) for criterion in protocol.criterion])
    return Screened(rows.reset_index(drop=True), failed, protocol)


@dataclass(frozen=True, slots=True)
class Flow:
    """The numbers of a PRISMA 2020 flow diagram for one question; `excluded` by criterion id, in order."""

    works: int
    rows: int
    logged: int
    directions: int
    other_pairs: int
    assessed: int
    excluded: tuple[tuple[str, int], ...]
    included_rows: int
    included_samples: int
    included_works: int


def flow(data: Dataset, screened: Screened) -> Flow:
    """From everything the dataset identified to the rows that count for one question; every row is counted once.

    `logged` rows were read and not taken into the dataset (the screening log), `directions` carry no size.
    """
    rows = screened.rows[screened.included]
    reasons = Counter(reason for reason in screened.reasons if reason)
    everything, logged, directions = (
        len(data.columns("effects.csv")),
        len(data.columns("screened.csv")),
        len(data.columns("directions.csv")),
    )
    return Flow(
        works=len(data.works),
        rows=everything + logged + directions,
        logged=logged,
        directions=directions,
        other_pairs=everything - len(screened.rows),
        assessed=len(screened.rows),
        excluded=tuple((c.id, reasons[c.id]) for c in screened.protocol.criterion),
        included_rows=len(rows),
        included_samples=rows["sample_id"].nunique(),
        included_works=rows["work"].nunique(),
    )


def rows_on(data: Dataset, relationships: Sequence[str], outcome: str) -> pd.DataFrame:
    """The effect rows that join one of the relationship constructs with the outcome, in either order."""
    effects, named = data.columns("effects.csv"), frozenset(relationships)
    # Chosen among plain cells: a data frame of all rows, of which a question has a tenth, takes more memory than both.
    pairs = effects.rows("var_a", "var_b")
    return effects.moved((a in named and b == outcome) or (b in named and a == outcome) for a, b in pairs).frame()
