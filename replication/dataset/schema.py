"""What each column of each table means and may hold, and the closed vocabularies its words come from.

The codebook, the checks, the templates and the workbook are all made from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

__all__ = [
    "SETTLED",
    "TABLES",
    "Column",
    "Construct",
    "Table",
    "Vocabulary",
    "boolean",
    "integer",
    "key",
    "number",
    "printed",
    "text",
    "word",
    "words",
]

Kind = Literal["text", "key", "number", "integer", "printed", "word", "words", "version"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its meaning, what a cell may hold, whether the column must be there and its cells filled."""

    name: str
    meaning: str
    kind: Kind = "text"
    required: bool = False
    vocabulary: str = ""
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """One kind of CSV file: its file name, its columns, and the column that identifies a row."""

    name: str
    meaning: str
    id: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def by_name(self) -> dict[str, Column]:
        """The columns by name, in order."""
        return {column.name: column for column in self.columns}


def text(name: str, meaning: str, *, required: bool = False) -> Column:
    """Free text."""
    return Column(name, meaning, "text", required)


def key(name: str, meaning: str, *, required: bool = True) -> Column:
    """An identifier: letters, digits, `_`, `-` and `.`; it starts with a letter."""
    return Column(name, meaning, "key", required)


def number(name: str, meaning: str, low: float | None = None, high: float | None = None) -> Column:
    """A number with a decimal point; an empty cell means unknown, never zero."""
    return Column(name, meaning, "number", False, "", low, high)


def integer(name: str, meaning: str, low: float | None = None, *, required: bool = False) -> Column:
    """A whole number without separators."""
    return Column(name, meaning, "integer", required, "", low)


def printed(name: str, meaning: str) -> Column:
    """A number exactly as printed: sign, leading zero and decimals are kept."""
    return Column(name, meaning, "printed")


def word(name: str, meaning: str, vocabulary: str, *, required: bool = False) -> Column:
    """One word of a closed vocabulary."""
    return Column(name, meaning, "word", required, vocabulary)


def words(name: str, meaning: str, vocabulary: str) -> Column:
    """Words of a closed vocabulary, separated by `;`."""
    return Column(name, meaning, "words", False, vocabulary)


def boolean(name: str, meaning: str) -> Column:
    """yes, no or unknown (empty)."""
    return word(name, meaning, "yes_no")


# Tables of works end in these: a row is dated and withdrawn, never changed, so that --as-of can show any version.
_SINCE = Column("since", "dataset version in which the row entered", "version", True)
_UNTIL = Column("until", "dataset version in which the row was withdrawn or replaced; empty while it counts", "version")
_REPLACED_BY = text(
    "replaced_by",
    "id of the row of this table that took a withdrawn row's place (of measures and descriptives: its measure); "
    "analyses follow it, and --as-of follows it back",
)
_NOTE = text("note", "what a reader must know about this row")
_STATUS = word(
    "publication_status",
    "where the result could be found; a row's cell counts before its sample's",
    "publication_status",
)
_CLUSTERS = integer("clusters", "number of clusters (such as classes or clinics) the persons were drawn in", 1)
_ICC = number("icc", "intraclass correlation of the outcome in those clusters", -1, 1)
_GRADE = text("grade", "grade or grades at school, e.g. 8 or 7-9")
_RISK_OF_BIAS = word("risk_of_bias", "risk of bias as judged by a coder, with the reason in note", "risk_of_bias")
_ABOUT = words("about", "findings on whose page this result is listed", "claim_about")
# Not low and high of the column: betas and other statistics in it may lie beyond 1.
_PEARSON = "for r between -1 and 1"

