"""Two releases, field by field: what each estimate, verdict, sentence and row was, and what it is.

Releases are compared as they are stored, as plain data: a later version of the code must be able to read what an
earlier one wrote. Things are joined by id, and an id that was only renamed is followed (`analyses/renamed.toml`).
A field that one of the two did not record is not compared: that is a change of the form, not of what was said.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from replication.dataset.schema import TABLES
from replication.errors import UserError
from replication.writing import differing_rows

__all__ = [
    "Fate",
    "FieldChange",
    "Kind",
    "differing_rows_of",
    "field_changes",
    "read_renamed",
    "records_of",
    "same",
]

Kind = Literal["estimate", "verdict", "sentence", "row"]
Fate = Literal["changed", "filled", "emptied", "new", "gone"]
"""changed: another value. filled, emptied: a field that had none got one, or the other way round. new, gone: the whole
thing is in one release only."""

Record = Mapping[str, Any]
_CLOSE = 1e-8  # relative: the last digits of linear algebra differ between machines
_COMPARED_TABLES = ("effects.csv", "samples.csv", "claims.csv", "directions.csv")
_CHECK_FIELDS = ("verdict", "ours", "low", "high", "relative_difference", "decision_flip", "reason", "estimate")


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field of one thing in two releases. `field` is empty where the whole thing is new or gone."""

    kind: Kind
    id: str
    field: str
    before: object
    after: object

    @property
    def fate(self) -> Fate:
        """What became of it."""
        if not self.field:
            return "new" if self.before is None else "gone"
        if empty(self.before):
            return "filled"
        return "emptied" if empty(self.after) else "changed"


def field_changes(kind: Kind, before: Mapping[str, Record], after: Mapping[str, Record]) -> Iterator[FieldChange]:
    """Every field that differs between two sets of records, in the order of ids.

    >>> [(c.field, c.fate) for c in field_changes("row", {"a": {"n": 1, "p": None}}, {"a": {"n": 2, "p": 0.1}})]
    [('n', 'changed'), ('p', 'filled')]
    """
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            yield FieldChange(kind, name, "", old, new)
            continue
        if kind == "row" and old == new:  # text alone, and nearly all of thousands; elsewhere True would equal 1
            continue
        for field, value in old.items():
            if field in new and not same(value, new[field]):
                yield FieldChange(kind, name, field, value, new[field])


def records_of(outcomes: Sequence[Record], renamed: Mapping[str, str] | None = None) -> dict[Kind, dict[str, Record]]:
    """Estimates, verdicts and sentences of stored outcomes, each by an id that stays the same between releases.

    Parameters
    ----------
    outcomes : as stored.
    renamed : the id of today of each estimate (`analysis/estimate`) that had another one.
    """
    new_name = renamed or {}
    estimates = {
        f"{o['id']}/{e['id']}": {k: v for k, v in e.items() if k != "id"} for o in outcomes for e in o["estimates"]
    }
    return {
        "estimate": {new_name.get(name, name): e for name, e in estimates.items()},
        "verdict": {check["claim"]["id"]: _check(check) for o in outcomes for check in o["checks"]},
        "sentence": {_sentence_id(o["id"], s): _bare(s["values"]) for o in outcomes for s in o["sentences"]},
    }


def differing_rows_of(before: Path, after: Path) -> tuple[dict[str, Record], dict[str, Record]]:
    """The rows of the dataset that two reports hand out in these folders, by table and id, but those alike in both.

    Of a row that one of them alone has nothing is told but its id: after many works came in nearly all are such.
    """
    old: dict[str, Record] = {}
    new: dict[str, Record] = {}
    for table in _COMPARED_TABLES:
        was, now = differing_rows(before / table, after / table)
        held = {_name(table, row): row for row in was}
        found = {name: row if name in held else _ALONE for name, row in ((_name(table, row), row) for row in now)}
        old |= {name: row if name in found else _ALONE for name, row in held.items()}
        new |= found
    return old, new


_ALONE: Record = MappingProxyType({})


def _name(table: str, row: Record) -> str:
    return f"{table}/{row[TABLES[table].id[-1]]}"


def read_renamed(path: Path) -> dict[str, str]:
    """The ids of estimates that were renamed, old to new; none where there is no such file.

    Raises
    ------
    UserError
        when the file is no table of texts.
    """
    if not path.exists():
        return {}
    try:
        names = tomllib.loads(path.read_text(encoding="utf-8")).get("estimate", {})
        if not all(isinstance(name, str) for pair in names.items() for name in pair):
            raise TypeError("an id is no text")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, AttributeError, TypeError) as error:
        raise UserError(f'{path.name} cannot be read ({error}); write lines such as "old/id" = "new/id"') from None
    return dict(names)


def same(a: object, b: object) -> bool:
    """Whether two stored values say the same: numbers to a relative 1e-8, everything else exactly."""
    if isinstance(a, str) or isinstance(b, str):  # most cells, and cheap to tell
        return a == b
    # True equals 1 in Python, and the two do not say the same.
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, int | float) and isinstance(b, int | float):
        return math.isclose(a, b, rel_tol=_CLOSE, abs_tol=1e-12)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(same(value, b[name]) for name, value in a.items())
    return a == b


def empty(value: object) -> bool:
    """Whether a stored value says nothing."""
    return value is None or value in ("", [], {})


def _check(check: Record) -> Record:
    printed = {f"printed {part}": text for part, text in check["claim"]["printed"].items()}
    return {**{name: check.get(name) for name in _CHECK_FIELDS}, **printed}


def _sentence_id(outcome: str, sentence: Record) -> str:
    """A sentence is the same one when it says the same thing of the same question, body and claim."""
    about = [str(v) for k, v in sentence["values"].items() if k in ("question", "source", "claim", "sample")]
    return "/".join([outcome, sentence["key"], *about])


def _bare(values: Mapping[str, Any]) -> Record:
    """The values of a sentence without what they lead to."""
    return {name: value["value"] if isinstance(value, Mapping) else value for name, value in values.items()}
