"""One answer first: the sentences a finding's page opens with, each conditional on the numbers it says.

Nothing here is fixed text: which template is used, and every number in it, follows from the estimates. Turn the sign of
the data, and the sentences turn with it. A template's key is `answer.<outcome>.<direction>`; the locale has its words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from replication.analysis.outcome import Cell, Label, Number, Ref, Sentence, Table, of
from replication.evidence.certainty import Certainty, Grade
from replication.evidence.main_model import FURTHER_N, Estimated
from replication.evidence.question import Evidence, Question

__all__ = [
    "Answered",
    "Change",
    "Direction",
    "PairShares",
    "answer_sentences",
    "cause_sentence",
    "certainty_sentences",
    "change_sentences",
    "direction_of",
    "driver_sentence",
    "further_sentence",
    "grade_term",
    "lead_id",
    "pair_shares",
    "pairs_table",
    "probability_ahead",
]

Direction = Literal["more", "slightly_more", "less", "slightly_less", "unclear"]
SMALL = 0.10
"""Below this |r| the sentence says "slightly": the target of the certainty rules."""


@dataclass(frozen=True, slots=True)
class Change:
    """So many further samples of `n` persons with correlation `r` would move the grade to `to`.

    `samples` is None where not even `most` would; `domains` are those that hold the grade down now.
    """

    samples: int | None
    most: int
    r: float
    n: int
    to: Grade | None
    domains: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PairShares:
    """Of two random persons, how often the one ahead on the first side has more, or less, of the outcome.

    The rest are alike on one of the two. `samples` holds the shares of each sample, the mean of its rows; `more` and
    `less` are the means over samples, each counting once.
    """

    more: float
    less: float
    samples: tuple[tuple[str, int, float, float], ...]

    @property
    def alike(self) -> float:
        """The share of pairs that differ on only one of the two, or on none."""
        return 1.0 - self.more - self.less


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """What the answer to one question rests on. `gap` are the difference of the bodies in r and its interval.

    `everyday` says whether the outcome allows the sentence on two random persons (the vocabulary marks it).
    """

    widest: Estimated
    published: Estimated | None
    open: Estimated | None
    gap: tuple[float, float, float] | None
    association: Certainty
    cause: Certainty
    change: Change | None
    everyday: bool
    pairs: PairShares | None = None

    @property
    def apart(self) -> bool:
        """Whether published samples and open data differ beyond chance: then no single figure is given."""
        return self.gap is not None and self.gap[1] * self.gap[2] > 0


def probability_ahead(r: float) -> float:
    """Of two random persons, the chance that the one ahead on one variable is ahead on the other too.

    1/2 + asin(r) / pi, for a bivariate normal distribution (Sheppard 1899): no ties, no skew.

    >>> round(probability_ahead(0.3), 3), round(probability_ahead(-0.3), 3), probability_ahead(0.0)
    (0.597, 0.403, 0.5)
    """
    return 0.5 + float(np.arcsin(r)) / float(np.pi)


def pair_shares(found: Evidence) -> PairShares | None:
    """The shares of pairs in the samples whose files hold the students' answers; None where no sample has them.

    Counted from the answers, so that skew and ties are in it: what stands for an outcome most students share, such as
    never being bullied, in the place of a chance that assumes a bell curve.
    """
    rows = found.rows
    if "concordant" not in rows:
        return None
    held = rows[rows["concordant"].notna() & rows["tied"].notna()]
    if held.empty:
        return None
    same, tied = held["concordant"].to_numpy(float), held["tied"].to_numpy(float)
    opposite = 1.0 - same - tied
    kept = held["sign"].to_numpy(float) > 0  # a negative relationship runs the other way round
    more, less = np.where(kept, same, opposite), np.where(kept, opposite, same)
    by_sample = held[["sample_id"]].assign(more=more, less=less).groupby("sample_id", sort=True)
    means = by_sample.agg(rows=("more", "size"), more=("more", "mean"), less=("less", "mean")).reset_index()
    samples = tuple((str(s), int(k), float(m), float(w)) for s, k, m, w in means.itertuples(index=False))
    return PairShares(float(means["more"].mean()), float(means["less"].mean()), samples)


def pairs_table(question: Question, pairs: PairShares) -> Table:
    """The shares of pairs of each sample."""
    rows = tuple((sample, k, more, less, 1.0 - more - less) for sample, k, more, less in pairs.samples)
    title = of(question.label, "pairs_by_sample")
    columns = ("sample", "rows", "better_relationship_and_more_of_it", "better_relationship_and_less_of_it", "alike")
    return Table(id=f"pairs-{question.id}", title=title, columns=columns, rows=rows)


def direction_of(centre: float, low: float, high: float) -> Direction:
    """The word for an interval: where it excludes zero its sign, and "slightly" for means below .10.

    >>> direction_of(0.3, 0.2, 0.4), direction_of(-0.05, -0.08, -0.02), direction_of(0.2, -0.1, 0.5)
    ('more', 'slightly_less', 'unclear')
    """
    # One test for "excludes zero", and NaN fails it: what is not known is never given a direction.
    if not low * high > 0:
        return "unclear"
    if centre > 0:
        return "more" if centre >= SMALL else "slightly_more"
    return "less" if centre <= -SMALL else "slightly_less"


def lead_id(answer: Estimated) -> str:
    """The id of the estimate that leads."""
    key = f"{answer.found.question.id}-{answer.found.source}"
    return f"{key}-{'cr2' if answer.leads == 'CR2' else 'posterior'}"


def _interval(answer: Estimated, prefix: str = "") -> dict[str, Number]:
    ref, mean = Ref("estimate", lead_id(answer)), answer.mean
    found = {"r": answer.centre, "low": mean.low, "high": mean.high}
    return {f"{prefix}{name}": Number(value, ref) for name, value in found.items()}


def answer_sentences(a: Answered) -> tuple[Sentence, ...]:
    """The opening of a finding: the answer, its everyday unit, how sure, counts, and the bodies where there are two."""
    found = a.widest.found
    outcome, question = found.question.outcome, found.question.id
    mean = a.widest.mean
    direction = direction_of(a.widest.centre, mean.low, mean.high)
    said: list[Sentence] = []
    if a.apart and a.published is not None and a.open is not None:
        values: dict[str, Cell | Number] = {"question": question}
        said.append(
            Sentence("answer.apart", values | _interval(a.published, "published_") | _interval(a.open, "open_"))
        )
    else:
        said.append(Sentence(f"answer.{outcome}.{direction}", {"question": question, **_interval(a.widest)}))
        if a.everyday and direction != "unclear":
            word = "more" if a.widest.centre > 0 else "less"
            ref = Ref("estimate", lead_id(a.widest))
            # The share of the absolute value: the word for the direction is in the sentence already.
            share = Number(probability_ahead(abs(a.widest.centre)), ref)
            said.append(Sentence(f"answer.{outcome}.everyday_{word}", {"share": share}))
    if a.pairs is not None:
        ref = Ref("table", f"pairs-{question}")
        shares = {"more": a.pairs.more, "less": a.pairs.less, "alike": a.pairs.alike, "samples": len(a.pairs.samples)}
        said.append(Sentence(f"answer.{outcome}.pairs", {name: Number(value, ref) for name, value in shares.items()}))
    # How sure comes right behind the answer: a reader who stops there has seen both.
    said.append(_sure(a))
    said.append(_counts(a.widest))
    if a.published is not None and a.open is not None and a.gap is not None and not a.apart:
        values = {"question": question}
        gap = dict(zip(("gap", "gap_low", "gap_high"), a.gap, strict=True))
        ref = Ref("estimate", f"bias-difference-{question}")
        said.append(
            Sentence(
                "answer.bodies",
                values
                | _interval(a.published, "published_")
                | _interval(a.open, "open_")
                | {name: Number(value, ref) for name, value in gap.items()},
            )
        )
    return tuple(said)


def grade_term(grade: Grade) -> str:
    """The term of the locale for a grade, with its symbol."""
    return f"certainty-{grade.replace('_', '-')}"


def _sure(a: Answered) -> Sentence:
    grade = grade_term(a.association.grade)
    if not a.association.target > 0:
        return Sentence("answer.sure_sign", {"grade": grade})
    target = Number(a.association.target, Ref("table", f"certainty-{a.widest.found.question.id}"))
    return Sentence("answer.sure", {"grade": grade, "target": target})


def _counts(answer: Estimated) -> Sentence:
    """How much there is: samples, persons, known countries, and samples whose country nobody recorded."""
    found = answer.found
    ref = Ref("table", f"intervals-{found.question.id}")
    body = found.rows.groupby("sample_id")["body"].first()
    counts = {
        "samples": len(body),
        "persons": found.persons,
        "published": int((body == "published").sum()),
        "open": int((body == "open").sum()),
        "countries": len(found.countries),
        "unknown": found.unknown_countries,
    }
    kind = "both" if counts["published"] and counts["open"] else "published" if counts["published"] else "open"
    names = {"names": ", ".join(found.countries)}
    values: dict[str, Cell | Number] = {**names, **{name: Number(value, ref) for name, value in counts.items()}}
    if kind != "open" and not counts["unknown"]:
        kind += "_known"
    return Sentence(f"answer.counts_{kind}", values)


def certainty_sentences(question: str, certainty: Certainty) -> tuple[Sentence, ...]:
    """What is judged and how it comes out, then one sentence per domain, with its step and the numbers that decided."""
    ref = Ref("table", f"certainty-{question}")
    first = Sentence("certainty.question", {"question": question, "grade": grade_term(certainty.grade)})
    return first, *(
        Sentence(
            f"certainty.{decision.domain}.{decision.because}",
            {"step": Number(decision.step, ref), **_numbered(decision.values, ref)},
        )
        for decision in certainty.decisions
    )


def cause_sentence(question: str, outcome: str, cause: Certainty) -> tuple[Sentence, ...]:
    """What the data do not show, and the certainty that it is so."""
    ref = Ref("table", f"certainty-{question}")
    # Cause has a single rule; its five domains are those of the association it starts from.
    decision = cause.decisions[0]
    grade = grade_term(cause.grade)
    values: dict[str, Cell | Number] = {"grade": grade, **_numbered(decision.values, ref)}
    return (Sentence(f"answer.{outcome}.cause", {"grade": grade}), Sentence(f"cause.{decision.because}", values))


def change_sentences(question: str, grade: Grade, change: Change | None) -> tuple[Sentence, ...]:
    """What would change the grade: so many samples of such a correlation, or what holds it down."""
    if change is None:
        return ()
    ref = Ref("table", f"certainty-{question}")
    here: dict[str, Cell | Number] = {"grade": grade_term(grade)}
    n, r = Number(change.n, ref), Number(change.r, ref)
    said = []
    if grade == "very_low":
        pass  # nothing is below it
    elif change.samples is None or change.to is None:
        said.append(Sentence("change.stands", {**here, "most": Number(change.most, ref), "n": n, "r": r}))
    else:
        values = {"samples": Number(change.samples, ref), "n": n, "r": r}
        said.append(Sentence("change.lower", {**here, **values, "to": grade_term(change.to)}))
    if change.domains:
        said += [Sentence(f"change.held_{domain}", {}) for domain in change.domains]
    return tuple(said)


def further_sentence(answer: Estimated) -> Sentence:
    """The two predictive intervals in words."""
    key = f"{answer.found.question.id}-{answer.found.source}"
    sample, row = answer.further_sample, answer.further_row()
    values: dict[str, Cell | Number] = {"question": answer.found.question.id}
    for name, interval in (("sample", sample), ("row", row)):
        ref = Ref("estimate", f"{key}-further-{name}")
        values |= {f"{name}_low": Number(interval.low, ref), f"{name}_high": Number(interval.high, ref)}
    values["n"] = Number(FURTHER_N, Ref("estimate", f"{key}-further-row"))
    return Sentence("answer.further", values)


def _numbered(values: Mapping[str, Cell], ref: Ref) -> dict[str, Cell | Number]:
    """Numbers with a reference; words as they are."""
    return {
        name: value if isinstance(value, str | bool | Label) else Number(value, ref) for name, value in values.items()
    }


def driver_sentence(question: str, rows: Sequence[Sequence[Cell]], table: str) -> tuple[Sentence, ...]:
    """The single sample that moves the mean most, read off the table of leaving one out."""
    if not rows:
        return ()
    # A sample that could not be left out has no number, and counts as moving nothing.
    moves = [0.0 if isinstance(row[-1], Label) else abs(float(row[-1] or 0.0)) for row in rows]
    sample, without, _, _, moved = rows[moves.index(max(moves))][:5]
    ref = Ref("table", table)
    values: dict[str, Cell | Number] = {"question": question, "sample": str(sample)}
    return (Sentence("finding.driver", {**values, "without": Number(without, ref), "moved": Number(moved, ref)}),)  # type: ignore[arg-type]