_EFFECTS = Table(
    "effects.csv",
    "One association a row, with the place where it was read.",
    ("effect_id",),
    (
        key("effect_id", "stable id, unique in the whole dataset"),
        key("sample_id", "sample of `samples.csv` it comes from"),
        word("var_a", "first construct", "construct", required=True),
        word("var_b", "second construct", "construct", required=True),
        word("statistic", "which statistic the value is", "effect_statistic", required=True),
        Column("value", f"the value as printed or computed; {_PEARSON}", "number", True),
        # At least 4: Fisher's z has the variance 1 / (n - 3).
        integer("n", "persons (or units) behind this value", 4, required=True),
        number(
            "n_effective",
            "n after the survey design, for the variance 1 / (n_effective - 3) of Fisher's z: of value_weighted where "
            "there is one, else of value",
            4,
        ),
        number(
            "value_weighted", "the same with the survey's weights: the main figure where the file has weights", -1, 1
        ),
        number("n_effective_df", "degrees of freedom of the design-based variance behind n_effective", 0),
        number(
            "n_effective_unweighted", "n after clusters and strata, of value where value_weighted stands beside it", 1
        ),
        number("concordant", "share of pairs of persons in which the one with more of a has more of b, too", 0, 1),
        number("tied", "share of pairs of persons in which both have the same answer to a or to b", 0, 1),
        # May be negative: estimators of it go below 0 where clusters differ less than chance has it.
        number("icc_a", "intraclass correlation of the first measure, in a row of persons within clusters", -1, 1),
        number("icc_b", "intraclass correlation of the second measure", -1, 1),
        number("contextual", "slope between clusters less slope within, of b on a, in total standard deviations"),
        number("contextual_se", "standard error of contextual, by a jackknife over clusters", 0),
        number("se", "standard error as printed", 0),
        number("ci_low", "lower end of the interval as printed"),
        number("ci_high", "upper end of the interval as printed"),
        text("test", "the test printed beside the value, e.g. t(118) = 2.31 or F(1, 118) = 5.34"),
        # As printed and not as a number: "<.001" is a statement that no number carries.
        printed("p", "the p value as printed, e.g. <.001 or .03"),
        text("conversion", "how the value was made, where another statistic is printed (formula and assumptions)"),
        text("measure_a", "which measure of the first construct (see `measures.csv` where there is one)"),
        text("measure_b", "which measure of the second construct"),
        word("informant_a", "who reports the first", "informant"),
        word("informant_b", "who reports the second", "informant"),
        word("design", "when the two were measured", "design"),
        text("time_a", "when the first was measured: wave, date or grade, in the source's words"),
        text("time_b", "when the second was measured"),
        number("lag", "months from the first measurement to the second; 0 at one time, negative where b came first"),
        text("covariates", "what the value is adjusted for, separated by `;`; empty for a plain association"),
        word("unit", "what one case of this row is, where it is another than its sample's", "unit"),
        _CLUSTERS,
        _ICC,
        _GRADE,
        _STATUS,
        _RISK_OF_BIAS,
        key(
            "part_of",
            "the row this one is a part of (a subscale of its measure, some of its persons): never pool both",
            required=False,
        ),
        boolean("diagonal_a_missing", "the source's matrix has NA on the diagonal of the first variable"),
        boolean("diagonal_b_missing", "the same for the second variable"),
        text("used_in", "published analyses this row is part of, as work keys separated by `;`"),
        words("flags", "reservations", "flag"),
        text("as_printed", "literal wording of the value where available"),
        text("source", "address or file where it was read"),
        text("locator", "page, table or section"),
        word("reading", "grade of reading", "reading", required=True),
        _SINCE,
        _UNTIL,
        _REPLACED_BY,
        _NOTE,
    ),
)

_SAMPLES = Table(
    "samples.csv",
    "One independent group of persons a row, or of groups where these are the unit.",
    ("sample_id",),
    (
        key("sample_id", "stable id, unique in the whole dataset"),
        text("label", "readable name"),
        integer("n", "size of the sample; empty where only its rows have an n", 1),
        word("unit", "what one case is; units are never pooled with each other", "unit", required=True),
        text("country", "country, or the survey's country code"),
        text("cycle", "year or cycle of the survey"),
        word("school_level", "school level", "school_level"),
        number("age_mean", "mean age in years", 0, 120),
        number("female_pct", "girls or women in per cent", 0, 100),
        number("ses", "per cent of low socio-economic status (above 50: majority)", 0, 100),
        boolean("oecd", "OECD member in that cycle, where the file says"),
        integer("schools", "number of schools", 1),
        key("subgroup_of", "the sample this one is a part of: never pool both", required=False),
        # Known overlap decides what may be pooled, and a count of shared persons how far rows depend on each other.
        key("overlaps", "a sample with which it shares clusters or persons", required=False),
        integer("shared_n", "persons it shares with the sample in overlaps; 0 where only clusters are shared", 0),
        _CLUSTERS,
        _ICC,
        _GRADE,
        _STATUS,
        _RISK_OF_BIAS,
        word("sampling", "how the persons of an open file were come by", "sampling"),
        number("response_pct", "share of those asked who took part, in per cent", 0, 100),
        text("source", "file or address"),
        _SINCE,
        _UNTIL,
        _REPLACED_BY,
        _NOTE,
    ),
)

