"""What changed since the last release: every estimate and every verdict, old beside new, and why.

The reason is found by comparison, in this order: the claim as transcribed, the rows behind it (added, left out,
corrected), the choices of the method, and what remains is the code.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from replication.report.archive import Archive, Record
from replication.report.releases import Release, frozen_outcomes

__all__ = ["Change", "Comparison", "compare_with"]

_CLOSE = 1e-8  # relative: the last digits of linear algebra differ between machines
_SAME = "unchanged"


@dataclass(frozen=True, slots=True)
class Change:
    """An estimate or a verdict in two versions. `old` or `new` is empty where there is none; `reason` is a key."""

    kind: str
    id: str
    label: str
    old: float | str | None
    new: float | str | None
    reason: str
    detail: str = ""

    @property
    def changed(self) -> bool:
        """Whether old and new differ."""
        return self.reason != _SAME


@dataclass(frozen=True, slots=True)
class Comparison:
    """All estimates and verdicts, compared with a release."""

    release: Release
    estimates: Sequence[Change]
    verdicts: Sequence[Change]


def compare_with(release: Release, reports: Path, archive: Archive) -> Comparison:
    """Compare the outcomes and rows of this report with those of a release."""
    before = frozen_outcomes(reports, release)
    corrected = _corrected_rows(reports / release.folder / "data" / "effects.csv", archive)
    old, new = _estimates(before), _estimates(archive.outcomes)
    checks = _checks(before), _checks(archive.outcomes)
    left_out = archive.run.get("left_out", ())
    old = {name: estimate for name, estimate in old.items() if name.partition("/")[0] not in left_out}
    return Comparison(
        release,
        [_estimate_change(name, old.get(name), new.get(name), corrected) for name in sorted(old.keys() | new.keys())],
        list(_verdict_changes(*checks)),
    )


def _estimates(outcomes: Sequence[Record]) -> dict[str, Record]:
    return {f"{o['id']}/{e['id']}": e for o in outcomes for e in o["estimates"]}


def _checks(outcomes: Sequence[Record]) -> dict[str, Record]:
    return {check["claim"]["id"]: check for o in outcomes for check in o["checks"]}


def _estimate_change(name: str, old: Record | None, new: Record | None, corrected: set[str]) -> Change:
    if old is None or new is None:
        known = new or old or {}
        reason = "added" if old is None else "removed"
        return Change(
            "estimate", name, known["label"], old["value"] if old else None, new["value"] if new else None, reason
        )
    reason, detail = (_SAME, "") if _equal(old["value"], new["value"]) else _why(old, new, corrected)
    return Change("estimate", name, new["label"], old["value"], new["value"], reason, detail)


def _why(old: Record, new: Record, corrected: set[str]) -> tuple[str, str]:
    rows_before, rows_now = set(old["rows"]), set(new["rows"])
    added, removed = sorted(rows_now - rows_before), sorted(rows_before - rows_now)
    if added or removed:
        detail = " ".join([*(f"+{row}" for row in added), *(f"−{row}" for row in removed)])
        return "rows", detail
    touched = sorted(rows_now & corrected)
    if touched:
        return "corrected", " ".join(touched)
    choices = [k for k in old["method"].keys() | new["method"].keys() if old["method"].get(k) != new["method"].get(k)]
    if choices:
        shown = (f"{k}: {old['method'].get(k, '–')} → {new['method'].get(k, '–')}" for k in sorted(choices))
        return "method", "; ".join(shown)
    return "code", ""


def _verdict_changes(old: Mapping[str, Record], new: Mapping[str, Record]) -> Iterator[Change]:
    for name in sorted(old.keys() | new.keys()):
        before, now = old.get(name), new.get(name)
        known = now or before or {}
        label = f"{known['claim']['quantity']} ({known['claim']['work']})"
        words = before["verdict"] if before else None, now["verdict"] if now else None
        if before is None or now is None:
            yield Change("verdict", name, label, *words, "added" if before is None else "removed")
        elif words[0] == words[1]:
            yield Change("verdict", name, label, *words, _SAME)
        else:
            yield Change("verdict", name, label, *words, *_verdict_reason(before, now))


def _verdict_reason(before: Record, now: Record) -> tuple[str, str]:
    if before["claim"]["printed"] != now["claim"]["printed"]:
        printed = (str(check["claim"]["printed"].get("value", "–")) for check in (before, now))
        return "transcribed", " → ".join(printed)
    if not _equal(before["ours"], now["ours"]):
        return "ours", now["reason"]
    return "explained", now["reason"]


def _corrected_rows(path: Path, archive: Archive) -> set[str]:
    """The rows whose cells differ from the release's: as text, since that is what the file holds."""
    if not path.exists():
        return set()
    with path.open(encoding="utf-8", newline="") as stream:
        before = {row["effect_id"]: row for row in csv.DictReader(stream)}
    found = set()
    for row in archive.table("effects.csv"):
        old = before.get(row["effect_id"])
        if old and any(_cell(row.get(name)) != text for name, text in old.items() if name in row):
            found.add(str(row["effect_id"]))
    return found


def _cell(value: Any) -> str:
    return "" if value is None else str(value)


def _equal(a: object, b: object) -> bool:
    if isinstance(a, int | float) and isinstance(b, int | float):
        return math.isclose(a, b, rel_tol=_CLOSE, abs_tol=1e-12)
    return a == b
