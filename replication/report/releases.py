"""Releases: frozen report folders beside `latest/`, listed in `versions.json` with the digest that guards each.

A frozen folder is never rewritten. A version that turned out wrong is not removed: it is flagged as withdrawn, with the
reason, in `versions.json`, and `index.html` beside it says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from replication.dataset.row_versions import version_numbers
from replication.digests import folder_digest
from replication.errors import UserError
from replication.stored import outcome_paths, read_outcome
from replication.writing import write_together

__all__ = [
    "Release",
    "damaged",
    "frozen_outcomes",
    "next_release",
    "read_releases",
    "record_release",
    "withdraw",
    "write_list",
]

_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
_LIST, _PAGE = "versions.json", "index.html"


@dataclass(frozen=True, slots=True)
class Release:
    """One released report. `withdrawn` is the reason, empty while the version stands."""

    version: str
    date: str
    dataset_version: str
    dataset_digest: str
    digest: str
    withdrawn: str = ""

    @property
    def folder(self) -> str:
        """The name of its folder."""
        return f"v{self.version}"


def read_releases(reports: Path) -> tuple[Release, ...]:
    """The releases listed in `versions.json`, oldest first; none where there is no such file.

    Raises
    ------
    UserError
        when the file is damaged.
    """
    path = reports / _LIST
    if not path.exists():
        return ()
    try:
        return tuple(Release(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))["versions"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read ({error}); restore it from version control") from error


def next_release(reports: Path, version: str) -> Path:
    """The folder a new release goes to.

    Raises
    ------
    UserError
        when the version is no X.Y.Z, exists already, or is not above the last one.
    """
    if not _VERSION.fullmatch(version):
        raise UserError(f'"{version[:40]}" is not a version; write three numbers with dots, e.g. 1.0.0')
    releases = read_releases(reports)
    folder = reports / f"v{version}"
    if any(release.version == version for release in releases):
        raise UserError(f"version {version} exists already; frozen reports are never rewritten: choose a higher number")
    # As numbers: as text 1.10.0 would come before 1.9.0.
    if releases and version_numbers(version) <= version_numbers(releases[-1].version):
        raise UserError(f"version {version} is not above the last one, {releases[-1].version}")
    return folder


def record_release(reports: Path, version: str) -> Release:
    """List a frozen folder in `versions.json`, with its digest."""
    run = json.loads((reports / f"v{version}" / "run.json").read_text(encoding="utf-8"))
    release = Release(
        version=version,
        date=str(run["time"])[:10],
        dataset_version=str(run["dataset_version"]),
        dataset_digest=str(run["dataset_digest"]),
        # Over the whole folder, so that a later edit of any file of it is seen.
        digest=folder_digest(reports / f"v{version}"),
    )
    write_list(reports, (*read_releases(reports), release))
    return release


def withdraw(reports: Path, version: str, reason: str) -> None:
    """Flag a release as withdrawn; its folder stays as it is. Called by who holds the lock of `reports`.

    Raises
    ------
    UserError
        when there is no such release, or no reason.
    """
    releases = read_releases(reports)
    # Whoever cites the version has to be told what was wrong with it.
    if not reason.strip():
        raise UserError("a version is withdrawn with a reason; say it in a sentence")
    if version not in [release.version for release in releases]:
        known = ", ".join(release.version for release in releases) or "none yet"
        raise UserError(f"no released version {version}; released are: {known}")
    write_list(reports, [replace(r, withdrawn=reason.strip()) if r.version == version else r for r in releases])


def damaged(reports: Path) -> list[str]:
    """The releases whose folder is gone or no longer has the digest it was released with, a line each."""
    found = []
    for release in read_releases(reports):
        folder = reports / release.folder
        if not folder.is_dir():
            found.append(f"{release.folder} is listed but its folder is not there")
        # Version control shows an edit only to those who look; the digest shows it to every run.
        elif folder_digest(folder) != release.digest:
            found.append(f"{release.folder} has been changed since it was released")
    return found


def frozen_outcomes(reports: Path, release: Release) -> list[dict[str, Any]]:
    """The outcomes a release was made of."""
    return [read_outcome(path) for path in outcome_paths(reports / release.folder).values()]


def write_list(reports: Path, releases: Sequence[Release] | None = None) -> None:
    """Write `versions.json` and the page that shows it, both or neither; called by who holds the lock of `reports`.

    `releases` are those to be listed; None keeps the list and renews its page.
    """
    from replication.report.site import versions_page  # which itself shows the list

    listed = read_releases(reports) if releases is None else releases
    texts = {_PAGE: versions_page(listed)}
    if releases is not None:
        known = json.dumps({"versions": [asdict(release) for release in listed]}, ensure_ascii=False, indent=1)
        texts[_LIST] = known + "\n"
    write_together(reports, texts)