_MEASURES = Table(
    "measures.csv",
    "What a measure code in `effects.csv` stands for.",
    ("variable", "measure"),
    (
        word("variable", "construct", "construct", required=True),
        Column("measure", "code used in `effects.csv`", "text", True),
        word("form", "one question, an index, a test, or grades", "form", required=True),
        word("facet", "facet of engagement, by this project's judgement from the items", "facet"),
        word("scope", "what a relationship measure asks about, by its items; empty for other constructs", "scope"),
        Column("items", "items and coding", "text", True),
        _SINCE,
        _UNTIL,
        _REPLACED_BY,
    ),
)

_DESCRIPTIVES = Table(
    "descriptives.csv",
    "Mean and standard deviation of one measure in one sample a row, as printed: what plausibility checks need.",
    ("sample_id", "variable", "measure"),
    (
        key("sample_id", "sample of `samples.csv`"),
        word("variable", "construct", "construct", required=True),
        Column("measure", "code used in `effects.csv`", "text", True),
        integer("n", "persons behind this mean", 1),
        printed("mean", "mean as printed"),
        printed("sd", "standard deviation as printed"),
        number("scale_low", "lowest possible score"),
        number("scale_high", "highest possible score"),
        integer("items", "whole-number answers that are averaged into the score (1 for one question or a sum)", 1),
        number("reliability", "Cronbach's alpha or another reliability as printed", 0, 1),
        number("missing_pct", "per cent of the sample without a value of this measure", 0, 100),
        text("source", "address or file where it was read"),
        text("locator", "page, table or section"),
        word("reading", "grade of reading", "reading", required=True),
        _SINCE,
        _UNTIL,
        _REPLACED_BY,
        _NOTE,
    ),
)

_SETTLED = Table(
    "settled.csv",
    "One disagreement of two coders a row: what was decided, by whom and why (in `coders/`).",
    ("table", "row", "column"),
    (
        Column("table", "the file in which they differ, e.g. effects.csv", "text", True),
        Column("row", "the id of the row", "text", True),
        Column("column", "the column", "text", True),
        text("settled", "the value decided on; empty means: the cell stays empty"),
        Column("who", "who decided", "text", True),
        Column("why", "why", "text", True),
    ),
)

_CLAIMS = Table(
    "claims.csv",
    "One published number a row, exactly as printed.",
    ("claim_id",),
    (
        key("claim_id", "stable id, unique in the whole dataset"),
        Column("quantity", "what the number is; the same words across works", "text", True),
        text("subgroup", "for which part of the studies"),
        _ABOUT,
        # Keys beside the words: a quantity may be worded better at any time, and no analysis loses its number by that.
        word("quantity_key", "name by which analyses ask for this number; empty where they do not", "claim_quantity"),
        word("subgroup_key", "name by which analyses ask for this part of the studies", "claim_subgroup"),
        word("statistic", "which statistic", "claim_statistic", required=True),
        # Kept as text, as its decimals are the interval that ours is compared with.
        printed("printed", "the value as printed; empty where the print cannot be read"),
        printed("ci_low", "lower end of the interval as printed"),
        printed("ci_high", "upper end of the interval as printed"),
        printed("se", "standard error as printed"),
        text("df", "degrees of freedom as printed"),
        text("p", "p value as printed, or the words in its place (n.s.)"),
        integer("k", "studies behind the value", 0),
        integer("n", "persons behind the value", 1),
        text("as_printed", "literal wording where available"),
        text("source_url", "address where it was read"),
        text("printed_by", "who printed it, where that is not the work itself: a news item, a summary page"),
        Column("locator", "where in the source", "text", True),
        word("reading", "grade of reading", "reading", required=True),
        _SINCE,
        _UNTIL,
        _REPLACED_BY,
        _NOTE,
    ),
)

_DIRECTIONS = Table(
    "directions.csv",
    "Associations of which only the direction could be read. They carry no size and enter no pool.",
    ("direction_id",),
    (
        key("direction_id", "stable id"),
        Column("association", "the association in words; the sign belongs to this wording", "text", True),
        word("predictor_construct", "kind of predictor", "predictor", required=True),
        word("outcome_domain", "kind of outcome", "outcome", required=True),
        word("direction", "sign", "direction", required=True),
        _ABOUT,
        word("level", "level of analysis", "level", required=True),
        text("where_to_find", "where the coefficient would stand"),
        word("reading", "grade of reading", "reading", required=True),
        _SINCE,
        _UNTIL,
        _REPLACED_BY,
        _NOTE,
    ),
)

