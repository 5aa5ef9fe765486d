"""The page of what changed since the last release, the list of releases, and what earlier such pages got wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from replication.dataset.schema import TABLES
from replication.digests import digest_of
from replication.report.archive import Archive
from replication.report.changes import KINDS, Change, Comparison, Erratum, compare_with, known_errata, renamed_file
from replication.report.gallery import table_file
from replication.report.making import File, Given, Plan
from replication.report.releases import Release, read_releases
from replication.report.view import Page
from replication.report.words import Words

__all__ = ["plans"]

_MOST = 100
_Errata = Callable[[], Sequence[Erratum]]


def plans(reports: Path | None, folder: Path, archive: Archive, made_by: str) -> Iterator[Plan]:
    """What changed, with the full comparison in a file beside it, and what earlier pages of changes got wrong.

    `folder` is this report's own, in which its tables are written before; `made_by` is the digest of the code.
    """
    releases = read_releases(reports) if reports else ()
    # Releases are frozen: their list holds the digest of each, and so of all that is read of them.
    frozen = repr(releases)
    renamed = renamed_file()
    names = renamed.read_bytes() if renamed.is_file() else b""
    # The comparison reads the tables of this report as files, and of rows `repr` is a digest.
    read = digest_of(frozen, names, *(repr(archive.table(name)) for name in TABLES))
    # Both about the releases, as the tables are: one process makes these before, and looks for errata once.
    found = partial(known_errata, reports, releases, made_by) if reports else list
    changes = partial(_changes, reports=reports, releases=releases, folder=folder, errata=found)
    yield Plan("changes.html", "en", changes, outside=read, about="releases")
    yield Plan("errata.html", "en", partial(_errata, errata=found), outside=frozen, about="releases")


def _errata(given: Given, errata: _Errata) -> list[Page]:
    shown = {"errata": errata(), "current": "changes"}
    return [Page("errata.html", "errata.html", given.words.say("title.errata"), shown, given.words)]


def _changes(
    given: Given, reports: Path | None, releases: Sequence[Release], folder: Path, errata: _Errata
) -> Iterator[Page | File]:
    archive = given.archive
    # What was withdrawn is a poor thing to compare with; if all were, the last is better than none.
    standing = [release for release in releases if not release.withdrawn] or list(releases)
    comparison = compare_with(standing[-1], reports, archive, folder / "data") if reports and standing else None
    values = {**_values(releases, comparison), "entering": list(_entering(archive))}
    if comparison:
        file = _file([c for kind in KINDS for c in comparison.changes[kind]], given.words)
        yield file
        values["file"] = file[0]
    values["errata"] = len(errata())
    yield Page("changes.html", "changes.html", given.words.say("title.changes"), values, given.words)


def _values(releases: Sequence[Release], comparison: Comparison | None) -> dict[str, object]:
    every = comparison.changes if comparison else dict.fromkeys(KINDS, ())
    changed = {kind: [c for c in every[kind] if c.changed] for kind in KINDS}
    return {
        "releases": list(reversed(releases)),
        "against": comparison.release if comparison else None,
        "kinds": KINDS,
        "all": {kind: len({c.id for c in every[kind]}) for kind in KINDS},
        "touched": {kind: len({c.id for c in changed[kind]}) for kind in KINDS},
        "reasons": {kind: _reasons(found) for kind, found in changed.items()},
        "changed": {kind: found[:_MOST] for kind, found in changed.items()},
        "left": {kind: max(0, len(found) - _MOST) for kind, found in changed.items()},
        "current": "changes",
    }


def _reasons(changed: Sequence[Change]) -> Mapping[str, int]:
    """How many things changed for each reason, in the order of the table: as the sentence before counts, not fields."""
    return Counter(reason for _, reason in dict.fromkeys((change.id, change.reason) for change in changed))


def _entering(archive: Archive) -> Iterator[Mapping[str, Any]]:
    """Each question of a finding with rows of a published analysis: its first and last step, and where all stand."""
    for outcome in archive.outcomes:
        for table in outcome["tables"]:
            if table["kind"] == "entering":
                rows = table["rows"]
                yield {"outcome": outcome, "table": table, "published": rows[0], "today": rows[-1]}


def _file(changes: Sequence[Change], words: Words) -> File:
    columns = ("kind", "id", "field", "label", "old", "new", "reason", "detail")
    return table_file(
        "data/changes.csv",
        columns,
        ([c.kind, c.id, c.field, words.label(c.label), *_worded(c, words), c.reason, c.detail] for c in changes),
        len(changes),
    )


def _worded(change: Change, words: Words) -> Iterator[float | str | None]:
    return (words.label(cell) if isinstance(cell, Mapping) else cell for cell in (change.old, change.new))
