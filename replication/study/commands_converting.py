"""The command that turns what a paper prints into a correlation: convert."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from replication import paths
from replication.study.command_options import Data

__all__ = ["convert"]


def convert(
    source: Annotated[
        str, typer.Option("--from", help="What is printed: r, partial-r, t, F, chi2, p, d, means, or, beta.")
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
    from replication.study.converting import convert as converted
    from replication.study.printed_statistics import Given
    from replication.study.writing_effects import EffectPlace, write_effect

    name = {"partial-r": "r", "means": "value"}.get(source, source)
    numbers = {"n": n, "df": df, "n1": n1, "n2": n2, "mean1": mean1, "sd1": sd1, "mean2": mean2, "sd2": sd2}
    numbers |= {"ci_low": ci_low, "ci_high": ci_high, name: value}
    result = converted(source, Given(numbers=numbers, sign=sign, as_r=as_r))
    lines = [f"formula:     {result.formula}", f"assumptions: {result.assumptions}"]
    lines.append(f"result:      {result.statistic} = {result.text}, n {result.n}")
    if result.n_effective == result.n_effective:
        lines.append(f"             as precise as an r of {result.n_effective:.0f} persons (n_effective)")
    sys.stdout.write("\n".join(lines) + "\n")
    if write:
        place = EffectPlace(work=work, sample=sample, a=a, b=b, locator=locator, reading=reading)
        row = write_effect(data or paths.data_dir(), place, result)
        sys.stdout.write(f"Added {row} to {work}/effects.csv; now check it: python -m replication.study check {work}\n")
    else:
        sys.stdout.write("Nothing is written; --write adds the row.\n")
