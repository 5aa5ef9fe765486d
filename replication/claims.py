"""Claims and verdicts: a printed number beside ours, and what follows.

A claim is what a source prints. An answer is what an analysis can say about it: a recomputed value, a check against
other printed numbers, or what is missing. A verdict compares the two and never uses a tolerance of our own: the
printed digits define the interval our unrounded number must fall into.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

from replication.dataset import Dataset
from replication.errors import DataError, UserError
from replication.printed import Printed, parse_printed

__all__ = [
    "GROUPS",
    "SECOND_HAND",
    "Answer",
    "Check",
    "Checked",
    "Claim",
    "ClaimIndex",
    "Group",
    "Missing",
    "Part",
    "Reason",
    "Recomputed",
    "Verdict",
    "claims_by_id",
    "claims_of",
    "judge",
]

Verdict = Literal["MATCH", "DIFFERS", "DIFFERS_EXPLAINED", "CONSISTENT", "INCONSISTENT", "NOT_COMPUTABLE", "PENDING"]
"""MATCH: our unrounded number lies in the printed rounding interval. DIFFERS: it does not. DIFFERS_EXPLAINED: it does
not, and a recorded reason says why. CONSISTENT / INCONSISTENT: checked against other printed numbers only.
NOT_COMPUTABLE: the data are not public; the record says what is missing. PENDING: not yet transcribed."""

Group = Literal["cited", "quoted", "related", "software"]
"""Whose number a claim is: cited, of the works the article lists; quoted, printed by somebody else who names a work (a
news item, a summary page); related, of syntheses and studies beside the list; software, the archived output of programs
and of method articles that show one. Verdicts are counted in each group apart: they are different denominators."""
GROUPS: tuple[Group, ...] = get_args(Group)
_OUTPUT_OF_SOFTWARE = ("software", "method_article")

PARTS = ("value", "ci_low", "ci_high", "se", "p")
SECOND_HAND = ("second-hand note", "title page")
DIRECTION = "direction"
_TABLE_OF_CLAIMS = "claims.csv"
DIRECTIONS = {"+": "positive", "-": "negative", "0": "named as null", "?": "not stated"}


@dataclass(frozen=True, slots=True)
class Claim:
    """A published result: id, work, what it is, and every printed figure of its row as a string.

    `printed_by` names who printed it where that is not the work itself; `about` the findings it is listed under.
    Analyses ask for a number by `quantity_key` and `subgroup_key`, never by the words that readers see.
    Of a result known by its direction alone, `waits_for` says where its size would be found; its statistic is
    "direction" and its printed value the direction in words.
    """

    id: str
    work: str
    quantity: str
    subgroup: str
    statistic: str
    printed: Mapping[str, str]
    printed_df: str
    k: float
    n: float
    as_printed: str
    source: str
    locator: str
    reading: str
    note: str
    line: int
    waits_for: str = ""
    printed_by: str = ""
    group: Group = "related"
    quantity_key: str = ""
    subgroup_key: str = ""
    about: tuple[str, ...] = ()

    @property
    def second_hand(self) -> bool:
        """Whether the figure was read from somebody who quotes the work."""
        return self.reading in SECOND_HAND


@dataclass(frozen=True, slots=True)
class Recomputed:
    """Our own number for a claim, unrounded and in the printed unit; interval ends, SE and p where the claim has them.

    `estimate` is the id of the estimate it comes from, so that a page can link to it.
    """

    value: float
    ci_low: float = math.nan
    ci_high: float = math.nan
    se: float = math.nan
    p: float = math.nan
    estimate: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """A claim that cannot be recomputed but can be checked: `low` to `high` is what other printed numbers allow."""

    low: float
    high: float
    how: str
    value: float = math.nan


@dataclass(frozen=True, slots=True)
class Missing:
    """A claim that cannot be computed: what is missing, and where it would be."""

    what: str
    where: str = ""
    beside: str = ""


Answer = Recomputed | Checked | Missing


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a recomputed number differs, and up to which relative difference the reason holds."""

    text: str
    at_most: float


@dataclass(frozen=True, slots=True)
class Part:
    """One printed figure of a claim beside ours."""

    name: str
    printed: str
    ours: float
    matches: bool
    relative_difference: float


@dataclass(frozen=True, slots=True)
class Check:
    """A claim with its verdict. `ours` is our value (NaN where there is none), `low`/`high` the printed interval."""

    claim: Claim
    verdict: Verdict
    reason: str
    ours: float = math.nan
    low: float = math.nan
    high: float = math.nan
    relative_difference: float = math.nan
    decision_flip: str = ""
    parts: tuple[Part, ...] = ()
    estimate: str = ""


