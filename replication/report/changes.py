"""What changed since a release: every field of every estimate, verdict, sentence and row, old beside new, and why.

The reason is found by comparison, in this order: the claim as transcribed, the rows behind it (added, left out,
corrected), the choices of the method, and what remains is the code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

from replication import paths
from replication.analysis.release_difference import (
    FieldChange,
    Kind,
    differing_rows_of,
    field_changes,
    read_renamed,
    records_of,
    same,
)
from replication.digests import digest_of
from replication.provenance import Cache
from replication.report.archive import Archive, Record
from replication.report.releases import Release, frozen_outcomes
from replication.report.words import Wording
from replication.writing import table_rows

__all__ = ["KINDS", "Change", "Comparison", "Erratum", "compare_with", "errata", "known_errata", "renamed_file"]

KINDS: tuple[Kind, ...] = ("verdict", "estimate", "sentence", "row")
_SAME = "unchanged"
_LONGEST = 300
_KEPT = "errata of releases"


@dataclass(frozen=True, slots=True)
class Change:
    """One field of a thing in two versions. `old` or `new` is empty where there is none; `reason` is a key."""

    kind: Kind
    id: str
    field: str
    label: Wording
    old: float | Wording | None
    new: float | Wording | None
    reason: str
    detail: str = ""

    @property
    def changed(self) -> bool:
        """Whether old and new differ."""
        return self.reason != _SAME


@dataclass(frozen=True, slots=True)
class Comparison:
    """All things of each kind, compared with a release: those that differ, field by field, and those that do not."""

    release: Release
    changes: Mapping[Kind, Sequence[Change]]


@dataclass(frozen=True, slots=True)
class Erratum:
    """What a release said had changed since the one before it, and what field by field had."""

    before: str
    version: str
    said: int
    compared: int
    fields: Sequence[FieldChange]

    @property
    def estimates(self) -> int:
        """How many estimates have a field that differs."""
        return len({change.id for change in self.fields})

    @property
    def counts(self) -> Mapping[tuple[str, str], int]:
        """How many fields of each name changed, were filled or emptied."""
        return Counter((change.field, change.fate) for change in self.fields)


def compare_with(release: Release, reports: Path, archive: Archive, data: Path) -> Comparison:
    """Compare the outcomes and rows of this report with those of a release.

    Parameters
    ----------
    release, reports : the release and the folder it lies in.
    archive : this report.
    data : the folder with this report's tables, already written.
    """
    before = frozen_outcomes(reports, release)
    left_out = archive.run.get("left_out", ())
    # What this run was told to leave out did not vanish, and must not be reported so.
    before = [outcome for outcome in before if outcome["id"] not in left_out]
    then = records_of(before, read_renamed(renamed_file()))
    now = records_of(archive.outcomes)
    then["row"], now["row"] = differing_rows_of(reports / release.folder / "data", data)
    why = _Why(then, now, _corrected_rows(then["row"], now["row"]))
    return Comparison(release, {kind: list(_changes(kind, then[kind], now[kind], why, archive)) for kind in KINDS})


def renamed_file() -> Path:
    """Where the project says which ids of estimates were renamed."""
    return paths.analyses_dir() / "renamed.toml"


def errata(reports: Path, releases: Sequence[Release]) -> list[Erratum]:
    """The releases whose page of changes says less than its estimates do, field by field, beside the one before."""
    found = []
    every = (records_of(frozen_outcomes(reports, release))["estimate"] for release in releases)
    for (before, old), (after, new) in pairwise(zip(releases, every, strict=True)):
        # Whole things that came or went are plain to see; errata are about fields that changed unsaid.
        both = old.keys() & new.keys()
        pairs = ({name: records[name] for name in both} for records in (old, new))
        fields = [c for c in field_changes("estimate", *pairs) if c.field not in ("label", "group", "method", "notes")]
        said, compared = _said(reports / after.folder / "data" / "changes.csv")
        fields.sort(key=lambda change: ("changed", "emptied", "filled").index(change.fate))  # what misled most is first
        erratum = Erratum(before.version, after.version, said, compared, fields)
        if erratum.estimates > said:
            found.append(erratum)
    return found


def known_errata(reports: Path, releases: Sequence[Release], made_by: str) -> list[Erratum]:
    """The errata, as they were kept when the same code (its digest) last looked for them in the same releases.

    Releases are frozen, and reading two of them takes longer than the rest of the page that says whether there are any.
    """
    cache, key = Cache(paths.cache_dir()), digest_of(repr(tuple(releases)), made_by)
    known = cache.get(_KEPT, key)
    if not isinstance(known, list):
        found = errata(reports, releases)
        cache.put(_KEPT, key, [asdict(erratum) for erratum in found])
        return found
    return [Erratum(**{**each, "fields": [FieldChange(**change) for change in each["fields"]]}) for each in known]


def _said(path: Path) -> tuple[int, int]:
    """How many estimates a report's own list of changes calls changed, and how many it lists."""
    rows = [row for row in table_rows(path) if row["kind"] == "estimate"]
    in_both = [row for row in rows if row["reason"] not in ("added", "removed")]
    return len({row["id"] for row in in_both if row["reason"] != _SAME}), len({row["id"] for row in rows})


