"""What students mistype, kind by kind, planted into invented studies: how many kinds the check says or asks about.

Each study is simulated anew, so that its numbers agree as those of an honest article do: correlations, p values and
intervals, means and standard deviations. Then one slip is made in it. A study without a slip must raise no question but
that of a sign that chance has turned. With `-s`, pytest prints the shares and what was missed.
"""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from replication import paths
from replication.effects.correlation import back_to_r, fisher_z_variance, to_fisher_z
from replication.models.probability import NORMAL_95, normal_isf, t_sf
from replication.study.checking import check_study
from tests.data.small import BIB, SAMPLES, WORK, Small

KEY, SINCE = "gamma2024", "1.1.0"
Row = dict[str, str]
Tables = dict[str, list[Row]]
VARIABLES = (  # construct, measure, informant, population mean, sd, scale
    ("positive", "closeness", "student", 3.4, 0.7, 1, 5),
    ("negative", "conflict", "teacher", 1.9, 0.6, 1, 5),
    ("engagement", "interest", "student", 3.2, 0.6, 1, 5),
    ("achievement", "reading test", "test", 50.0, 9.0, 0, 100),
    ("perpetration", "nominations", "peer", 2.1, 0.5, 1, 4),
)
POPULATION = np.array(
    [
        [1.0, -0.34, 0.40, 0.21, -0.22],
        [-0.34, 1.0, -0.27, -0.24, 0.33],
        [0.40, -0.27, 1.0, 0.31, -0.20],
        [0.21, -0.24, 0.31, 1.0, -0.18],
        [-0.22, 0.33, -0.20, -0.18, 1.0],
    ]
)
FLAGS = {frozenset((0, 1)): "rel_x_rel", **{frozenset(p): "out_x_out" for p in itertools.combinations((2, 3, 4), 2)}}


def printed(value: float, decimals: int = 2) -> str:
    """A correlation as journals print it, without the zero before the point."""
    return f"{value:.{decimals}f}".replace("0.", ".", 1)


