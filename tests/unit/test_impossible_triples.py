"""Triples of correlations that cannot be true together are found among any number of variables."""

from __future__ import annotations

from itertools import combinations

from replication.claims import parse_printed
from replication.study.plausibility.query import Place
from replication.study.plausibility.samples import _impossible, _triangles


def variable(name: int) -> tuple[str, str, str]:
    return (f"v{name:03d}", "m", "i")


def test_triangles_are_those_of_all_triples() -> None:
    """A graph with holes: edges whose sum is no multiple of 3."""
    edges = {(i, j) for i, j in combinations(range(12), 2) if (i + j) % 3}
    expected = [t for t in combinations(range(12), 3) if all(pair in edges for pair in combinations(t, 2))]
    found = list(_triangles(frozenset((variable(i), variable(j))) for i, j in edges))
    assert found == [tuple(variable(i) for i in t) for t in expected] and expected


def test_a_sample_of_sixty_variables_is_checked_too() -> None:
    """One wrong sign among 1,770 correlations of .5; tables of more than 40 variables went unchecked before."""
    cells = {}
    for line, (i, j) in enumerate(combinations(range(60), 2)):
        text = "-.80" if (i, j) == (57, 59) else ".50"
        cells[frozenset((variable(i), variable(j)))] = (parse_printed(text), Place("w/effects.csv", line, f"e{line}"))
    queries = list(_impossible(cells))
    # with every one of the 58 other variables: 1 - 2 (.25 (.8)) - .25 - .25 - .64 is below 0
    assert len(queries) == 58 and all("-.80" in query.text for query in queries)
