"""Since when a row is in the dataset, and until when: versions in order, and only such as there are or will be next."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from replication.dataset.columns import Columns
from replication.dataset.problems import Problem, shown

__all__ = ["check_row_versions", "check_work_version", "version_numbers"]


@lru_cache(maxsize=4096)  # a hundred thousand rows name a handful of versions
def version_numbers(version: str) -> tuple[int, ...]:
    """A version as numbers that compare; what is no version, which is said elsewhere, comes before all of them.

    >>> version_numbers("1.10.0") > version_numbers("1.9.3")
    True
    """
    parts = version.split(".")
    return tuple(int(part) for part in parts) if all(part.isascii() and part.isdigit() for part in parts) else ()


def check_row_versions(file: str, rows: Columns, today: str, work_since: str) -> list[Problem]:
    """Rows come in at a version that is or comes next, no earlier than their work, and go later than they came.

    Parameters
    ----------
    file : its name in messages.
    rows : a table with `since` and `until`, whose words are versions.
    today : the dataset's version.
    work_since : the version that brought the work; empty where it is not known.
    """
    if work_since and _ahead(work_since, today):
        return []  # said of the work itself
    # Long tables name a handful of versions: what is wrong with a pair of them is wrong in each of its rows.
    lives = list(rows.rows("since", "until"))
    wrong = {life: found for life in set(lives) if (found := list(_wrong(life[0], life[1], today, work_since)))}
    if not wrong:
        return []
    return [
        Problem(file, line, *found)
        for line, life in zip(rows["line"], lives, strict=True)
        for found in wrong.get(life, ())
    ]


def _wrong(since: str, until: str, today: str, work_since: str) -> Iterator[tuple[str, str, str, str, str]]:
    """Column, rule, found, expected and hint of what is wrong with the versions of a row."""
    for column, version in (("since", since), ("until", until)):
        if version and _ahead(version, today):
            yield _too_far(column, version, today)
    if since and work_since and version_numbers(since) < version_numbers(work_since):
        expected = f"{work_since} or later, the version that brought the work"
        yield "since", "version", shown(since), expected, f"write {work_since}: released versions do not change"
    if since and until and version_numbers(until) <= version_numbers(since):
        found, expected = f"{until}, since {since}", "a version after the one in since"
        yield "until", "version", found, expected, "the row would be in no version"


def check_work_version(file: str, since: str, today: str) -> list[Problem]:
    """The version that brought a work is there, or comes next."""
    return [Problem(file, 0, *_too_far("since", since, today))] if _ahead(since, today) else []


def _ahead(version: str, today: str) -> bool:
    return version_numbers(version) > version_numbers(today) and version not in _coming(today)


def _too_far(column: str, version: str, today: str) -> tuple[str, str, str, str, str]:
    expected = f"at most {today}, or the version after it: {', '.join(_coming(today))}"
    return column, "version", shown(version), expected, "is it a slip?"


def _coming(today: str) -> tuple[str, ...]:
    """The versions that may follow."""
    major, minor, patch = version_numbers(today)
    # Rows are written before their release, so the next version may be named, and none after it.
    return f"{major}.{minor}.{patch + 1}", f"{major}.{minor + 1}.0", f"{major + 1}.0.0"
