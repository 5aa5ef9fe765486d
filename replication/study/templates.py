"""The templates of a new work: every field with its meaning and its words beside it, and an example to copy.

In a CSV file a line that begins with # and a space is a comment: the checker passes over it, and says so where it looks
like data.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence

from replication.dataset.schema import TABLES, Column, Table, Vocabulary
from replication.study.tables import quoted

__all__ = ["TEMPLATE_TABLES", "example_row", "record_template", "table_template", "usual_columns"]

TEMPLATE_TABLES = ("samples.csv", "effects.csv", "measures.csv", "descriptives.csv", "claims.csv")
_SCHEMA = "#:schema ../../schemas/work.schema.json\n"
_FIELDS = (
    ("kind", "what sort of publication it is", "kind"),
    ("role", "its place here: primary for a study, related for a synthesis", "role"),
    ("setting", "where it took place", "setting"),
    ("quantitative", "whether it prints numbers", "quantitative"),
)
_FREE = (
    ("design", "one or two sentences: who was studied, when, how"),
    ("missing", "what could not be read, and where it would be (tables, appendix)"),
)
_USUAL = {  # the columns a coder needs most; further ones are listed below them
    "samples.csv": ("sample_id", "label", "n", "unit", "country", "school_level", "age_mean", "female_pct", "source"),
    "effects.csv": (
        "effect_id", "sample_id", "var_a", "var_b", "statistic", "value", "n", "ci_low", "ci_high", "test", "p",
        "measure_a", "measure_b", "informant_a", "informant_b", "design", "as_printed", "source", "locator", "reading",
        "since", "note",
    ),
    "measures.csv": ("variable", "measure", "form", "facet", "items", "since"),
    "descriptives.csv": (
        "sample_id", "variable", "measure", "n", "mean", "sd", "scale_low", "scale_high", "items", "reliability",
        "locator", "reading", "since",
    ),
    "claims.csv": (
        "claim_id", "quantity", "subgroup", "about", "statistic", "printed", "ci_low", "ci_high", "p", "k", "n",
        "as_printed", "source_url", "locator", "reading", "since", "note",
    ),
}  # fmt: skip
_EXAMPLES: Mapping[str, Mapping[str, str]] = {
    "samples.csv": {"sample_id": "{key}_s1", "label": "Grade 7", "n": "120", "unit": "student", "country": "Norway",
                    "school_level": "secondary", "age_mean": "12.4", "female_pct": "51", "source": "doi:10.1234/x",
                    "since": "{since}"},
    "effects.csv": {"effect_id": "{key}-001", "sample_id": "{key}_s1", "var_a": "positive", "var_b": "engagement",
                    "statistic": "r", "value": ".35", "n": "118", "measure_a": "closeness",
                    "measure_b": "engagement-scale", "informant_a": "student", "informant_b": "teacher",
                    "design": "cross-sectional", "as_printed": "r = .35***", "source": "doi:10.1234/x",
                    "locator": "Table 2, p. 14", "reading": "table", "since": "{since}"},
    "measures.csv": {"variable": "positive", "measure": "closeness", "form": "index",
                     "items": "STRS closeness, 5 items", "since": "{since}"},
    "descriptives.csv": {"sample_id": "{key}_s1", "variable": "positive", "measure": "closeness", "n": "118",
                         "mean": "3.42", "sd": "0.81", "scale_low": "1", "scale_high": "5", "items": "5",
                         "reliability": ".86", "locator": "Table 1", "reading": "table", "since": "{since}"},
    "claims.csv": {"claim_id": "{key}-001", "quantity": "pooled correlation: positive relationship with engagement",
                   "subgroup": "all", "about": "engagement", "statistic": "r", "printed": ".34",
                   "ci_low": ".28", "ci_high": ".40", "k": "61", "n": "88417",
                   "source_url": "https://doi.org/10.1234/x", "locator": "abstract",
                   "reading": "abstract", "since": "{since}"},
}  # fmt: skip


_IN_WORDS = {"label": "First sample", "measure": "scale", "measure_a": "scale", "measure_b": "scale",
             "items": "Scale of 5 items"}  # fmt: skip
"""Cells of the example in free text, for a project whose constructs are others than the example's."""


