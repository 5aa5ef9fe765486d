"""Claims with their verdicts: the rows and counts every page shows, and the page of all claims with its strip."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from replication.claims import GROUPS, Claim
from replication.errors import UserError
from replication.printed import parse_printed
from replication.report.archive import Archive, Record
from replication.report.figures import FigureData, draw
from replication.report.figures.diagrams import VERDICT_MARKS
from replication.report.gallery import Gallery, Picture, sheet_for
from replication.report.making import File, Given, Plan
from replication.report.search import script_data, script_table
from replication.report.view import Page, View
from replication.report.words import Words

__all__ = [
    "ORDER",
    "ClaimRow",
    "Reasons",
    "claim_rows",
    "distance",
    "pictures_of",
    "plans",
    "reasons_of",
    "sorted_rows",
    "strip",
    "tally",
    "tally_by_group",
    "unexplained",
]

ORDER = ("DIFFERS", "INCONSISTENT", "DIFFERS_EXPLAINED", "MATCH", "CONSISTENT", "NOT_COMPUTABLE", "PENDING")
"""Verdicts as they are listed: what does not hold first."""
_SHARED_FROM = 3
UNEXPLAINED = ("DIFFERS", "INCONSISTENT")


@dataclass(frozen=True, slots=True, eq=False)
class ClaimRow:
    """A claim with its check, empty where no analysis of this run looked at it; of a direction, what open data say."""

    claim: Claim
    verdict: str
    check: Mapping[str, Any]
    open_data: Mapping[str, Any] | None = None

    @property
    def estimate(self) -> str:
        """The id of the estimate behind our number, or of the analysis where it names none."""
        name = self.check.get("estimate", "")
        return f"{self.check['analysis']}/{name}" if name else f"analysis:{self.check.get('analysis', '')}"

    @property
    def ours(self) -> float | None:
        """Our number, where there is one."""
        value = self.check.get("ours")
        return float(value) if value is not None else None

    @property
    def elsewhere(self) -> bool:
        """Whether the number beside the claim is printed somewhere too: what other prints say, not what we compute."""
        return self.verdict in ("CONSISTENT", "INCONSISTENT")

    @property
    def ours_shown(self) -> str:
        """Our number with one decimal more than the printed one has, so that the comparison can be seen."""
        try:
            decimals = parse_printed(self.claim.printed.get("value", "")).decimals
        except UserError:
            return ""
        ours = self.ours
        if ours is None or (decimals <= 0 and ours.is_integer()):
            return ""
        # One more than printed: at the printed digits a near miss would look like a match.
        return f"{ours:.{min(max(decimals + 1, 1), 12)}f}"

    @property
    def reason(self) -> str:
        """Why the verdict is what it is."""
        return str(self.check.get("reason", ""))


@dataclass(frozen=True, slots=True, eq=False)
class Reasons:
    """Reasons many claims share, said once, and for each claim the number of its shared reason and what is its own."""

    shared: Sequence[str]
    numbers: Mapping[str, int]
    own: Mapping[str, str]


def reasons_of(archive: Archive, rows: Sequence[ClaimRow]) -> Reasons:
    """Split the reasons of claims into what they share and what is their own.

    A recorded explanation is always shared; any other reason is once three claims give it word for word.
    """
    explained = {claim: e.reason for e in archive.dataset.explanations for claim in e.claims}
    counts = Counter(row.reason for row in rows)
    shared: dict[str, int] = {}
    numbers, own = {}, {}
    for row in rows:
        common = explained.get(row.claim.id, "")
        # The claim may be explained and yet hold for another reason in this run.
        if not common or not row.reason.startswith(common):
            common = row.reason if row.reason and counts[row.reason] >= _SHARED_FROM else ""
        if common:
            numbers[row.claim.id] = shared.setdefault(common, len(shared) + 1)
        own[row.claim.id] = row.reason.removeprefix(common).strip()
    return Reasons(list(shared), numbers, own)


def claim_rows(archive: Archive, claims: Iterable[Claim]) -> list[ClaimRow]:
    """The claims with their checks, in order."""
    beside = archive.open_data
    return [
        ClaimRow(claim, archive.verdict(claim), archive.checks.get(claim.id, {}), beside.get(claim.id))
        for claim in claims
    ]


def sorted_rows(archive: Archive) -> list[ClaimRow]:
    """All claims, what does not hold and is not explained first."""
    return sorted(claim_rows(archive, archive.claims), key=lambda row: ORDER.index(row.verdict))


def tally(rows: Iterable[ClaimRow]) -> dict[str, int]:
    """How many claims have each verdict, in the order of listing."""
    counts = Counter(row.verdict for row in rows)
    return {verdict: counts[verdict] for verdict in ORDER if counts[verdict]}


def tally_by_group(rows: Sequence[ClaimRow]) -> dict[str, dict[str, int]]:
    """How many claims of each group have each verdict; the works the article lists come first."""
    found = {group: tally(row for row in rows if row.claim.group == group) for group in GROUPS}
    return {group: counts for group, counts in found.items() if counts}


def unexplained(rows: Iterable[ClaimRow]) -> list[ClaimRow]:
    """What does not hold and has no recorded reason."""
    return [row for row in rows if row.verdict in UNEXPLAINED]


def distance(row: ClaimRow) -> float | None:
    """Our number's place within the printed rounding interval: 0 its middle, 1 and -1 its ends."""
    low, high, ours = row.check.get("low"), row.check.get("high"), row.ours
    if ours is None or low is None or high is None or high <= low:
        return None
    # In half-widths of the rounding interval, so that numbers of any size and rounding share one axis.
    place = (ours - (low + high) / 2) / ((high - low) / 2)
    return place if math.isfinite(place) else None


