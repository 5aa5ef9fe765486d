"""Shared views of verdicts, claims and estimates: what more than one page shows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from replication.claims import Claim
from replication.report.archive import Archive, Record
from replication.report.gallery import Gallery, Picture

__all__ = ["ORDER", "ClaimRow", "claim_rows", "distance", "pictures_of", "tally", "unexplained"]

ORDER = ("DIFFERS", "INCONSISTENT", "DIFFERS_EXPLAINED", "MATCH", "CONSISTENT", "NOT_COMPUTABLE", "PENDING")
"""Verdicts as they are listed: what does not hold first."""
UNEXPLAINED = ("DIFFERS", "INCONSISTENT")


@dataclass(frozen=True, slots=True, eq=False)
class ClaimRow:
    """A claim with its check. `check` is empty where no analysis of this run looked at it."""

    claim: Claim
    verdict: str
    check: Mapping[str, Any]

    @property
    def estimate(self) -> str:
        """The id of the estimate behind our number, with its analysis."""
        name = self.check.get("estimate", "")
        return f"{self.check['analysis']}/{name}" if name else ""

    @property
    def ours(self) -> float | None:
        """Our number, where there is one."""
        value = self.check.get("ours")
        return float(value) if value is not None else None

    @property
    def reason(self) -> str:
        """Why the verdict is what it is."""
        return str(self.check.get("reason", ""))


def claim_rows(archive: Archive, claims: Iterable[Claim]) -> list[ClaimRow]:
    """The claims with their checks, in order."""
    return [ClaimRow(claim, archive.verdict(claim), archive.checks.get(claim.id, {})) for claim in claims]


def tally(rows: Iterable[ClaimRow]) -> dict[str, int]:
    """How many claims have each verdict, in the order of listing."""
    counts = Counter(row.verdict for row in rows)
    return {verdict: counts[verdict] for verdict in ORDER if counts[verdict]}


def unexplained(rows: Iterable[ClaimRow]) -> list[ClaimRow]:
    """What does not hold and has no recorded reason."""
    return [row for row in rows if row.verdict in UNEXPLAINED]


def distance(row: ClaimRow) -> float | None:
    """Our number's place within the printed rounding interval: 0 its middle, 1 and -1 its ends."""
    low, high, ours = row.check.get("low"), row.check.get("high"), row.ours
    if ours is None or low is None or high is None or high <= low:
        return None
    place = (ours - (low + high) / 2) / ((high - low) / 2)
    return place if math.isfinite(place) else None


def pictures_of(gallery: Gallery, outcome: Record) -> list[Picture]:
    """The pictures of an outcome in its order."""
    found = (gallery.get((outcome["id"], figure["id"])) for figure in outcome["figures"])
    return [picture for picture in found if picture]
