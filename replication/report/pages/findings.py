"""The pages of findings: what is published, what old and new samples give, and what follows.

An item of a finding's outcome goes to the section its id names: "new-positive-reml" and "engagement.new" stand under
"new". What names no section stands under "more".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from replication.report.archive import FINDINGS, Archive, Record
from replication.report.gallery import Gallery
from replication.report.pages.common import claim_rows, item_section, pictures_of
from replication.report.view import Page
from replication.report.words import Words

__all__ = ["SECTIONS", "in_section", "pages"]

SECTIONS = (
    "answer",
    "published",
    "known",
    "new",
    "prediction",
    "update",
    "bias",
    "drivers",
    "robustness",
    "school",
    "sure",
    "change",
)
"""answer: in short. published: what others print. known: what the 45 samples give. new: what the new samples give.
prediction: whether the first predicts the last. update: both together. bias: small-study effects. drivers: which rows
carry the result. robustness: other models and choices. school: school-level results, kept apart. sure: how sure.
change: what would change our mind."""

_TOPICS: Mapping[str, tuple[str, ...]] = {
    "engagement": ("engagement",),
    "achievement": ("achievement",),
    "bullying": ("bullying", "victimization", "perpetration"),
}


def pages(archive: Archive, words: Words, gallery: Gallery) -> Iterator[Page]:
    """One page a finding in one language."""
    prefix = "" if words.language == "en" else f"{words.language}/"
    for name in FINDINGS:
        outcome = archive.outcome(name)
        sections = list(_sections(outcome, gallery)) if outcome else []
        claims = [c for c in archive.claims if any(t in c.quantity for t in _TOPICS[name]) and c.statistic in _SIZES]
        values = {
            "name": name,
            "outcome": outcome,
            "sections": sections,
            "published": claim_rows(archive, claims),
            "directions": [d for d in archive.table("directions.csv") if _about(d["outcome_domain"], name)],
            "statement": next((s for s in archive.dataset.statements if s.finding == name), None),
            "first": 1,
            "current": name,
        }
        yield Page(f"{prefix}findings/{name}.html", "finding.html", words.say(f"title.{name}"), values, words)


_SIZES = ("r", "d", "g", "z", "beta", "b")


def in_section(items: Sequence[Record], section: str, name: str = "id") -> list[Record]:
    """The items of one section."""
    return [item for item in items if item_section(item[name], SECTIONS) == section]


def _sections(outcome: Record, gallery: Gallery) -> Iterator[Mapping[str, Any]]:
    pictures = pictures_of(gallery, outcome)
    for section in (*SECTIONS, "more"):
        found = {
            "name": section,
            "sentences": in_section(outcome["sentences"], section, "key"),
            "pictures": [p for p in pictures if item_section(p.data.id, SECTIONS) == section],
            "estimates": in_section(outcome["estimates"], section),
            "tables": in_section(outcome["tables"], section),
        }
        if any(found[k] for k in ("sentences", "pictures", "estimates", "tables")) or section == "published":
            yield found


def _about(domain: str, name: str) -> bool:
    return any(topic in domain for topic in _TOPICS[name])