def study(seed: int, *, full: bool) -> Tables:
    """An honest article: five variables of one simulated group, with everything printed, or r and n alone."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(160, 420))
    r = np.corrcoef(rng.multivariate_normal(np.zeros(5), POPULATION, n).T)
    sample = {"sample_id": f"{KEY}_s1", "label": "Grade 8", "n": str(n), "unit": "student", "country": "Norway"}
    sample |= {"school_level": "secondary", "age_mean": "13.6", "female_pct": "51", "since": SINCE}
    effects = [
        effect(i, a, b, r[a, b], n, full=full) for i, (a, b) in enumerate(itertools.combinations(range(5), 2), 1)
    ]
    tables = {"samples.csv": [sample], "effects.csv": effects}
    if full:
        tables["descriptives.csv"] = [descriptive(variable, n, rng) for variable in VARIABLES]
        tables["claims.csv"] = [claim(r[0, 2], n)]
    return tables


def effect(number: int, a: int, b: int, r: float, n: int, *, full: bool) -> Row:
    first, second = VARIABLES[a], VARIABLES[b]
    row = {"effect_id": f"{KEY}-{number:03d}", "sample_id": f"{KEY}_s1", "var_a": first[0], "var_b": second[0]}
    row |= {"statistic": "r", "value": printed(r), "n": str(n), "informant_a": first[2], "informant_b": second[2]}
    row |= {"measure_a": first[1], "measure_b": second[1], "design": "cross-sectional", "reading": "table"}
    row |= {"locator": "Table 2, p. 7", "flags": FLAGS.get(frozenset((a, b)), ""), "since": SINCE}
    if full:
        half = NORMAL_95 * np.sqrt(fisher_z_variance(n))
        low, high = (printed(float(back_to_r(to_fisher_z(r) + side * half))) for side in (-1, 1))
        p = 2 * float(t_sf(abs(r) * np.sqrt((n - 2) / (1 - r**2)), n - 2))
        row |= {"ci_low": low, "ci_high": high, "p": "<.001" if p < 0.001 else printed(p, 3)}
        row |= {"as_printed": f"r = {printed(r)}"}
    return row


def descriptive(variable: tuple[str, str, str, float, float, int, int], n: int, rng: np.random.Generator) -> Row:
    name, measure, _, mean, sd, low, high = variable
    row = {"sample_id": f"{KEY}_s1", "variable": name, "measure": measure, "n": str(n), "scale_low": str(low)}
    row |= {
        "scale_high": str(high),
        "mean": f"{rng.normal(mean, sd / 9):.2f}",
        "sd": f"{sd * rng.uniform(0.9, 1.1):.2f}",
    }
    return row | {
        "reliability": printed(rng.uniform(0.74, 0.93)),
        "locator": "Table 1",
        "reading": "table",
        "since": SINCE,
    }


def claim(r: float, n: int) -> Row:
    half = NORMAL_95 * np.sqrt(fisher_z_variance(n))
    low, high = (printed(float(back_to_r(to_fisher_z(r) + side * half))) for side in (-1, 1))
    row = {"claim_id": f"{KEY}-c01", "quantity": "correlation: positive relationship with engagement", "statistic": "r"}
    row |= {"printed": printed(r), "ci_low": low, "ci_high": high, "n": str(n), "k": "1", "p": "<.001"}
    return row | {"locator": "p. 8", "reading": "text", "since": SINCE}


Slip = Callable[[Tables], None]


def cell(table: str, column: str, value: str | Callable[[str], str], row: int = 1) -> Slip:
    """One cell typed otherwise."""

    def make(tables: Tables) -> None:
        old = tables[f"{table}.csv"][row].get(column, "")
        new = value if isinstance(value, str) else value(old)
        assert new != old
        tables[f"{table}.csv"][row][column] = new

    return make


def every(table: str, column: str, value: str) -> Slip:
    """A column filled wrongly from top to bottom."""

    def make(tables: Tables) -> None:
        for row in tables[f"{table}.csv"]:
            row[column] = value

    return make


def taken(column: str, from_column: str, row: int = 1, of_row: int | None = None) -> Slip:
    """A cell copied from a neighbour: the next column, or another row."""

    def make(tables: Tables) -> None:
        rows = tables["effects.csv"]
        rows[row][column] = rows[row if of_row is None else of_row][from_column]

    return make


def swapped(table: str, one: str, other: str, row: int = 1) -> Slip:
    def make(tables: Tables) -> None:
        cells = tables[f"{table}.csv"][row]
        cells[one], cells[other] = cells.get(other, ""), cells.get(one, "")

    return make


def turned(text: str) -> str:
    """Two digits in the wrong order, where that changes something."""
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    return f"{sign}{digits[:-2]}{digits[-1]}{digits[-2]}"


def minus(text: str) -> str:
    return text[1:] if text.startswith("-") else f"-{text}"


def again(**changed: str) -> Slip:
    """A row entered twice, the second time with a few other cells."""

    def make(tables: Tables) -> None:
        rows = tables["effects.csv"]
        rows.append({**rows[1], "effect_id": f"{KEY}-099", **changed})

    return make


def groups(first: int, second: int, *, pasted: bool, of: str = "") -> Slip:
    """Boys and girls beside the whole group: undeclared parts, or the boys' numbers in the rows of the girls."""

    def make(tables: Tables) -> None:
        whole = tables["samples.csv"][0]
        n = int(whole["n"])
        sizes = {"boys": n * first // 100, "girls": n - n * first // 100 if second == 0 else n * second // 100}
        other = study(991, full=False)["effects.csv"], study(991 if pasted else 992, full=False)["effects.csv"]
        for (name, size), source in zip(sizes.items(), other, strict=True):
            sample = f"{KEY}_{name}"
            tables["samples.csv"].append(
                {**whole, "sample_id": sample, "label": name, "n": str(size), "subgroup_of": of}
            )
            for row in source:
                mine = {"effect_id": f"{row['effect_id']}-{name}", "sample_id": sample, "n": str(size)}
                tables["effects.csv"].append({**row, **mine, "since": SINCE})

    return make


def both(*slips: Slip) -> Slip:
    def make(tables: Tables) -> None:
        for slip in slips:
            slip(tables)

    return make


def copied(n: int) -> Slip:
    """The numbers of a study that is held already, under another name."""

    def make(tables: Tables) -> None:
        held = background(3)
        tables["samples.csv"][0]["n"] = str(int(held[0]["n"]) + n)
        for row, other in zip(tables["effects.csv"], held, strict=True):
            row["value"], row["n"] = other["value"], str(int(other["n"]) + n)
            for column in ("p", "ci_low", "ci_high", "as_printed"):
                row.pop(column, None)

    return make


def p_values(tables: Tables) -> None:
    """The column beside r taken for r: two decimals each, so that no digit tells."""
    for row, p in zip(tables["effects.csv"], itertools.cycle((".01", ".03", ".00", ".12")), strict=False):
        row["value"] = p


def one_row_down(tables: Tables) -> None:
    """Every value beside the pair below its own."""
    rows = tables["effects.csv"]
    for row, value in zip(rows, [rows[-1]["value"], *(row["value"] for row in rows)], strict=False):
        row["value"] = value


def whole_size(tables: Tables) -> None:
    """Boys and girls, each with the n of the whole study."""
    groups(48, 0, pasted=False, of=f"{KEY}_s1")(tables)
    for row in (*tables["samples.csv"], *tables["effects.csv"]):
        row["n"] = tables["samples.csv"][0]["n"]


def everywhere(n: str) -> Slip:
    def make(tables: Tables) -> None:
        for row in (*tables["samples.csv"], *tables["effects.csv"]):
            row["n"] = n

    return make


def row_above(tables: Tables) -> None:
    """A row made of a copy of the one above, of which only the construct was typed anew."""
    rows = tables["effects.csv"]
    rows[2] |= {name: rows[1][name] for name in ("value", "measure_b")}


def intervals(level: float, *, of_z: bool = False) -> Slip:
    """Intervals of another level than 95 %, or with their ends left on the scale of Fisher's z."""

    def make(tables: Tables) -> None:
        for row in tables["effects.csv"]:
            z, half = (
                to_fisher_z(float(row["value"])),
                normal_isf((1 - level) / 2) * np.sqrt(fisher_z_variance(int(row["n"]))),
            )
            ends = (float(z + side * half) for side in (-1, 1))
            row["ci_low"], row["ci_high"] = (printed(end if of_z else float(back_to_r(end))) for end in ends)

    return make


def one_sided(tables: Tables) -> None:
    """Every p halved, as a one-sided test has it."""
    for row in tables["effects.csv"]:
        row["p"] = row["p"] if row["p"].startswith("<") else printed(float(row["p"]) / 2, 3)


def every_swapped(table: str, one: str, other: str) -> Slip:
    def make(tables: Tables) -> None:
        for row in range(len(tables[f"{table}.csv"])):
            swapped(table, one, other, row)(tables)

    return make


BARE: dict[str, Slip] = {
    # a correlation (of row 2, positive relationship with engagement, where nothing else is said)
    "two digits of r swapped": cell("effects", "value", ".73"),
    "minus lost": cell("effects", "value", minus, 4),
    "minus added": cell("effects", "value", minus),
    "minus lost, perpetration": cell("effects", "value", minus, 3),
    "decimal point one place right": cell("effects", "value", lambda r: f"-{r[2:3]}.{r[3:]}", 4),
    "decimal point lost": cell("effects", "value", lambda r: r.replace(".", "")),
    "digit twice (.355)": cell("effects", "value", ".95"),
    "a mean in place of r": cell("effects", "value", "3.42"),
    "per cent sign": cell("effects", "value", "31%"),
    "n.s. in place of a number": cell("effects", "value", "n.s."),
    "empty cell": cell("effects", "value", ""),
    "zero for an empty cell": cell("effects", "value", "0"),
    "a p value in place of r": cell("effects", "value", ".001", 4),
    "a p value of three decimals": cell("effects", "value", ".032", 1),
    "the column of p values": p_values,
    "the values one row down": one_row_down,
    "r squared in place of r": cell("effects", "value", ".16"),
    "a dash for r": cell("effects", "value", "–"),
    "stars kept with the number": cell("effects", "value", lambda r: f"{r}**"),
    "letter O for zero": cell("effects", "value", ".O5"),
    "diagonal entered as a row": again(var_a="engagement", measure_a="interest", value="1.00", informant_a="student"),
    "alpha entered as r": again(var_a="engagement", measure_a="interest", value=".91", informant_a="student"),
    "a date eaten from 3.12": cell("effects", "value", "03.des"),
    "a date in a range": cell("effects", "value", "2024-05-08"),
    "scientific n": cell("effects", "n", "4.12E+02"),
    "hash signs of a narrow column": cell("effects", "value", "####"),
    "a formula's error": cell("effects", "value", "#REF!"),
    "decimal comma among points": cell("effects", "value", lambda r: r.replace(".", "0,")),
    "both separators": cell("effects", "value", "0.,34"),
    "hidden sign in a number": cell("effects", "value", lambda r: f"\u200b{r}"),
    "β in the wording": both(cell("effects", "value", ".36"), cell("effects", "as_printed", "β = .36")),
    "another number in the wording": cell("effects", "as_printed", "r = .28"),
    # n
    "digit of n lost": cell("effects", "n", lambda n: n[:-1]),
    "digit of n twice": cell("effects", "n", lambda n: n + n[-1]),
    "n of another study": cell("effects", "n", "1310"),
    "n with a comma of thousands": cell("effects", "n", "1,214"),
    "n with decimals": cell("effects", "n", "214.5"),
    "n below what an r needs": cell("effects", "n", "2"),
    "degrees of freedom with text": cell("effects", "n", "df = 212"),
    "n with a German point of thousands": cell("effects", "n", "1.214"),
    "the year of the work as n": everywhere("2020"),
    "n of the whole study in its parts": whole_size,
    "n of a later wave in some rows": cell("effects", "n", lambda n: str(int(n) * 7 // 10)),
    "r in per cent": cell("effects", "value", "34"),
    "r and n swapped": swapped("effects", "value", "n"),
    "a range in place of r": cell("effects", "value", ".31-.36"),
    # words and places
    "measure of the row above left standing": cell("effects", "measure_b", "interest", 2),
    "a row copied from the one above": row_above,
    "construct misspelt": cell("effects", "var_b", "engagment"),
    "conflict coded as positive": cell("effects", "var_a", "positive", 4),
    "statistic misspelt": cell("effects", "statistic", "Pearson"),
    "wrong informant": cell("effects", "informant_a", "parent", 4),
    "informants swapped": swapped("effects", "informant_a", "informant_b", 4),
    "measures swapped": swapped("effects", "measure_a", "measure_b", 1),
    "informant misspelt": cell("effects", "informant_a", "pupil"),
    "locator missing": cell("effects", "locator", ""),
    "grade of reading missing": cell("effects", "reading", ""),
    "grade of reading of another column": cell("effects", "reading", "Table 2"),
    "flag missing between two outcomes": cell("effects", "flags", "", 7),
    "flag unknown": cell("effects", "flags", "rel-x-rel", 0),
    "unit school for students": cell("effects", "unit", "school"),
    "unit in the sample": cell("samples", "unit", "school", 0),
    "unit misspelt": cell("samples", "unit", "students", 0),
    "design misspelt": cell("effects", "design", "cross sectional"),
    "longitudinal without times": every("effects", "design", "longitudinal"),
    "times in a cross-sectional row": both(cell("effects", "time_a", "T1"), cell("effects", "time_b", "T2")),
    "version missing": cell("effects", "since", ""),
    "version of far away": cell("effects", "since", "9.1.0"),
    "mojibake": cell("samples", "label", "LÃ¸vlie skole", 0),
    # rows
    "a row twice": again(),
    "a pair turned round": again(
        var_a="engagement", var_b="positive", measure_a="interest", measure_b="closeness", value=".21"
    ),
    "an id twice": cell("effects", "effect_id", f"{KEY}-003", 3),
    "unknown sample": cell("effects", "sample_id", f"{KEY}_s2"),
    "sample missing": cell("effects", "sample_id", ""),
    "boys' numbers pasted into the girls'": groups(49, 0, pasted=True, of=f"{KEY}_s1"),
    "whole, boys and girls as three groups": groups(48, 0, pasted=False),
    "a study that is held already": copied(0),
    "a study that is held already, other n": copied(2),
    # the sample
    "country missing": cell("samples", "country", "", 0),
    "city for country": cell("samples", "country", "Oslo", 0),
    "age in months": cell("samples", "age_mean", "163", 0),
    "country by its code": cell("samples", "country", "NOR", 0),
    "country in another language": cell("samples", "country", "Norge", 0),
    "country misspelt": cell("samples", "country", "Norwey", 0),
    "age with a digit too many": cell("samples", "age_mean", "136", 0),
    "age of another school level": cell("samples", "age_mean", "7.1", 0),
    "share for per cent": cell("samples", "female_pct", ".51", 0),
    "per cent beyond a hundred": cell("samples", "female_pct", "510", 0),
    "sample smaller than its rows": cell("samples", "n", lambda n: n[:-1], 0),
    "sample of no one": cell("samples", "n", "0", 0),
    "more clusters than persons": cell("effects", "clusters", "9000"),
    "ICC beyond one": cell("effects", "icc", "6"),
    "more effective persons than there are": cell("effects", "n_effective", "9999"),
    "part of an unknown sample": cell("samples", "subgroup_of", f"{KEY}_all", 0),
}
"""Slips that need nothing but r and n: most articles print no more."""
FULL: dict[str, Slip] = {
    "p one digit off": cell("effects", "p", ".3"),
    "p beyond one": cell("effects", "p", "1.2"),
    "interval swapped": swapped("effects", "ci_low", "ci_high"),
    "minus lost in an interval": cell("effects", "ci_low", minus, 4),
    "interval of another row": both(taken("ci_low", "ci_low", 4, 1), taken("ci_high", "ci_high", 4, 1)),
    "one end of an interval missing": cell("effects", "ci_high", ""),
    "r of the row below": both(taken("value", "value", 1, 4), cell("effects", "as_printed", "")),
    "intervals of 90 %": intervals(0.9),
    "intervals of 99 %": intervals(0.99),
    "intervals left on the scale of z": intervals(0.95, of_z=True),
    "one-sided p": one_sided,
    "p that is r": taken("p", "value"),
    "variance for deviation": cell("descriptives", "sd", "6.1", 0),
    "all means and deviations swapped": every_swapped("descriptives", "mean", "sd"),
    "standard deviation as standard error": cell("effects", "se", ".81"),
    "standard error of z as that of r": both(cell("effects", "value", ".60"), cell("effects", "se", "~z")),
    "mean outside its scale": cell("descriptives", "mean", "34.2"),
    "mean and deviation swapped": swapped("descriptives", "mean", "sd", 0),
    "deviation too large": cell("descriptives", "sd", "7.1"),
    "deviation that is an error": cell("descriptives", "sd", "0.04"),
    "reliability above one": cell("descriptives", "reliability", "86"),
    "scale turned round": swapped("descriptives", "scale_low", "scale_high"),
    "n of a mean above the sample": cell("descriptives", "n", "4140"),
    "claim outside its interval": cell("claims", "printed", ".74", 0),
    "claim with a comma": cell("claims", "printed", "1,310", 0),
    "claim with more studies than persons": cell("claims", "k", "4000", 0),
    "claim without a place": cell("claims", "locator", "", 0),
}
"""Slips in what some articles print beside r and n."""


MISSED = {
    "intervals of 99 %",  # as wide as one of 95 % from students in classes, which is right
    "one-sided p",  # articles print one-sided tests, often without a word
}
"""The kinds about which nothing is said, with the reason; a kind that comes to be missed fails the test."""


def background(number: int) -> list[Row]:
    """The rows of an honest study that is held, number 1 to 10."""
    return study(500 + number, full=False)["effects.csv"]


def as_csv(rows: list[Row]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def ten_studies(root: Path) -> Small:
    """A dataset of ten honest studies: enough to compare a further one with, and read in no time."""
    small = Small.build(root, paths.data_dir())
    rows, samples = [], SAMPLES.splitlines()[:1]
    for number in range(1, 11):
        sample, name = f"beta2021_s{number}", f"beta2021-{number:02d}"
        effects = background(number)
        samples.append(f"{sample},Beta {number},{effects[0]['n']},student,Norway,1.0.0")
        rows += [
            {**row, "effect_id": f"{name}{row['effect_id'][-4:]}", "sample_id": sample, "since": "1.0.0"}
            for row in effects
        ]
    small.write("beta2021/samples.csv", "\n".join(samples) + "\n")
    small.write("beta2021/effects.csv", as_csv(rows))
    return small


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Small:
    """Ten studies, and a place for the one that is looked at."""
    small = ten_studies(tmp_path_factory.mktemp("slips") / "references")
    small.write("references.bib", (small.root / "references.bib").read_text(encoding="utf-8") + BIB.format(KEY))
    small.write(f"{KEY}/work.toml", WORK.format(KEY))
    return small


def said(held: Small, tables: Tables) -> list[str]:
    """Everything the check says of the study."""
    for path in (held.root / KEY).glob("*.csv"):
        path.unlink()
    for name, rows in tables.items():
        held.write(f"{KEY}/{name}", as_csv(rows))
    report = check_study(held.root, KEY)
    return [str(problem) for problem in (*report.errors, *report.questions)]


def missed(held: Small, slips: dict[str, Slip], *, full: bool) -> Iterator[str]:
    """The kinds of slips about which nothing is said."""
    for seed, (name, slip) in enumerate(slips.items(), 1):
        tables = study(seed, full=full)
        slip(tables)
        for row in tables["effects.csv"]:
            if row.get("se") == "~z":
                row["se"] = f"{np.sqrt(fisher_z_variance(int(row['n']))):.4f}"
        if not said(held, tables):
            yield name


@pytest.mark.parametrize("full", [False, True])
def test_an_honest_study_raises_no_question(held: Small, full: bool) -> None:
    for seed in range(100, 112):
        lines = [line for line in said(held, study(seed, full=full)) if "[sign]" not in line]
        assert lines == [], (seed, lines)


def test_of_bare_tables_four_slips_in_five_are_said(held: Small) -> None:
    lost = list(missed(held, BARE, full=False))
    share = 1 - len(lost) / len(BARE)
    print(f"bare tables: {len(BARE) - len(lost)} of {len(BARE)} kinds said ({share:.0%}); missed: {', '.join(lost)}")
    assert share >= 0.8 and set(lost) <= MISSED, lost


def test_where_numbers_can_be_compared_nineteen_slips_in_twenty_are_said(held: Small) -> None:
    slips = {**BARE, **FULL}
    lost = list(missed(held, slips, full=True))
    share = 1 - len(lost) / len(slips)
    print(f"full tables: {len(slips) - len(lost)} of {len(slips)} kinds said ({share:.0%}); missed: {', '.join(lost)}")
    assert share >= 0.95 and set(lost) <= MISSED, lost