_CONCEPTUAL = Table(
    "conceptual.csv",
    "One result of a conceptual replication a row: the work's question asked of an open file, computed here.",
    ("estimate_id",),
    (
        key("estimate_id", "stable id, unique in the whole dataset"),
        key("record", "which record of `conceptual.toml` it comes from"),
        Column("outcome", "what is explained: a measure of the record, or a role", "text", True),
        number("cut", "from which value on the outcome, or the role, counts"),
        word("scale", "on which scale the estimate is", "model_scale", required=True),
        Column("term", "which term of the model", "text", True),
        Column("estimate", "as computed", "number", True),
        Column("ci_low", "lower end of the 95 per cent interval", "number", True),
        Column("ci_high", "upper end", "number", True),
        integer("n", "persons in the model", 4, required=True),
        integer("clusters", "clusters; empty where the file has none", 2),
        word("expected", "the sign the work's own result leads one to expect", "direction"),
        text("direction_ids", "rows of `directions.csv` it is set against, separated by `;`"),
        _SINCE,
        _UNTIL,
        _REPLACED_BY,
        _NOTE,
    ),
)

_SCREENED = Table(
    "screened.csv",
    "Associations that were read and not taken into the dataset, with the reason: the screening log.",
    ("effect_id",),
    (
        key("effect_id", "stable id"),
        key("work", "work it was read in"),
        word("screen", "why it is not used", "screen", required=True),
        words("flags", "reservations", "flag"),
        Column("citation", "reference as noted", "text", True),
        text("doi", "DOI"),
        text("year", "year"),
        key("sample_id", "sample"),
        integer("n", "n", 1),
        text("country", "country"),
        word("school_level", "school level", "school_level"),
        number("age_mean", "mean age", 0, 120),
        number("female_pct", "girls in per cent", 0, 100),
        word("design", "design", "design"),
        word("predictor_construct", "kind of predictor", "predictor", required=True),
        text("predictor_measure", "measure"),
        word("predictor_informant", "who reports it", "informant"),
        word("outcome_domain", "kind of outcome", "outcome", required=True),
        text("outcome_measure", "measure"),
        word("outcome_informant", "who reports it", "informant"),
        Column("statistic", "statistic as named", "text", True),
        text("value", "value as printed"),
        text("ci_low", "lower end"),
        text("ci_high", "upper end"),
        text("se", "standard error"),
        text("as_printed", "literal wording"),
        text("source_url", "address"),
        text("locator", "where in the source"),
        _SINCE,
        _UNTIL,
        _REPLACED_BY,
        _NOTE,
    ),
)

_LEADS = Table(
    "leads.csv",
    "Primary studies whose n is known and whose effect stands in the full text.",
    ("lead_id",),
    (
        key("lead_id", "stable id"),
        Column("study", "study", "text", True),
        integer("n", "sample size as noted", 1),
        text("where", "country"),
        Column("address", "DOI or address", "text", True),
        _SINCE,
        _UNTIL,
        _REPLACED_BY,
    ),
)

TABLES: Mapping[str, Table] = MappingProxyType(
    {
        t.name: t
        for t in (_EFFECTS, _SAMPLES, _MEASURES, _DESCRIPTIVES, _CLAIMS, _DIRECTIONS, _CONCEPTUAL, _SCREENED, _LEADS)
    }
)
"""Every kind of CSV file, by file name."""

FOR_ANALYSES: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(("quantity_key", "subgroup_key"), "filled in by whoever writes an analysis that asks for the number")
)
"""Columns that nobody is asked for who codes a work, with why."""

_NOT_NEEDED = ("claim_about", "claim_quantity", "claim_subgroup")
"""Lists that a topic may be without: nothing is then listed under a finding, or asked for by key."""

SETTLED = _SETTLED
"""The record of settled disagreements, beside the coders' folders."""


@dataclass(frozen=True, slots=True)
class Construct:
    """What a variable measures. `valence` is +1 where more is better for the person and -1 where more is worse.

    `everyday` marks an outcome near enough to a bell curve, without many ties, for a sentence on two random persons:
    1/2 + asin(r)/pi needs a bivariate normal distribution.
    """

    name: str
    label: str
    label_nb: str
    short: str
    side: Literal["exposure", "outcome", "covariate"]
    valence: int
    everyday: bool = False


