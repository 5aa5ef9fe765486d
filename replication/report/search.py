"""The search index: what can be found, as a script, because a page opened from disk may not read a file."""

from __future__ import annotations

import json
from collections.abc import Iterator

from replication.report.archive import Archive
from replication.report.words import Words

__all__ = ["script_data", "search_index"]


def search_index(archive: Archive, words: Words) -> str:
    """Title, description and path of every page, work, claim, trap and estimate."""
    entries = [*_pages(archive, words), *_works(archive), *_results(archive, words), *_claims(archive, words)]
    return script_data("SEARCH", entries)


def script_data(name: str, content: object) -> str:
    """JSON as a script that sets one global, in a form that cannot end a script element or a line."""
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    # U+2028 and U+2029 end a line in older JavaScript, though JSON allows them.
    safe = body.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return f"window.{name}={safe};\n"


def _pages(archive: Archive, words: Words) -> Iterator[tuple[str, str, str]]:
    for page in archive.menu.pages:
        kind = words.say("overview.findings" if page.finding else "site.page")
        yield words.say(f"title.{page.name}"), kind, page.path


def _works(archive: Archive) -> Iterator[tuple[str, str, str]]:
    for key in archive.dataset.works:
        reference = archive.dataset.references.get(key)
        title = reference.title if reference else ""
        authors = "; ".join(reference.authors) if reference else ""
        yield archive.short(key), f"{title} {authors} {key}", f"works/{key}.html"


def _results(archive: Archive, words: Words) -> Iterator[tuple[str, str, str]]:
    for trap in archive.dataset.traps:
        yield trap.title, words.say("title.traps"), archive.place(f"trap:{trap.id}")
    for outcome in archive.outcomes:
        for estimate in outcome["estimates"]:
            place = archive.place(estimate["id"], outcome["id"])
            yield estimate["label"], f"{words.say('table.estimate')}: {outcome['title']}", place


def _claims(archive: Archive, words: Words) -> Iterator[tuple[str, str, str]]:
    for claim in archive.claims:
        printed = claim.printed.get("value", "")
        about = f"{archive.short(claim.work)}: {printed} {claim.subgroup} {claim.id}"
        verdict = words.term("verdict", archive.verdict(claim))
        yield claim.quantity, f"{about} ({verdict})", archive.place(claim.id)
