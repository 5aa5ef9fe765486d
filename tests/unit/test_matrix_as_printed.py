"""Correlation matrices as articles print them: every layout gives the same pairs, and what does not fit is refused."""

from __future__ import annotations

import pytest

from replication.errors import UserError
from replication.study.matrix import read_matrix

PAIRS = {(0, 1): "-.35", (0, 2): ".41", (1, 2): "-.22"}
LAYOUTS = {
    "lower with dashes": "1 Closeness -\n2 Conflict -.35** -\n3 Engagement .41*** -.22* -",
    "lower without diagonal": "Closeness\nConflict -.35\nEngagement .41 -.22",
    "upper without diagonal": "Closeness -.35 .41\nConflict -.22\nEngagement",
    "upper with ones": "Closeness 1 -.35 .41\nConflict 1 -.22\nEngagement 1.00",
    "whole": "Variable 1 2 3\nCloseness 1 -.35 .41\nConflict -.35 1 -.22\nEngagement .41 -.22 1",
    "means first, reliabilities on the diagonal": (
        "Variable\tM\tSD\t1\t2\t3\n1. Closeness (T)\t3.42\t0.81\t(.86)\n2. Conflict\t1.50\t0.62\t−.35**\t(.80)\n"
        "3. Engagement\t3.10\t0.50\t.41***\t−.22*\t(.91)\n"
    ),
    "means last": (
        "Variable 1 2 3 M SD α\nCloseness — -.35 .41 3.42 .81 .86\nConflict — -.22 1.50 .62 .80\nEng. — 3.10 .50 .91"
    ),
    "empty cells": (
        "Variable\tM\tSD\tα\t1\t2\t3\nCloseness\t3.42\t0.81\t\t–\t\t\nConflict\t1.50\t0.62\t.80\t–.35\t–\n"
        "Engagement\t3.10\t0.50\t.91\t.41\t–.22\t–"
    ),
    "upper with empty cells": "V|1|2|3|M\nCloseness|–|-.35|.41|3.42\nConflict||–|-.22|1.50\nEngagement|||–|",
    "marks of what is not significant": (
        "Variable\tM\tSD\t1\t2\t3\nCloseness\t3.42\t0.81\t–\nConflict\t1.50\t0.62\t–.35 n. s.\t–\n"
        "Engagement\t3.10\t0.50\t.41**\t–.22 (n.s.)\t–"
    ),
    "decimal commas": (
        "Variable;1;2;3;M;SA\nNærhet;-;;;3,42;0,81\nKonflikt;-,35;-;;1,50;0,62\nEngasjement;,41;-,22;-;3,10;0,50"
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_pairs(layout: str) -> None:
    assert dict(read_matrix(LAYOUTS[layout]).pairs) == PAIRS


@pytest.mark.parametrize("layout", ["means first, reliabilities on the diagonal", "means last", "decimal commas"])
def test_what_stands_beside_is_read_with_its_digits(layout: str) -> None:
    beside = read_matrix(LAYOUTS[layout]).beside
    assert (beside[1, "mean"], float(beside[1, "sd"])) == ("1.50", 0.62)
    assert layout == "decimal commas" or beside[2, "reliability"] == ".91"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Closeness -\nConflict -.35 -.22 -", "expected 1 of a lower triangle"),
        ("Closeness 3.42 .81 -\nConflict 1.50 .62 -.35 -", "does the header name every column beside"),
        ("Closeness -\nConflict -35 -", "expected a correlation between -1 and 1"),
        ("a 1 .3\nb .4 1", "have .3 and .4; expected one matrix"),
        ("a\t-\nb\t.30\t-\nc\t.20\tsee text\t-", r"row 3: \"text\" stands among the numbers"),
        ("nothing here\nat all", "found 0 rows with numbers"),
        ("", "found 0 rows"),
        (
            "Closeness -\nConflict 1,350 -",
            "1.350 with a decimal comma, 1350 with a comma of thousands; write one of the two",
        ),
    ],
)
def test_what_does_not_fit_is_refused(text: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        read_matrix(text)


def test_a_matrix_that_cannot_be_is_said() -> None:
    """r .9, .9 and -.9 have a determinant below zero; .9, .9 and .7 are possible."""
    assert read_matrix("a -\nb .90 -\nc .90 -.90 -").impossible
    assert not read_matrix("a -\nb .90 -\nc .90 .70 -").impossible
