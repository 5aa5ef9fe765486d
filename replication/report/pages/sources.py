"""Where numbers come from when the work itself was not read: who quotes it, and how a survey's rows are computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from replication.dataset.recipes import Measure, Recipe
from replication.report.archive import Archive, quoted_by
from replication.report.pages.claims import ClaimRow, claim_rows
from replication.report.view import Page
from replication.report.words import Wording, Words

__all__ = ["COLUMNS", "as_table", "page"]

COLUMNS = ("claim_id", "work", "printed", "as_printed", "read_in", "place", "address", "note")
"""The columns of the file of second-hand numbers."""


def page(archive: Archive, words: Words) -> Page:
    """The page with one section for each text that quotes works, and one for each survey with a recipe."""
    values = {
        "quoting": list(_quoting(archive)),
        "notes": archive.dataset.common_notes,
        "surveys": [(work, list(map(_shown, recipes))) for work, recipes in archive.dataset.recipes.items()],
        "current": "sources",
    }
    path = archive.menu.address("sources.html", words.language)
    return Page(path, "sources.html", words.say("title.sources"), values, words)


def as_table(archive: Archive) -> list[list[str]]:
    """The second-hand numbers as rows of `COLUMNS`, for whoever checks them against the works."""
    return [
        [c.id, c.work, c.printed.get("value", ""), c.as_printed, quoted_by(c), c.locator, address, c.note]
        for c in archive.claims
        if quoted_by(c)
        for address in [c.source if not _is_the_work(archive, c.work, c.source) else ""]
    ]


def _quoting(archive: Archive) -> Iterator[Mapping[str, Any]]:
    """Each text that quotes works: what it is called, its address where one is recorded, and the numbers read in it."""
    found: dict[str, list[ClaimRow]] = {}
    for row in claim_rows(archive, [claim for claim in archive.claims if quoted_by(claim)]):
        found.setdefault(quoted_by(row.claim), []).append(row)
    for name, rows in found.items():
        sources = {row.claim.source for row in rows if not _is_the_work(archive, row.claim.work, row.claim.source)}
        yield {"name": name, "addresses": sorted(sources), "rows": rows}


def _is_the_work(archive: Archive, work: str, source: str) -> bool:
    """Whether an address is that of the quoted work, and so not of the text in which it is quoted."""
    reference = archive.dataset.references.get(work)
    return bool(reference and reference.doi and reference.doi.lower() in source.lower())


def _shown(recipe: Recipe) -> Mapping[str, Any]:
    """A recipe as the page shows it: which file, the command that repeats it, the design and the measures."""
    sample = recipe.sample.replace("{}", "COUNTRY") if recipe.each else recipe.sample
    files = " ".join(f"--file {name}" for name in recipe.file)
    design = {
        "weight": recipe.weight,
        "replicate_weights": ", ".join(recipe.replicate_weights.names[:1]) if recipe.replicate_weights else "",
        "clusters": ", ".join(recipe.cluster),
        "strata": ", ".join(recipe.strata),
        "one_sample_for_each": recipe.each,
        "rows_kept": "; ".join(_condition(c.model_dump(exclude_defaults=True)) for c in recipe.where),
        "parts": ", ".join(part.sample for part in recipe.subsample),
    }
    return {
        "sample": recipe.sample,
        "source": recipe.source,
        "files": recipe.file,
        "command": f"python -m replication.study compute {sample} {files}",
        "design": {name: text for name, text in design.items() if text},
        "measures": [_measure(measure) for measure in recipe.measure],
        "verified": recipe.verified,
    }


def _condition(fields: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in fields.items())


def _measure(measure: Measure) -> tuple[str, str, str, list[Wording]]:
    """Construct, code, columns, coding: as much as is needed to repeat it by hand."""
    turned = measure.reversed if isinstance(measure.reversed, bool) else ", ".join(measure.reversed)
    low, high = measure.scale or (None, None)
    coding: list[Wording] = [
        {"key": "answers_from_to", "values": {"low": low, "high": high}} if measure.scale else "",
        "turned" if turned is True else {"key": "turned_items", "values": {"items": turned}} if turned else "",
        "plausible_values" if measure.plausible else measure.combine if len(measure.columns) > 1 else "",
        "standardized_items" if measure.standardize else "",
    ]
    named = ", ".join(measure.items or measure.plausible)
    return measure.variable, measure.measure, named, list(filter(None, coding))
