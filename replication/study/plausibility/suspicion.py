"""What a plausibility rule says, and the list of the rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from replication.dataset import Problem
from replication.dataset.problems import Severity, shown

__all__ = ["RULES", "Place", "Rule", "Suspicion"]

_LONGEST = 2000  # letters of a question that an answer repeats


@dataclass(frozen=True, slots=True)
class Rule:
    """A question the checker asks. An error cannot be true as it stands; a warning is unlikely."""

    name: str
    severity: Severity
    meaning: str


_RULES = (
    Rule("sign", "warning", "the sign is the opposite of what the two constructs lead one to expect"),
    Rule("very-large", "warning", "a correlation beyond .9: the two measures are nearly the same thing"),
    Rule("exact-zero", "warning", "a correlation of exactly 0 often stands for an empty cell"),
    Rule("se", "warning", "the standard error does not fit n: it may be a standard deviation"),
    Rule("interval-centre", "warning", "the value is not in the middle of its interval, on any usual scale"),
    Rule("interval-width", "warning", "the interval is much wider or narrower than n allows"),
    Rule("test", "warning", "the printed t, F or chi-square gives another correlation"),
    Rule("p", "warning", "the printed p does not follow from the correlation and n"),
    Rule("triple", "error", "three correlations of one sample that cannot all be true"),
    Rule("n-differs", "warning", "the sizes given for one sample are more than a tenth apart"),
    Rule("same-sample", "warning", "another sample has the same n and the same correlation: is it the same study?"),
    Rule("mean-outside", "error", "the mean lies outside its scale"),
    Rule("sd-too-large", "error", "the standard deviation is larger than the scale allows"),
    Rule("sd-is-se", "warning", "the standard deviation is so small that it may be a standard error"),
    Rule("grim", "warning", "no n whole-number answers have this mean"),
    Rule("coders-differ", "warning", "two coders disagree and nobody has settled it"),
    Rule("not-as-coded", "warning", "the table holds another value than the coders agreed on or settled"),
    Rule("answer-unneeded", "warning", "answers.toml answers a question that nobody asks, or asks about other numbers"),
)

RULES: Mapping[str, Rule] = MappingProxyType({rule.name: rule for rule in _RULES})
"""Every rule by name."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row stands: file, line and the row's id."""

    file: str
    line: int
    row: str


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A question about a row: what looks wrong, in words, and the ids of the rows an answer has to name."""

    problem: Problem
    rows: tuple[str, ...]

    @property
    def asked(self) -> str:
        """What is asked, with the numbers it rests on: an answer holds for this question and for no other."""
        return f"{self.problem.found}; expected {self.problem.expected}"[:_LONGEST].strip()

    @classmethod
    def about(
        cls, place: Place, column: str, rule: str, found: object, expected: str, hint: str, *others: str
    ) -> Suspicion:
        """A suspicion by one of the rules; `others` are further rows it is about."""
        text = found if isinstance(found, str) else shown(found)
        severity = RULES[rule].severity
        problem = Problem(place.file, place.line, column, rule, text, expected, hint, severity)
        return cls(problem, (place.row, *others))
