"""Answers to claims from other printed numbers, with their rounding intervals carried through.

`printed_only` makes the analysis of a work of which nothing but printed numbers can be had: claim by claim it says
whether others allow the number, or what is missing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from replication.analysis.conceptual_findings import conceptual_findings
from replication.analysis.outcome import Analysis, Context, Findings
from replication.claims import Answer, Checked, Claim, Missing, claims_by_id
from replication.dataset import Dataset, Reads
from replication.effects.correlation import back_to_r, to_fisher_z
from replication.models.probability import f_isf
from replication.printed import Printed, parse_printed

__all__ = [
    "Checks",
    "absent",
    "agrees_with",
    "between",
    "centred_interval",
    "fits_p",
    "missing",
    "printed_only",
    "share_of",
    "sum_of",
    "value_of",
]


def value_of(claims: Mapping[str, Claim], claim_id: str) -> Printed:
    """The printed value of a claim as a number with its rounding interval."""
    return parse_printed(claims[claim_id].printed["value"])


def absent(claims: Mapping[str, Claim], needed: Sequence[str]) -> Missing | None:
    """What a check lacks where a claim it needs is in no row of this version of the dataset; None where all are."""
    lost = [name for name in needed if name not in claims]
    return Missing(f"The printed number it would be checked against is not held: {', '.join(lost)}.") if lost else None


def sum_of(claims: Mapping[str, Claim], parts: Sequence[str]) -> Checked | Missing:
    """The claim should be the sum of other claims."""
    if lost := absent(claims, parts):
        return lost
    printed = [value_of(claims, part) for part in parts]
    shown = " + ".join(p.text for p in printed)
    # fsum: a difference of 1e-16 must not decide whether two printed numbers agree
    low, high = (math.fsum(getattr(p, end) for p in printed) for end in ("low", "high"))
    return Checked(low, high, f"sum of {shown} ({', '.join(parts)})", math.fsum(p.value for p in printed))


def share_of(claims: Mapping[str, Claim], part: str, whole: str) -> Checked | Missing:
    """The claim, in per cent, should be `part` out of `whole`."""
    if lost := absent(claims, [part, whole]):
        return lost
    a, b = value_of(claims, part), value_of(claims, whole)
    how = f"100 x {a.text} / {b.text} ({part}, {whole})"
    # the share is smallest with the smallest part of the largest whole
    return Checked(100 * a.low / b.high, 100 * a.high / b.low, how, 100 * a.value / b.value)


def agrees_with(claims: Mapping[str, Claim], other: str, where: str = "") -> Checked | Missing:
    """The claim should be the number printed in another place."""
    if lost := absent(claims, [other]):
        return lost
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
    # Authors build intervals on either scale and seldom say on which, so both middles are allowed.
    if claim.statistic == "r" and all(abs(end) < 1 for pair in ends for end in pair):
        middles += [float(back_to_r((to_fisher_z(a) + to_fisher_z(b)) / 2)) for a, b in ends]
    how = f"middle of the printed interval [{low.text}, {high.text}], as printed or on Fisher's z"
    return Checked(min(middles), max(middles), how, (low.value + high.value) / 2)


def between(claims: Mapping[str, Claim], parts: Sequence[str]) -> Checked | Missing:
    """The claim is an average over the studies that the parts split up, so it should lie between them."""
    if lost := absent(claims, parts):
        return lost
    printed = [value_of(claims, part) for part in parts]
    shown = ", ".join(p.text for p in printed)
    how = f"an average of all studies should lie between those of its parts: {shown} ({', '.join(parts)})"
    return Checked(min(p.low for p in printed), max(p.high for p in printed), how)


def fits_p(claim: Claim) -> Checked:
    """An F statistic should give the p value printed beside it, with the printed degrees of freedom.

    Returns the F values whose p lies in the rounding interval of the printed p.
    """
    first, second = (float(part) for part in claim.printed_df.split(","))
    p = parse_printed(claim.printed["p"])
    low, high = (f_isf(end, first, second) for end in (p.high, p.low))
    return Checked(low, high, f"the F({first:g}, {second:g}) that go with the printed p {p.text}")


def missing(dataset: Dataset, work: str, beside: str = "") -> Missing:
    """What keeps the claims of a work from being computed, in the words of its record."""
    record = dataset.work(work)
    if record.missing:
        return Missing(f"The data behind this number are not public. Not available: {record.missing}", "", beside)
    pooled = record.kind in ("meta_analysis", "second_order_meta_analysis", "systematic_review")
    what = "The list of studies with their effects is not public." if pooled else "The data are not public."
    return Missing(what, "the tables of the full text", beside)


Checks = Callable[[Mapping[str, Claim]], Mapping[str, Answer]]
"""From all claims of the dataset by id to answers, for what can be checked by arithmetic."""


def printed_only(work: str, title: str, checks: Checks | None = None, *, beside: tuple[str, ...] = ()) -> Analysis:
    """The analysis of a work without public data: `checks` are tried, every other claim says what is missing.

    A printed correlation with an interval is checked against the middle of that interval in any case. Where the work's
    question was asked of an open file (`conceptual.toml`), that stands beside. `checks` see the claims of the work and
    of those `beside` it, and no others.
    """

    def run(context: Context) -> Findings:
        found = conceptual_findings(context.data, work)
        return found if checks is None else replace(found, answers=checks(claims_by_id(context.data)))

    reads = Reads(works=(work, *beside))
    return Analysis(id=work, title=title, question="question_printed_only", run=run, claims=(work,), reads=reads)