def claims_of(dataset: Dataset, work: str | None = None) -> tuple[Claim, ...]:
    """The claims of one work, or of all, in the order of the dataset: printed numbers, then bare directions."""
    # Directions are claims as well: leaving them out would count only what somebody transcribed.
    made = ((dataset.columns(_TABLE_OF_CLAIMS), _claim), (dataset.columns("directions.csv"), _direction))
    # Plain cells: a work has a handful of claims, and a data frame of them takes longer than its analysis.
    own = ((rows if work is None else rows.of_works([work]), make) for rows, make in made)
    found = (make(row) for rows, make in own for row in rows.records())
    return tuple(replace(claim, group=_group(dataset, claim)) for claim in found)


def _group(dataset: Dataset, claim: Claim) -> Group:
    """Whose number it is, by who printed it and by the record of its work."""
    # Who printed it comes first: a figure quoted in a cited work is not a figure of that work.
    if claim.printed_by:
        return "quoted"
    work = dataset.work(claim.work)
    if work.role == "cited":
        return "cited"
    return "software" if work.kind in _OUTPUT_OF_SOFTWARE else "related"


@dataclass(frozen=True, slots=True, eq=False)
class ClaimIndex(Mapping[str, Claim]):
    """All claims by id, where a withdrawn id stands for its successor and, on an earlier version, the other way round.

    So an analysis may name a claim by any id it ever had, and goes on working when the number is corrected.
    """

    dataset: Dataset
    claims: Mapping[str, Claim]

    def __getitem__(self, name: str) -> Claim:
        """The claim that `name` stands for in this version; raises DataError, with what to do, where none does."""
        living = self.living(name)
        if living is None:
            raise DataError(
                f'no claim "{name}" in dataset {self.dataset.version}, nor one that took its place: '
                "name its successor in replaced_by, or leave it out of the analysis"
            )
        return self.claims[living]

    def living(self, name: str) -> str | None:
        """The id of the claim that `name` stands for in this version, if there is one."""
        return name if name in self.claims else self.dataset.living(_TABLE_OF_CLAIMS, name)

    def __contains__(self, name: object) -> bool:
        """Whether `name` stands for a claim of this version."""
        return isinstance(name, str) and self.living(name) is not None

    def __iter__(self) -> Iterator[str]:
        """The ids of this version, in the order of the dataset."""
        return iter(self.claims)

    def __len__(self) -> int:
        """How many claims this version has."""
        return len(self.claims)


def claims_by_id(dataset: Dataset) -> ClaimIndex:
    """The claims of a dataset by every id they had."""
    return ClaimIndex(dataset, {claim.id: claim for claim in claims_of(dataset)})


def judge(claim: Claim, answer: Answer | None, reasons: Mapping[str, Reason] | None = None) -> Check:
    """The verdict on one claim.

    Parameters
    ----------
    claim : what is printed.
    answer : what an analysis says of it; None means nobody has looked yet. A bare direction waits for its size.
    reasons : recorded reasons by claim id; one turns DIFFERS into DIFFERS_EXPLAINED, as far as it reaches.
    """
    # Before anything is parsed: a direction has no digits that could be compared.
    if claim.statistic == DIRECTION:
        where = f" It would be found in: {claim.waits_for}." if claim.waits_for else ""
        return Check(claim, "PENDING", f"Only the direction could be read; its size is not transcribed.{where}")
    printed = _parse(claim)
    if isinstance(printed, str):
        return Check(claim, "PENDING", printed)
    low, high = printed["value"].low, printed["value"].high
    if answer is None:
        return Check(claim, "PENDING", "no analysis answers this claim yet", low=low, high=high)
    if isinstance(answer, Missing):
        reason = answer.what + (f" It would be found in: {answer.where}" if answer.where else "")
        reason += f" {answer.beside}" if answer.beside else ""
        return Check(claim, "NOT_COMPUTABLE", reason, low=low, high=high)
    if isinstance(answer, Checked):
        return _consistency(claim, printed["value"], answer)
    return _comparison(claim, printed, answer, (reasons or {}).get(claim.id))


def _claim(row: Mapping[str, object]) -> Claim:
    printed = {name: str(row["printed" if name == "value" else name]) for name in PARTS}
    return Claim(
        id=str(row["claim_id"]),
        work=str(row["work"]),
        quantity=str(row["quantity"]),
        subgroup=str(row["subgroup"]),
        statistic=str(row["statistic"]),
        printed={name: text for name, text in printed.items() if text},
        printed_df=str(row["df"]),
        k=float(str(row["k"])),
        n=float(str(row["n"])),
        as_printed=str(row["as_printed"]),
        source=str(row["source_url"]),
        locator=str(row["locator"]),
        reading=str(row["reading"]),
        note=str(row["note"]),
        line=int(str(row["line"])),
        printed_by=str(row["printed_by"]),
        quantity_key=str(row["quantity_key"]),
        subgroup_key=str(row["subgroup_key"]),
        about=_separated(row["about"]),
    )


