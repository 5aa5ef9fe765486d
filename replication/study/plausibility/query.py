"""What a plausibility rule says, and the list of the rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from replication.dataset import Problem
from replication.dataset.problems import Severity, shown

__all__ = ["RULES", "Place", "Query", "Rule"]

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
    Rule("interval-outside", "error", "a printed result lies outside its interval, or the ends are swapped"),
    Rule("interval-end", "warning", "the interval has only one end"),
    Rule("interval-centre", "warning", "the value is not in the middle of its interval, on any usual scale"),
    Rule("interval-width", "warning", "the interval is much wider or narrower than n allows"),
    Rule("test", "warning", "the printed t, F or chi-square gives another correlation"),
    Rule("test-sign", "warning", "the printed t has the opposite sign of the correlation"),
    Rule("test-n", "warning", "the degrees of freedom of the printed test do not fit n"),
    Rule("test-impossible", "error", "a test that cannot be: no degree of freedom, or an F or chi-square below 0"),
    Rule("test-unreadable", "warning", "no t, F(1, df) or chi-square(1) can be read in the column test"),
    Rule("p", "warning", "the printed p does not follow from the correlation and n"),
    Rule("as-printed", "warning", "the wording holds another number than the value"),
    Rule("wording-statistic", "warning", "the wording gives the value to another statistic, such as β"),
    Rule("locator", "warning", "a new row read in a table or text does not say in which"),
    Rule("prediction", "warning", "a new correlation lies far from those of other studies, given its n"),
    Rule("informants", "warning", "one measure of a sample has two informants"),
    Rule("measures-swapped", "warning", "two measures stand at each other's construct"),
    Rule("test-informant", "warning", "somebody reports what measures.csv calls a test"),
    Rule("unit", "warning", "persons report in a row whose cases are schools or classes"),
    Rule("times", "warning", "a longitudinal row without times, or a cross-sectional row of two times"),
    Rule("pair-flag", "warning", "a new pair of one side, such as two outcomes, lacks its flag"),
    Rule("p-as-value", "warning", "a new correlation is so small or fine that it may be a p value"),
    Rule("country", "warning", "a new sample names its country otherwise than others do, or names none"),
    Rule("measure-construct", "warning", "one measure of a sample stands at two constructs"),
    Rule("n-is-year", "warning", "the size of a new sample is the year of its work"),
    Rule("part-size", "warning", "a sample is as large as the whole it is a part of, or larger"),
    Rule("interval-level", "warning", "the interval is as narrow as one of 90 %, where 95 % is meant"),
    Rule("clusters", "warning", "a new row from several schools or classes has no effective n and no ICC"),
    Rule("se-of-z", "warning", "the standard error is that of Fisher's z, not that of r"),
    Rule("parts", "warning", "samples add up to another one: are they its parts?"),
    Rule("triple", "error", "three correlations of one sample that cannot all be true"),
    Rule("n-differs", "warning", "the sizes given for one sample are more than a tenth apart"),
    Rule("same-sample", "warning", "another sample has the same n and the same correlation: is it the same study?"),
    Rule("near-copy", "warning", "another sample has three or more of the same correlations and nearly the same n"),
    Rule("share", "warning", "a per cent value of 1 or less may be a share, 0 to 1"),
    Rule("age", "warning", "the mean age does not fit the school level"),
    Rule("measure-unknown", "warning", "the measure of a mean is not in measures.csv"),
    Rule("n-above-sample", "warning", "the n of a mean is larger than its sample"),
    Rule("mean-form", "warning", "a mean or standard deviation given as a bound or in per cent"),
    Rule("mean-outside", "error", "the mean lies outside its scale"),
    Rule("sd-not-positive", "error", "the standard deviation is below 0, or 0 where a correlation was computed"),
    Rule("sd-too-large", "error", "the standard deviation is larger than the scale allows"),
    Rule("sd-is-se", "warning", "the standard deviation is so small that it may be a standard error"),
    Rule("grim", "warning", "no n whole-number answers have this mean"),
    Rule("coders-differ", "warning", "two coders disagree and nobody has settled it"),
    Rule("coded-alone", "warning", "a row that not every coder has"),
    Rule("not-as-coded", "warning", "the table holds another value than the coders agreed on or settled"),
    Rule(
        "answer-unneeded",
        "warning",
        "answers.toml answers a question that nobody asks, or asks about other numbers",
    ),
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
class Query:
    """A question about a row: what looks wrong, in words, and the ids of the rows an answer has to name."""

    problem: Problem
    rows: tuple[str, ...]

    @property
    def text(self) -> str:
        """What is asked, with the numbers it rests on: an answer holds for this question and for no other."""
        return f"{self.problem.found}; expected {self.problem.expected}"[:_LONGEST].strip()

    @classmethod
    def about(
        cls, place: Place, column: str, rule: str, found: object, expected: str, hint: str, *others: str
    ) -> Query:
        """A query by one of the rules; `others` are further rows it is about."""
        text = found if isinstance(found, str) else shown(found)
        severity = RULES[rule].severity
        problem = Problem(place.file, place.line, column, rule, text, expected, hint, severity)
        # All rows a question is about belong to its answer: changing any of them asks it anew.
        return cls(problem, (place.row, *others))

    def at(self, place: Place) -> Query:
        """The same question about the row at another place."""
        said = self.problem
        problem = Problem(
            place.file, place.line, said.column, said.rule, said.found, said.expected, said.hint, said.severity
        )
        return Query(problem, (place.row, *self.rows[1:]))