@dataclass(frozen=True, slots=True)
class _Why:
    """What is looked at to say why something differs."""

    then: Mapping[Kind, Mapping[str, Record]]
    now: Mapping[Kind, Mapping[str, Record]]
    corrected: frozenset[str]

    def of(self, change: FieldChange) -> tuple[str, str]:
        """The reason and its details."""
        if change.kind == "estimate":
            return self._estimate(self.then["estimate"][change.id], self.now["estimate"][change.id])
        if change.kind == "verdict":
            return self._verdict(self.then["verdict"][change.id], self.now["verdict"][change.id])
        return ("corrected", "") if change.kind == "row" else ("said", "")

    def _estimate(self, old: Record, new: Record) -> tuple[str, str]:
        before, now = set(old["rows"]), set(new["rows"])
        # Rows first: other rows explain any other number, whatever else may have changed as well.
        # By id, whatever the row holds: cells are looked at next.
        added, removed = sorted(now - before), sorted(before - now)
        if added or removed:
            return "rows", " ".join([*(f"+{row}" for row in added), *(f"−{row}" for row in removed)])[:_LONGEST]
        # Then cells: the same rows with other numbers in them are another reason than other rows.
        touched = sorted(now & self.corrected)
        if touched:
            return "corrected", " ".join(touched)[:_LONGEST]
        # Choices last, as a method states some numbers of its data and would differ with the rows.
        was, made = old["method"], new["method"]
        choices = _differing(was, made)
        if choices:
            return "method", "; ".join(f"{k}: {_choice(was, k)} → {_choice(made, k)}" for k in choices)[:_LONGEST]
        return "code", ""

    def _verdict(self, old: Record, new: Record) -> tuple[str, str]:
        printed = [name for name in old if name.startswith("printed ") and old[name] != new.get(name)]
        if printed:
            return "transcribed", "; ".join(f"{old[name]} → {new.get(name, '–')}" for name in printed)
        # The print stands as it did; either our number moved, or only what is said of the difference.
        if old["ours"] != new["ours"]:
            return "ours", str(new["reason"])[:_LONGEST]
        return "explained", str(new["reason"])[:_LONGEST]


def _differing(was: Record, made: Record) -> list[str]:
    """The choices of a method that differ, by name."""
    return sorted(name for name in was.keys() | made.keys() if not same(was.get(name), made.get(name)))


def _choice(method: Record, name: str) -> str:
    """A choice of a method as text; of one with values its key, as the page of changes is made without words."""
    choice = method.get(name, "–")
    return str(choice["key"] if isinstance(choice, Mapping) else choice)


