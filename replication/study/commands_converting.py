"""The command that turns what a paper prints into a correlation: convert."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from replication import paths
from replication.study.command_options import Data, next_command

if TYPE_CHECKING:
    from replication.study.printed_statistics import PrintedStatistics

__all__ = ["convert"]


def convert(
    source: Annotated[
        str,
        typer.Option(
            "--from",
            help="What is printed: r, partial-r, t, F, chi2, p, d, means, paired, or, or-per-unit, table (two by two), "
            "spearman, kendall, eta2, R2, b, beta.",
        ),
    ],
    work: Annotated[str, typer.Argument(help="Key of the work to write the row to.")] = "",
    value: Annotated[str, typer.Option(help="The statistic as printed (for means and odds ratios see below).")] = "",
    n: Annotated[str, typer.Option(help="Persons.")] = "",
    df: Annotated[str, typer.Option(help="Degrees of freedom of the test, n - 2, in place of n.")] = "",
    sign: Annotated[
        int | None, typer.Option(help="1 or -1, where the statistic has no direction (F, chi2, p); 1 where not given.")
    ] = None,
    n1: Annotated[str, typer.Option(help="Persons in group 1.")] = "",
    n2: Annotated[str, typer.Option(help="Persons in group 2.")] = "",
    mean1: Annotated[str, typer.Option(help="Mean of group 1.")] = "",
    sd1: Annotated[str, typer.Option(help="Standard deviation of group 1.")] = "",
    mean2: Annotated[str, typer.Option(help="Mean of group 2.")] = "",
    sd2: Annotated[str, typer.Option(help="Standard deviation of group 2.")] = "",
    sd_x: Annotated[str, typer.Option(help="Standard deviation of the predictor (for b and or-per-unit).")] = "",
    sd_y: Annotated[str, typer.Option(help="Standard deviation of the outcome (for b).")] = "",
    predictors: Annotated[
        str, typer.Option(help="All predictors of the regression, this one counted (for t, b and R2).")
    ] = "",
    one_sided: Annotated[bool, typer.Option("--one-sided", help="The p is of a one-sided test.")] = False,
    cut: Annotated[
        bool, typer.Option("--cut", help="The groups were made by cutting a measured variable: biserial correlation.")
    ] = False,
    ci_low: Annotated[str, typer.Option(help="Lower end of the odds ratio's 95 % interval.")] = "",
    ci_high: Annotated[str, typer.Option(help="Upper end.")] = "",
    as_r: Annotated[bool, typer.Option("--as-r", help="Read a beta as r, flagged.")] = False,
    write: Annotated[bool, typer.Option("--write", help="Add the row to effects.csv.")] = False,
    sample: Annotated[str, typer.Option(help="sample_id of the row.")] = "",
    a: Annotated[str, typer.Option("--a", help="First construct, e.g. positive.")] = "",
    b: Annotated[str, typer.Option("--b", help="Second construct, e.g. engagement.")] = "",
    locator: Annotated[str, typer.Option(help="Page, table or section.")] = "",
    reading: Annotated[str, typer.Option(help="Grade of reading.")] = "table",
    data: Data = None,
) -> None:
    """Turn what a paper prints into a correlation: formula, assumptions and result; --write adds the row."""
    from replication.study.converting import KINDS, VALUES
    from replication.study.converting import convert as converted
    from replication.study.printed_statistics import PrintedStatistics
    from replication.study.writing_effects import EffectPlace, write_effect

    name = VALUES.get(source, source)
    numbers = {"n": n, "df": df, "n1": n1, "n2": n2, "mean1": mean1, "sd1": sd1, "mean2": mean2, "sd2": sd2}
    numbers |= {"ci_low": ci_low, "ci_high": ci_high, "sd_x": sd_x, "sd_y": sd_y, "predictors": predictors, name: value}
    given = _prompted_readings(PrintedStatistics(numbers=numbers, sign=sign, as_r=as_r, one_sided=one_sided, cut=cut))
    result = converted(source, given)
    lines = [f"formula:     {result.formula}", f"assumptions: {result.assumptions}"]
    lines.append(f"result:      {result.statistic} = {result.text}, n {result.n}")
    # NaN is not equal to itself: there is an effective n.
    if result.n_effective == result.n_effective:
        lines.append(f"             as precise as an r of {result.n_effective:.0f} persons (n_effective)")
    # Papers rarely call it a cut, and the point-biserial r of halves is a fifth too small.
    if source in KINDS and KINDS[source].groups and not cut and result.statistic == "r":
        lines.append("question:    were the groups made by cutting a measured variable (halves, high and low)?")
        lines.append(f"             then --cut gives the biserial correlation, {_biserial(source, given)}")
    sys.stdout.write("\n".join(lines) + "\n")
    if write:
        place = EffectPlace(work=work, sample=sample, a=a, b=b, locator=locator, reading=reading)
        row = write_effect(paths.dataset_of(data), place, result)
        sys.stdout.write(f"Added {row} to {work}/effects.csv; now check it: {next_command('check', work, data)}\n")
    else:
        sys.stdout.write("Nothing is written; --write adds the row.\n")


def _biserial(source: str, given: PrintedStatistics) -> str:
    """What --cut would give, in words."""
    from dataclasses import replace

    from replication.errors import UserError
    from replication.study.converting import convert as converted

    try:
        return converted(source, replace(given, cut=True)).text
    except UserError as error:
        return f"which cannot be here: {error}"


def _prompted_readings(given: PrintedStatistics) -> PrintedStatistics:
    """At a terminal, which of two readings a number such as 5,123 has; elsewhere the numbers as they were given."""
    from dataclasses import replace

    from replication.dataset.spreadsheets import readings
    from replication.errors import UserError

    if not sys.stdin.isatty():
        return given
    for name, text in given.numbers.items():
        try:
            given.with_points()
        except UserError as error:
            if text and text in str(error):
                chosen = typer.prompt(f"{error}\nWhich one", default=readings(text)[0])
                given = replace(given, numbers={**given.numbers, name: str(chosen)})
    return given