def pictures_of(gallery: Gallery, outcome: Record) -> list[Picture]:
    """The pictures of an outcome in its order."""
    found = (gallery.get((outcome["id"], figure["id"])) for figure in outcome["figures"])
    return [picture for picture in found if picture]


_ON_A_PAGE = 100  # rows: a phone lays more of them out for seconds


def plans(archive: Archive, language: str) -> Iterator[Plan]:
    """The pages of verdicts in one language with their figure and their script: all of them show all claims."""
    yield Plan(archive.menu.address("claims.html", language), language, _pages)


def _pages(given: Given) -> Iterator[Page | File]:
    """The pages of verdicts in one language: the works the article lists first, and in each group what does not hold.

    All claims stand in the pages a hundred at a time, and once more in a script that the filters read.
    """
    archive, words = given.archive, given.words
    language, mark = words.language, "" if words.language == "en" else f"{words.language}/"
    rows = sorted(sorted_rows(archive), key=lambda row: GROUPS.index(row.claim.group))  # the article's works first
    view = View(archive.menu.address("claims.html", language), words, archive)
    # A report without claims has a page too: the menu leads to it.
    parts = [rows[start : start + _ON_A_PAGE] for start in range(0, len(rows), _ON_A_PAGE)] or [[]]
    paths = ["claims.html", *(f"claims-{number}.html" for number in range(2, len(parts) + 1))]
    figure = strip(archive, rows, words)
    drawing = draw(figure, words, View(f"figures/{mark}x.html", words, archive).to)
    for name, canvas in (("wide", drawing.wide), ("narrow", drawing.narrow)):
        if canvas:
            shown = canvas.markup(words.say("claims.strip"), style=sheet_for(canvas))
            yield f"figures/{mark}verdicts-{name}.svg", shown
    yield f"assets/{mark}claims.js", script_data("CLAIMS", _explored(view, rows))
    values = {
        "all": len(rows),
        "reasons": reasons_of(archive, rows),
        "groups": tally_by_group(rows),
        "strip": drawing,
        "drawn": len(figure),
        "marks": list(VERDICT_MARKS),
        "explorer": _explorer(words),
        "paths": paths,
        "script": f"assets/{mark}claims.js",
        "drawings": f"figures/{mark}verdicts",
        "current": "claims",
    }
    for number, (path, part) in enumerate(zip(paths, parts, strict=True)):
        place = archive.menu.address(path, language)
        yield Page(place, "claims.html", words.say("title.claims"), {**values, "rows": part, "number": number}, words)


def _explorer(words: Words) -> Mapping[str, Any]:
    """What the script is told of the columns: their names in the address, their heads, which are filters."""
    heads = {"group": "table.group", "work": "table.work", "claim": "table.claim", "printed": "table.printed"}
    heads |= {"ours": "table.ours", "verdict": "table.verdict", "finding": "overview.findings"}
    lists = ("group", "work", "verdict", "finding")
    return {
        "name": "CLAIMS",
        "columns": [
            {"name": n, "head": words.say(head), "list": n in lists, "many": n == "finding"}
            for n, head in heads.items()
        ],
        "link": "claim",
        "hidden": ["finding"],
        "words": dict(words.table["pages"]["explorer"].items()),
    }


def _explored(view: View, rows: Sequence[ClaimRow]) -> Mapping[str, Any]:
    """The claims as rows of keys and numbers, the words of the keys, and the place of each claim."""
    archive, words = view.archive, view.words
    labels = {
        "group": {row.claim.group: words.term("group_short", row.claim.group) for row in rows},
        "work": {row.claim.work: words.cited(archive.short(row.claim.work)) for row in rows},
        "verdict": {row.verdict: words.term("verdict", row.verdict) for row in rows},
        "finding": {name: words.say(f"title.{name}") for name in archive.menu.findings},
    }
    table = [_explored_row(archive, words, row) for row in rows]
    return {"labels": labels, "parts": [script_table(table)]}


def _explored_row(archive: Archive, words: Words, row: ClaimRow) -> list[object]:
    claim = row.claim
    about = words.of_data(claim.quantity)
    about += f" ({words.of_data(claim.subgroup)})" if claim.subgroup not in ("", "all") else ""
    low, high = (words.printed(claim.printed.get(end, "")) for end in ("ci_low", "ci_high"))
    printed = words.of_data(claim.printed.get("value", "–"))
    printed += f" [{low}{words.numerals.between_ends}{high}]" if low or high else ""
    ours = words.decimal(row.ours_shown) if row.ours_shown else words.number(row.ours, "exact") if row.ours else ""
    on = [name for name in archive.menu.findings if name in claim.about]
    cells = [claim.group, claim.work, about, printed, ours, row.verdict, " ".join(on)]
    # To where the claim stands on its work's page, in the reader's language where that page is in it.
    page, _, fragment = archive.place(claim.id).partition("#")
    return [*cells, f"{archive.menu.address(page, words.language)}#{fragment}"]


def strip(archive: Archive, rows: list[ClaimRow], words: Words) -> FigureData:
    """The figure of all claims that have a number of ours, with works as a language cites them."""
    shown = [(row, distance(row)) for row in rows]
    known = [(row, place) for row, place in shown if place is not None]
    # By work, so that a work whose numbers all lean one way is seen to.
    known.sort(key=lambda pair: archive.short(pair[0].claim.work).lower())
    columns: dict[str, list[Any]] = {
        "label": [words.cited(archive.short(row.claim.work)) for row, _ in known],
        "work": [row.claim.work for row, _ in known],
        "row": [row.claim.id for row, _ in known],
        "verdict": [row.verdict for row, _ in known],
        "distance": [place for _, place in known],
    }
    return FigureData("verdicts", "verdict_strip", "", "", columns, {})
