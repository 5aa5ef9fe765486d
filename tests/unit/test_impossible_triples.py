"""Triples of correlations that cannot be true together are found among any number of variables."""

from __future__ import annotations

import random
from itertools import combinations

from replication.study.plausibility.samples import _impossible, _triangles

Edge = tuple[int, int]


def variable(name: int) -> tuple[str, str, str]:
    return (f"v{name:03d}", "m", "i")


def cells(texts: dict[Edge, str]) -> dict:
    rows = enumerate(texts.items(), 2)
    return {(variable(i), variable(j)): (float(text), text, "w", line, f"e{i}-{j}") for line, ((i, j), text) in rows}


def test_triangles_are_those_of_all_triples() -> None:
    """A graph with holes: edges whose sum is no multiple of 3; all are strong."""
    edges = {(i, j) for i, j in combinations(range(12), 2) if (i + j) % 3}
    expected = [t for t in combinations(range(12), 3) if all(pair in edges for pair in combinations(t, 2))]
    found = _triangles(cells(dict.fromkeys(edges, ".60")))
    assert found == [tuple(variable(i) for i in t) for t in expected] and expected


def test_none_is_missed_where_only_strong_pairs_are_followed() -> None:
    """All 4,060 triples of 30 variables, most of them weak, by the determinant at all eight corners of the prints."""
    generator = random.Random(7)
    sizes = (0.1, 0.3, 0.5, 0.51, 0.7, 0.9)
    values = {pair: generator.choice((-1, 1)) * generator.choice(sizes) for pair in combinations(range(30), 2)}
    expected = set()
    for x, y, z in combinations(range(30), 3):
        pairs = ((x, y), (x, z), (y, z))
        corners = [[values[pair] + half for half in (-0.005, 0.005)] for pair in pairs]
        ends = [(a, b, c) for a in corners[0] for b in corners[1] for c in corners[2]]
        if all(1 + 2 * a * b * c - a * a - b * b - c * c < 0 for a, b, c in ends):
            expected.add(tuple(f"e{i}-{j}" for i, j in pairs))
    found = list(_impossible(cells({pair: f"{value:.2f}" for pair, value in values.items()})))
    assert {query.rows for query in found} == expected and len(found) == len(expected) > 500


def test_a_sample_of_sixty_variables_is_checked_too() -> None:
    """One wrong sign among 1,770 correlations of .5; tables of more than 40 variables went unchecked before."""
    texts = {pair: "-.80" if pair == (57, 59) else ".50" for pair in combinations(range(60), 2)}
    queries = list(_impossible(cells(texts)))
    # with every one of the 58 other variables: 1 - 2 (.25 (.8)) - .25 - .25 - .64 is below 0
    assert len(queries) == 58 and all("-.80" in query.text for query in queries)