def example_row(name: str, key: str, since: str, vocabulary: Vocabulary) -> dict[str, str]:
    """The example row of a table in words of the project: another topic has other constructs and informants."""
    row = {column: text.format(key=key, since=since) for column, text in _EXAMPLES.get(name, {}).items()}
    columns = TABLES[name].by_name
    strange = [
        c for c, cell in row.items() if columns[c].vocabulary and cell not in vocabulary.lists[columns[c].vocabulary]
    ]
    exposure, outcome = (_first(vocabulary, side) for side in ("exposure", "outcome"))
    known = {"positive", "engagement"} <= vocabulary.constructs.keys()
    if known and not strange:
        return row
    for column in strange:
        row[column] = next(iter(vocabulary.words(columns[column].vocabulary)), "")
    row |= {column: text for column, text in _IN_WORDS.items() if column in row}
    sides = {"var_a": exposure, "variable": exposure, "var_b": outcome}
    row |= {column: word for column, word in sides.items() if column in row}
    if "quantity" in row:
        labels = [vocabulary.constructs[word].label for word in (exposure, outcome) if word]
        row["quantity"] = f"pooled correlation: {' with '.join(labels)}"
    return row


def _first(vocabulary: Vocabulary, side: str) -> str:
    """The first construct of a side; empty where there is none."""
    return next((name for name, construct in vocabulary.constructs.items() if construct.side == side), "")


def record_template(key: str, fields: Mapping[str, str], since: str, vocabulary: Vocabulary) -> str:
    """`work.toml` with what is known filled in, and the words of each field above it."""
    lines = [
        _SCHEMA
        + f'# {key}: fill what is empty. Text stands in quotes; a line that begins with # is a comment.\nkey = "{key}"'
    ]
    lines.append(f'since = "{since}"  # the dataset version in which it enters')
    for name, meaning, words in _FIELDS:
        lines.append(f"\n# {meaning}:")
        lines += [f"#   {word}: {text}" for word, text in vocabulary.lists[words].items()]
        lines.append(f"{name} = {quoted(fields.get(name, ''))}")
    for name, meaning in _FREE:
        lines += [f"\n# {meaning}", f"{name} = {quoted(fields.get(name, ''))}"]
    return "\n".join(lines) + "\n"


def table_template(name: str, key: str, since: str, vocabulary: Vocabulary) -> str:
    """One CSV template: header, what each column means, and an example."""
    table = TABLES[name]
    vocabulary = vocabulary.for_coders
    header = usual_columns(table, vocabulary)
    shown = example_row(name, key, since, vocabulary)
    example = [shown.get(column, "") for column in header]
    lines = [",".join(header)]
    lines += [f"# {line}" for line in _explained(table, header, vocabulary)]
    lines.append("# an example row (it does not count; write yours below without the words before the id):")
    lines.append("# example: " + ",".join(f'"{cell}"' if "," in cell else cell for cell in example))
    return "\n".join(lines) + "\n"


def usual_columns(table: Table, vocabulary: Vocabulary) -> list[str]:
    """The columns a coder needs most: those that must be filled and the usual ones, in the order of the codebook."""
    usual = _USUAL.get(table.name, ())
    return [column.name for column in vocabulary.shown(table) if column.name in usual or column.required]


def _words(column: Column, vocabulary: Vocabulary) -> str:
    """The words a column may hold, in a row."""
    return "; ".join(
        f"{word} ({text})" if text != word else word for word, text in vocabulary.lists[column.vocabulary].items()
    )


def _explained(table: Table, header: Sequence[str], vocabulary: Vocabulary) -> Iterator[str]:
    yield f"{table.meaning} Delete this file if the work has none."
    told: dict[str, str] = {}
    for name in header:
        column = table.by_name[name]
        must = " (must be filled)" if column.required else ""
        words = ""
        if column.vocabulary:
            # Two columns of one vocabulary: its words are written once.
            first = told.setdefault(column.vocabulary, name)
            words = f". One of: {_words(column, vocabulary)}" if first == name else f". The words of {first}"
        yield from textwrap.wrap(f"{name}{must}: {column.meaning}{words}", 150, subsequent_indent="    ")
    others = [column.name for column in vocabulary.shown(table) if column.name not in header]
    if others:
        yield f"further columns you may add: {'; '.join(others)} (README.md of the dataset explains them)"
