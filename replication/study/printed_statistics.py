"""What a paper prints, as it was given: strings that become numbers once they are sound and do not contradict."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from replication.dataset.schema import printed
from replication.dataset.spreadsheets import ambiguous, decimal_comma, plain_number, readings
from replication.errors import UserError
from replication.printed import MINUS_SIGNS, parse_printed

__all__ = ["PrintedStatistics", "option"]

_SEPARATORS = re.compile(r"[,\s]")
_TWO_DF = re.compile(r"\s*\(?\s*([0-9]{1,6})\s*[,;]\s*([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*\)?\s*")
_LARGEST = 1e12
_SMALLEST_N = 4
_STATISTICS = ("r", "t", "F", "chi2", "p", "d", "or", "beta", "rho", "tau", "eta2", "R2", "b")
_WHOLE = ("n", "n1", "n2", "predictors", "cells")
"""Whole numbers: their comma is one of thousands, or stands between them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintedStatistics:
    """What is printed: numbers as strings by name (empty: not given), and the direction where the statistic has none.

    `sign` is None where nobody gave a direction; `as_r` reads a beta as r; `one_sided`: the p is of a one-sided test;
    `cut`: the groups were made by cutting a measured variable.
    """

    numbers: Mapping[str, str]
    sign: int | None = None
    as_r: bool = False
    one_sided: bool = False
    cut: bool = False

    @property
    def names(self) -> frozenset[str]:
        """The names of the numbers that were given."""
        return frozenset(name for name, text in self.numbers.items() if text)

    def text(self, name: str) -> str:
        """The digits as printed, in letters every program reads: a plain minus, no separators of thousands."""
        return _SEPARATORS.sub("", self.numbers.get(name, "").strip().translate(MINUS_SIGNS))

    def number(self, name: str) -> float:
        """One number; UserError when it was not given, is only a bound, or is no number a study prints."""
        text = self.numbers.get(name, "")
        if not text:
            raise UserError(f"{option(name)} is needed for this; it was not given")
        printed = parse_printed(text)
        if printed.bound:
            raise UserError(f'{name} "{text}" is only a bound; a bound gives no correlation, so leave the row out')
        if printed.percent:
            raise UserError(f'found "{text}" for {option(name)}; expected a number without %; write it as a decimal')
        if not abs(printed.value) <= _LARGEST:
            found = f'found "{text[:60]}" for {option(name)}'
            raise UserError(f"{found}; expected a number a study can print; is the exponent mistyped?")
        return printed.value

    def with_points(self) -> PrintedStatistics:
        """The same with decimal points: what a comma is, is told by the other numbers, or asked.

        Raises
        ------
        UserError
            with both readings, where a number such as 5,123 is one thing with a decimal comma and another in thousands.
        """
        read = {name: text for name, text in self.numbers.items() if text and name not in _WHOLE}
        if _TWO_DF.fullmatch(read.get("df", "")):
            del read["df"]  # both degrees of freedom of an F test
        commas = decimal_comma([printed("given", "")], [[text] for text in read.values()])
        unclear = [name for name, text in read.items() if ambiguous(text)]
        if unclear and not commas:
            text = read[unclear[0]]
            decimal, thousands = readings(text)
            raise UserError(
                f"found {option(unclear[0])} {text}, which is {decimal} with a decimal comma and {thousands} in "
                f"thousands; expected one of the two: write {decimal} or {thousands}"
            )
        # A table of commas settles all its numbers; a lone 0,35 settles itself.
        clear = {name: plain_number(text) for name, text in read.items() if commas or _decimal(text)}
        return replace(self, numbers={**self.numbers, **clear})

    def with_two_df(self) -> PrintedStatistics:
        """The same where `df` holds both degrees of freedom of an F test, as printed in F(1, 118)."""
        both = _TWO_DF.fullmatch(self.numbers.get("df", ""))
        if both is None:
            return self
        return replace(self, numbers={**self.numbers, "df1": both[1], "df": both[2]})

    def direction(self) -> int:
        """1 or -1; 1 where none was given."""
        return 1 if self.sign is None else self.sign

    def persons(self) -> int:
        """All persons: n, both groups together, or the degrees of freedom and 2; UserError where they contradict."""
        groups = self._groups()
        total = self._whole("n", _SMALLEST_N) if "n" in self.names else None
        if groups is not None:
            if total not in (None, sum(groups)):
                raise UserError(
                    f"found n {total}, but groups of {groups[0]} and {groups[1]}, together {sum(groups)}; "
                    f"give either --n or --n1 and --n2, of the persons in this very test"
                )
            total = sum(groups)
        if "df" in self.names:
            total = self._by_df(total)
        if total is None:
            self.number("n")  # says that it is needed
        if total is None or total < _SMALLEST_N:
            raise UserError(f"n is a whole number of {_SMALLEST_N} or more; found {total}")
        return total

    def sizes(self) -> tuple[float, float]:
        """The sizes of the two groups; equal halves of n where only n is given."""
        total, groups = self.persons(), self._groups()
        return (total / 2, total / 2) if groups is None else groups

    def _groups(self) -> tuple[int, int] | None:
        if not self.names & {"n1", "n2"}:
            return None
        return self._whole("n1", 1), self._whole("n2", 1)

    def _by_df(self, total: int | None) -> int:
        """The persons by the degrees of freedom of a test of two groups or of a correlation; agrees with `total`."""
        if "," in self.numbers["df"]:
            found = f'found "{self.numbers["df"][:60]}" for --df'
            raise UserError(f"{found}; expected one whole number, n - 2; only F has two, give --from F for it")
        df = self.number("df")
        whole = df == round(df)
        if total is None and not whole:
            raise UserError(
                f"found df {self.text('df')}; expected a whole number, n - 2; a fraction is Welch's test, whose df "
                f"does not tell n: give the persons with --n"
            )
        if total is None:
            return round(df) + 2
        if (whole and df != total - 2) or not 0 < df <= total - 2:
            raise UserError(
                f"found n {total} and df {self.text('df')}; expected df {total - 2}, n - 2; give the n of this very "
                f"test, and where the test has further predictors it gives no plain correlation"
            )
        return total

    def _whole(self, name: str, low: int) -> int:
        value = self.number(name)
        if value < low or value != round(value):
            raise UserError(f"{name} is a whole number of {low} or more; found {self.text(name)}")
        return round(value)


def _decimal(text: str) -> bool:
    """Whether a number has a decimal comma, whatever the others have."""
    return "," in text and decimal_comma([printed("given", "")], [[text]])


def option(name: str) -> str:
    """The option of the command that gives a number.

    >>> option("t"), option("ci_low")
    ('--value', '--ci-low')
    """
    return "--value" if name in _STATISTICS else f"--{name.replace('_', '-')}"