def _changes(
    kind: Kind, before: Mapping[str, Record], after: Mapping[str, Record], why: _Why, archive: Archive
) -> Iterator[Change]:
    """The changes of one kind, and a line for each thing that stayed as it was (but rows: they are the data)."""
    # Both in the order of ids. They are not held: of many new rows that would be gigabytes.
    changed = groupby(field_changes(kind, before, after), key=lambda change: change.id)
    following, own = next(changed, _NONE)
    for name in sorted(before.keys() | after.keys()):
        label = _label(kind, name, after.get(name) or before.get(name) or {}, archive)
        here = [one for change in own for one in _by_choice(change)] if name == following else []
        if here:
            following, own = next(changed, _NONE)
        for change in here:
            if change.field:
                yield Change(
                    kind, name, change.field, label, _cell(change.before), _cell(change.after), *why.of(change)
                )
            else:
                reason = "added" if change.fate == "new" else _why_gone(kind, name, change.before, archive)
                yield Change(kind, name, "", label, _main(kind, change.before), _main(kind, change.after), reason)
        # Unchanged things are listed too, as a reader must see that a number was compared and not forgotten.
        if not here and kind != "row":
            yield Change(kind, name, "", label, _main(kind, before[name]), _main(kind, after[name]), _SAME)


def _by_choice(change: FieldChange) -> Iterator[FieldChange]:
    """Of a method a change for each choice that differs, as the others say nothing; any other change as it is."""
    was, made = change.before, change.after
    if change.field != "method" or not isinstance(was, Mapping) or not isinstance(made, Mapping):
        yield change
        return
    for name in _differing(was, made):
        yield FieldChange(change.kind, change.id, f"method: {name}", was.get(name), made.get(name))


_NONE: tuple[str, Iterator[FieldChange]] = ("", iter(()))


def _why_gone(kind: Kind, name: str, record: object, archive: Archive) -> str:
    """Whether what a release had is no longer computed, or only not in this run.

    What is postponed are averages over models of bias: their estimates, and the sentence that says what they say.
    """
    outcome, _, rest = name.partition("/")
    about_bias = rest.startswith("bias.") if kind == "sentence" else _group(record) == "bias"
    lacking = kind in ("estimate", "sentence") and archive.by_outcome.get(outcome, {}).get("postponed")
    return "postponed" if lacking and about_bias else "removed"


def _group(record: object) -> object:
    return record.get("group") if isinstance(record, Mapping) else None


def _label(kind: Kind, name: str, record: Record, archive: Archive) -> Wording:
    """What a reader calls the thing."""
    if kind == "verdict":
        claim = archive.claim(name)
        return f"{claim.quantity} ({claim.work})" if claim else name
    return (record.get("label") or name) if kind == "estimate" else name


def _main(kind: Kind, record: object) -> float | Wording | None:
    """The field that stands for the whole thing: an estimate's value, the verdict; nothing of a sentence or a row."""
    if not isinstance(record, Mapping) or kind not in ("estimate", "verdict"):
        return None
    return _cell(record["value" if kind == "estimate" else "verdict"])


def _cell(value: object) -> float | Wording | None:
    """A field as a cell: numbers and labels as they are, lists by their length, other choices by name."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        if value.keys() == {"key", "values"}:
            return value
        return "; ".join(f"{name}: {cell}" for name, cell in value.items())[:_LONGEST]
    # Lists of rows by their length: their ids stand under the reason, hundreds of them would fill the page.
    return f"{len(value)}" if isinstance(value, Sequence) else str(value)


def _corrected_rows(before: Mapping[str, Record], after: Mapping[str, Any]) -> frozenset[str]:
    """The effect rows whose cells differ from the release's."""
    changes = field_changes("row", before, after)
    return frozenset(c.id.partition("/")[2] for c in changes if c.field and c.id.startswith("effects.csv/"))
