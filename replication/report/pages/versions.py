"""The page of what changed since the last release, and the list of releases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from replication.report.archive import Archive
from replication.report.changes import Change, Comparison, compare_with
from replication.report.gallery import as_csv
from replication.report.releases import Release, read_releases
from replication.report.view import Page
from replication.report.words import Words

__all__ = ["pages"]

_MOST = 300


def pages(archive: Archive, words: Words, reports: Path | None, write: Callable[[str, str], None]) -> Iterator[Page]:
    """What changed; the full comparison goes to a file beside it."""
    releases = read_releases(reports) if reports else ()
    standing = [release for release in releases if not release.withdrawn] or list(releases)
    comparison = compare_with(standing[-1], reports, archive) if reports and standing else None
    if comparison:
        write("data/changes.csv", _file([*comparison.estimates, *comparison.verdicts]))
    values = {**_values(releases, comparison), "entering": list(_entering(archive))}
    yield Page("changes.html", "changes.html", words.say("title.changes"), values, words)


def _values(releases: Sequence[Release], comparison: Comparison | None) -> dict[str, object]:
    estimates = comparison.estimates if comparison else ()
    verdicts = comparison.verdicts if comparison else ()
    changed = {"estimates": [c for c in estimates if c.changed], "verdicts": [c for c in verdicts if c.changed]}
    return {
        "releases": list(reversed(releases)),
        "against": comparison.release if comparison else None,
        "same": {"estimates": len(estimates), "verdicts": len(verdicts)},
        "reasons": {name: dict(Counter(c.reason for c in found)) for name, found in changed.items()},
        "changed": {name: found[:_MOST] for name, found in changed.items()},
        "left": {name: max(0, len(found) - _MOST) for name, found in changed.items()},
        "current": "changes",
    }


def _entering(archive: Archive) -> Iterator[Mapping[str, Any]]:
    """Each question of a finding with rows of a published analysis: its first and last step, and where all stand."""
    for outcome in archive.outcomes:
        for table in outcome["tables"]:
            if table["columns"][:1] == ["rows of"]:
                rows = table["rows"]
                yield {"outcome": outcome, "table": table, "published": rows[0], "today": rows[-1]}


def _file(changes: Sequence[Change]) -> str:
    columns = ("kind", "id", "label", "old", "new", "reason", "detail")
    return as_csv(columns, [[getattr(change, name) for name in columns] for change in changes])