def _direction(row: Mapping[str, object]) -> Claim:
    return Claim(
        id=str(row["direction_id"]),
        work=str(row["work"]),
        quantity=str(row["association"]),
        subgroup=str(row["level"]),
        statistic=DIRECTION,
        printed={"value": DIRECTIONS[str(row["direction"])]},
        printed_df="",
        k=math.nan,
        n=math.nan,
        as_printed="",
        source="",
        locator="",
        reading=str(row["reading"]),
        note=str(row["note"]),
        line=int(str(row["line"])),
        waits_for=str(row["where_to_find"]),
        about=_separated(row["about"]),
    )


def _separated(cell: object) -> tuple[str, ...]:
    return tuple(word for word in str(cell).split(";") if word)


def _parse(claim: Claim) -> dict[str, Printed] | str:
    """The printed figures that are numbers; a sentence where the claim itself has none."""
    if "value" not in claim.printed:
        return f"the print cannot be read as a number: {claim.as_printed or claim.note or 'no value transcribed'}"
    parsed = {}
    for name, text in claim.printed.items():
        try:
            parsed[name] = parse_printed(text)
        except UserError:
            if name == "value":
                raise DataError(f'{claim.id}: "{text}" is not a printed number') from None
    return parsed


def _consistency(claim: Claim, printed: Printed, answer: Checked) -> Check:
    """The printed interval and the one other figures allow must share a point."""
    # Both are intervals: one shared point is enough for the two prints to be true at once.
    overlap = printed.low <= answer.high and answer.low <= printed.high
    value = answer.value if math.isfinite(answer.value) else (answer.low + answer.high) / 2
    return Check(
        claim,
        "CONSISTENT" if overlap else "INCONSISTENT",
        f"{answer.how}: {_span(answer)}",
        ours=value,
        low=printed.low,
        high=printed.high,
        relative_difference=_relative(value, printed.value),
    )


def _span(answer: Checked) -> str:
    low, high = f"{answer.low:.6g}", f"{answer.high:.6g}"
    return low if low == high else f"{low} to {high}"


def _comparison(claim: Claim, printed: Mapping[str, Printed], answer: Recomputed, known: Reason | None) -> Check:
    parts = tuple(_part(name, printed[name], getattr(answer, name)) for name in PARTS if name in printed)
    compared = [part for part in parts if not math.isnan(part.ours) or part.name == "value"]
    # Every printed part counts: a value that matches with an interval that does not is no match.
    off = [part for part in compared if not part.matches]
    verdict: Verdict = "MATCH"
    reason = answer.note
    if off:
        # A reason holds up to its recorded size; a larger difference needs another one.
        explained = known is not None and all(abs(part.relative_difference) <= known.at_most for part in off)
        verdict = "DIFFERS_EXPLAINED" if explained else "DIFFERS"
        reason = f"ours is {_listed(off)}" + (f". {answer.note}" if answer.note else "")
        if known is not None and explained:
            reason = f"{known.text} Here {reason}."
    value = printed["value"]
    return Check(
        claim,
        verdict,
        reason,
        ours=answer.value,
        low=value.low,
        high=value.high,
        relative_difference=_relative(answer.value, value.value),
        decision_flip=_decision_flip(printed, answer),
        parts=parts,
        estimate=answer.estimate,
    )


def _part(name: str, printed: Printed, ours: float) -> Part:
    return Part(name, printed.text, ours, printed.holds(ours), _relative(ours, printed.value))


def _listed(parts: Iterable[Part]) -> str:
    return ", ".join(f"{part.name} {part.ours:.9g} where {part.printed} is printed" for part in parts)


def _relative(ours: float, printed: float) -> float:
    # No relative difference from 0 exists; NaN keeps it from being taken for a small one.
    if printed == 0:
        return 0.0 if ours == 0 else math.nan
    return (ours - printed) / abs(printed)


def _decision_flip(printed: Mapping[str, Printed], answer: Recomputed) -> str:
    """What a reader would decide differently: the sign, or whether the interval excludes zero."""
    value = printed["value"].value
    flips = []
    if value * answer.value < 0:
        flips.append("sign")
    theirs = _significant(printed.get("ci_low"), printed.get("ci_high"), printed.get("p"))
    ours = _excludes_zero(answer.ci_low, answer.ci_high)
    if ours is None and math.isfinite(answer.p):
        ours = answer.p < 0.05
    if theirs is not None and ours is not None and theirs != ours:
        flips.append("significance")
    return " and ".join(flips)


def _significant(low: Printed | None, high: Printed | None, p: Printed | None) -> bool | None:
    if low is not None and high is not None:
        return _excludes_zero(low.value, high.value)
    if p is not None:
        # "p < .05" is below .05 although its value reads .05.
        return p.value <= 0.05 if p.bound in ("<", "≤") else p.value < 0.05
    return None


def _excludes_zero(low: float, high: float) -> bool | None:
    if math.isnan(low) or math.isnan(high):
        return None
    return low > 0 or high < 0