_PAIR_FLAGS = {"exposure": "rel_x_rel", "outcome": "out_x_out"}


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Word lists by name, and the constructs.

    `left_out` are optional columns that this topic has no use for, with why: templates, workbook, form and codebook do
    not show them. They stay in the schema, so that every check and every view is the same for all topics.
    """

    lists: Mapping[str, Mapping[str, str]]
    constructs: Mapping[str, Construct]
    left_out: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_toml(cls, record: Mapping[str, object]) -> Vocabulary:
        """Read the parsed `vocabulary.toml`; raises KeyError or TypeError where it is malformed."""
        lists: dict[str, Mapping[str, str]] = {}
        constructs: dict[str, Construct] = {}
        for name, words in record.items():
            if not isinstance(words, Mapping):
                raise TypeError(f"[{name}] must be a table of words")
            if name == "construct":
                constructs = {str(word): _construct(str(word), fields) for word, fields in words.items()}
            else:
                lists[name] = {str(word): str(meaning) for word, meaning in words.items()}
        lists["construct"] = {name: construct.label for name, construct in constructs.items()}
        for name in _NOT_NEEDED:
            lists.setdefault(name, {})
        _check_stands_for(lists)
        left_out = lists.pop("left_out", {})
        _check_left_out(left_out)
        return cls(lists, constructs, left_out)

    def shown(self, table: Table) -> tuple[Column, ...]:
        """The columns of a table that this topic uses."""
        return tuple(column for column in table.columns if column.name not in self.left_out)

    @property
    def shown_lists(self) -> dict[str, Mapping[str, str]]:
        """The word lists, without those that only columns left out hold words of."""
        gone, kept = set[str](), set[str]()
        for column in (column for table in TABLES.values() for column in table.columns):
            (gone if column.name in self.left_out else kept).add(column.vocabulary)
        return {name: words for name, words in self.lists.items() if name not in gone - kept and words}

    @property
    def for_coders(self) -> Vocabulary:
        """The vocabulary of those who code a work: without the columns that only analyses ask for."""
        return replace(self, left_out={**FOR_ANALYSES, **self.left_out})

    def words(self, name: str) -> tuple[str, ...]:
        """The words of one list."""
        return tuple(self.lists[name])

    @property
    def person(self) -> str:
        """The unit that is one person: the first word of the list [unit]. Findings pool its rows and no others."""
        return self.words("unit")[0]

    def stands_for(self, word: str) -> tuple[str, ...]:
        """What a broader word says in the words of constructs and units, by the list [stands_for]; itself if not there.

        A word that is no construct and no unit, such as an outcome of which no sample is held, says nothing: ().
        """
        said = self.lists.get("stands_for", {}).get(word, word).split(", ")
        return tuple(name for name in said if name in self.constructs or name in self.lists.get("unit", ()))

    def expected_sign(self, a: str, b: str) -> int:
        """+1 or -1: the sign expected of a correlation if good goes with good."""
        return self.constructs[a].valence * self.constructs[b].valence

    def pair_flag(self, a: str, b: str) -> str:
        """The flag of two constructs that are both exposures or both outcomes, which no effect is; else ""."""
        sides = {self.constructs[a].side, self.constructs[b].side}
        flag = _PAIR_FLAGS.get(sides.pop(), "") if len(sides) == 1 else ""
        return flag if flag in self.words("flag") else ""


def _check_stands_for(lists: Mapping[str, Mapping[str, str]]) -> None:
    for word, said in lists.get("stands_for", {}).items():
        for name in said.split(", "):
            if name not in lists["construct"] and name not in lists.get("unit", {}):
                raise TypeError(f'[stands_for] {word} says "{name}", which is neither in [construct] nor in [unit]')


def _check_left_out(left_out: Mapping[str, str]) -> None:
    """Only columns that may be empty can be left out."""
    columns: dict[str, bool] = {}
    for column in (column for table in TABLES.values() for column in table.columns):
        columns[column.name] = columns.get(column.name, False) or column.required
    for name in left_out:
        if columns.get(name, True):
            why = "must be filled" if name in columns else "is no column of any table"
            raise TypeError(f"[left_out] names {name}, which {why}")


def _construct(name: str, fields: Mapping[str, object]) -> Construct:
    try:
        construct = Construct(name=name, **fields)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(
            f"[construct.{name}] must have label, label_nb, short, side and valence, and may have everyday"
        ) from None
    if construct.valence not in (-1, 1):
        raise TypeError(f"[construct.{name}] valence must be 1 or -1")
    if construct.side not in ("exposure", "outcome", "covariate"):
        raise TypeError(f'[construct.{name}] side must be "exposure", "outcome" or "covariate"')
    if not isinstance(construct.everyday, bool):
        raise TypeError(f"[construct.{name}] everyday must be true or false")
    if not all(isinstance(text, str) for text in (construct.label, construct.label_nb, construct.short)):
        raise TypeError(f"[construct.{name}] label, label_nb and short must be text in quotes")
    return construct
