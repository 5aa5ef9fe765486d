"""What the terminal shows: a progress bar where there is one, plain lines elsewhere, and the table of verdicts."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

__all__ = ["VERDICTS", "named_postponed", "print_differences", "print_failures", "print_verdicts", "progress", "say"]

VERDICTS = (
    "MATCH",
    "DIFFERS",
    "DIFFERS_EXPLAINED",
    "CONSISTENT",
    "INCONSISTENT",
    "NOT_COMPUTABLE",
    "PENDING",
)
_HEADS = {
    "MATCH": "match",
    "DIFFERS": "differs",
    "DIFFERS_EXPLAINED": "explained",
    "CONSISTENT": "consistent",
    "INCONSISTENT": "in-\nconsistent",
    "NOT_COMPUTABLE": "not\ncomputable",
    "PENDING": "pending",
}
_GROUPS = {
    "cited": "article's works",
    "quoted": "quoted elsewhere",
    "related": "related works",
    "software": "software output",
}
_LOOK = ("DIFFERS", "INCONSISTENT")
_SHOWN = 40

Item = TypeVar("Item")


def say(line: str) -> None:
    """One line on standard output."""
    sys.stdout.write(line + "\n")


def progress(items: Iterable[Item], total: int, quiet: bool) -> Iterator[Item]:
    """The items as they come, with a bar on a terminal and a line now and then elsewhere."""
    if quiet or total == 0:
        yield from items
    elif sys.stderr.isatty():
        from rich.progress import track

        yield from track(items, description="Running analyses", total=total, transient=True)
    else:
        for number, item in enumerate(items, 1):
            yield item
            # A log file wants signs of life, not a line for each analysis.
            if number % 10 == 0 or number == total:
                sys.stderr.write(f"{number} of {total} analyses done\n")


def print_postponed(postponed: Mapping[str, Sequence[str]], what: str, then: str) -> None:
    """A line on which slow results outcomes lack (by id), after `what` it is said of, before what to do `then`."""
    if postponed:
        say(f"{what}: {named_postponed(postponed)}; {then}")


def named_postponed(postponed: Mapping[str, Sequence[str]]) -> str:
    """Slow results that outcomes lack, each outcome by its id with the names of what it lacks."""
    return ", ".join(f"{name} ({', '.join(lacking)})" for name, lacking in postponed.items())


def print_verdicts(outcomes: Sequence[Mapping[str, Any]]) -> None:
    """Counts of verdicts by whose numbers they are and by analysis, then each claim that does not hold, and why."""
    # A column of zeros takes room on a narrow terminal and says nothing.
    columns = [v for v in VERDICTS if any(c["verdict"] == v for o in outcomes for c in o["checks"])]
    _print_counts("Verdicts by whose numbers they are", "numbers of", _by_group(outcomes), columns)
    counts = {outcome["id"]: Counter(check["verdict"] for check in outcome["checks"]) for outcome in outcomes}
    _print_counts("\nVerdicts on published numbers", "analysis", counts, columns)
    _print_disagreements(outcomes)


def _by_group(outcomes: Sequence[Mapping[str, Any]]) -> dict[str, Counter[str]]:
    """Counts of verdicts, the article's works first, archived software output last."""
    counts: dict[str, Counter[str]] = {group: Counter() for group in _GROUPS}
    for check in (check for outcome in outcomes for check in outcome["checks"]):
        counts[check["claim"]["group"]][check["verdict"]] += 1
    return {_GROUPS[group]: found for group, found in counts.items()}


def _print_counts(title: str, first: str, counts: Mapping[str, Counter[str]], columns: Sequence[str]) -> None:
    """A table with a line for each name that has verdicts."""
    # Plain text: to load a library for it took a quarter of a run in which nothing had changed.
    heads = [("", first), *(_HEADS[verdict].rpartition("\n")[::2] for verdict in columns)]
    rows = [(name, *(str(found[v] or "") for v in columns)) for name, found in counts.items() if found]
    lines = [line for line in (*zip(*heads, strict=True), *rows) if any(line)]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    say(title)
    for name, *cells in lines:
        right = "".join(f" {cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True))
        say(f"{name:<{widths[0]}}{right}".rstrip())


def _print_disagreements(outcomes: Sequence[Mapping[str, Any]]) -> None:
    off = [check for outcome in outcomes for check in outcome["checks"] if check["verdict"] in _LOOK]
    if not off:
        return
    say("\nWhat does not hold and is not explained:")
    for check in off[:_SHOWN]:
        claim = check["claim"]
        printed = claim["printed"].get("value", "")
        by = f" by {claim['printed_by']}" if claim["printed_by"] else ""
        say(f"  {claim['id']}: {claim['quantity']} ({claim['subgroup']}), printed {printed}{by}: {check['reason']}")
    if len(off) > _SHOWN:
        say(f"  … and {len(off) - _SHOWN} more, in the report")


def print_failures(failed: Mapping[str, str]) -> int:
    """What failed and why, on standard error: 1, or 0 where nothing did."""
    for name, reason in list(failed.items())[:_SHOWN]:
        sys.stderr.write(f"error: {name} failed: {reason}\n")
    if failed:
        sys.stderr.write(f"error: {len(failed)} failed; everything else is whole\n")
    return 1 if failed else 0


def print_differences(differences: Sequence[str], quiet: bool) -> None:
    """What a recomputation gave otherwise than the stored report."""
    if not differences:
        if not quiet:
            say("The stored report is reproduced: every number is the same.")
        return
    for line in differences[:_SHOWN]:
        say(line)
    if len(differences) > _SHOWN:
        say(f"… and {len(differences) - _SHOWN} more differences")
