"""Checks of printed numbers against printed numbers, with their rounding intervals carried through."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from replication.claims import Checked, Claim, Missing
from replication.dataset import Dataset
from replication.printed import Printed, parse_printed

__all__ = ["agrees_with", "centred_interval", "missing", "share_of", "sum_of", "value_of"]

_WHERE = "the full text and its tables"


def value_of(claims: Mapping[str, Claim], claim_id: str) -> Printed:
    """The printed value of a claim as a number with its rounding interval."""
    return parse_printed(claims[claim_id].printed["value"])


def sum_of(claims: Mapping[str, Claim], parts: Sequence[str]) -> Checked:
    """The claim should be the sum of other claims."""
    printed = [value_of(claims, part) for part in parts]
    shown = " + ".join(p.text for p in printed)
    low, high = (math.fsum(getattr(p, end) for p in printed) for end in ("low", "high"))
    return Checked(low, high, f"sum of {shown} ({', '.join(parts)})", math.fsum(p.value for p in printed))


def share_of(claims: Mapping[str, Claim], part: str, whole: str) -> Checked:
    """The claim, in per cent, should be `part` out of `whole`."""
    a, b = value_of(claims, part), value_of(claims, whole)
    how = f"100 x {a.text} / {b.text} ({part}, {whole})"
    return Checked(100 * a.low / b.high, 100 * a.high / b.low, how, 100 * a.value / b.value)


def agrees_with(claims: Mapping[str, Claim], other: str, where: str = "") -> Checked:
    """The claim should be the number printed in another place."""
    printed = value_of(claims, other)
    return Checked(
        printed.low, printed.high, f"{printed.text} is printed {where or 'elsewhere'} ({other})", printed.value
    )


def centred_interval(claim: Claim) -> Checked | None:
    """A printed correlation should lie in the middle of its printed interval, as it is or on Fisher's z.

    Returns what the interval's middle can be after rounding (both scales together), or None where there is none.
    """
    if not {"value", "ci_low", "ci_high"} <= set(claim.printed):
        return None
    low, high = parse_printed(claim.printed["ci_low"]), parse_printed(claim.printed["ci_high"])
    ends = [(low.low, high.low), (low.high, high.high)]
    middles = [(a + b) / 2 for a, b in ends]
    if claim.statistic == "r":
        middles += [math.tanh((math.atanh(a) + math.atanh(b)) / 2) for a, b in ends]
    how = f"middle of the printed interval [{low.text}, {high.text}], as printed or on Fisher's z"
    return Checked(min(middles), max(middles), how, (low.value + high.value) / 2)


def missing(dataset: Dataset, work: str, beside: str = "") -> Missing:
    """What keeps the claims of a work from being computed, in the words of its record."""
    needs = dataset.work(work).missing
    what = (
        f"The primary data behind this number are not public. Not available: {needs}"
        if needs
        else ("The source prints the number without the data behind it.")
    )
    return Missing(what, "" if needs else _WHERE, beside)
