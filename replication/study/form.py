"""The form in the browser: one HTML file without a network, made from the same columns and words as the checks."""

from __future__ import annotations

import html
import json
import tomllib
from importlib import resources
from typing import Any

from replication.dataset.schema import TABLES, Column, Vocabulary
from replication.study.saved_form import FORMAT
from replication.study.submission import RECORD_FIELDS, SHEETS
from replication.study.templates import usual_columns

__all__ = ["FORM_FILE", "LANGUAGES", "form_html"]

FORM_FILE = "study-form.html"
"""Where the form is kept in the repository: beside the dataset, for whoever has no Python."""
LANGUAGES = ("en", "nb")
_NEEDED = ("key", "author", "title", "year")
_PUBLICATIONS = ("article", "book", "phdthesis", "mastersthesis", "techreport", "misc")


def form_html(vocabulary: Vocabulary) -> str:
    """The whole form. Nothing in it loads anything: its policy allows its own script and style alone."""
    # "</script>" in a text would end the script element; the escaped form means the same to JSON.
    schema = json.dumps(_schema(vocabulary), ensure_ascii=False, sort_keys=True).replace("</", "<\\/")
    policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'"
    title = html.escape(_texts("en")["title"])
    return (
        f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{title}</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>\n{_asset('form.css')}</style></head>\n"
        f'<body>\n<main id="main"><noscript>This form needs JavaScript; the workbook (study new --xlsx) does not.'
        f"</noscript></main>\n<script>\nconst SCHEMA = {schema};\n{_asset('form.js')}</script>\n</body>\n</html>\n"
    )


def _schema(vocabulary: Vocabulary) -> dict[str, Any]:
    """What the script needs to know: columns by table, words, which side and sign a construct has, and texts."""
    vocabulary = vocabulary.for_coders
    constructs = vocabulary.constructs.items()
    return {
        "format": FORMAT,
        "work": [_work_field(name, meaning) for name, meaning in RECORD_FIELDS.items()],
        "tables": {
            sheet: [_column(column, table, vocabulary) for column in vocabulary.shown(TABLES[table])]
            for sheet, table in SHEETS.items()
        },
        "words": {**vocabulary.shown_lists, "publication": {word: word for word in _PUBLICATIONS}},
        "sides": {name: construct.side for name, construct in constructs},
        "valence": {name: construct.valence for name, construct in constructs},
        "texts": {language: _texts(language) for language in LANGUAGES},
    }


def _column(column: Column, table: str, vocabulary: Vocabulary) -> dict[str, object]:
    usual = column.name in usual_columns(TABLES[table], vocabulary)
    return {
        "name": column.name,
        "meaning": column.meaning.replace("`", ""),
        "kind": column.kind,
        "required": column.required and not column.name.endswith(("effect_id", "claim_id", "direction_id")),
        "vocabulary": column.vocabulary,
        "low": column.low,
        "high": column.high,
        "usual": usual,
    }


def _work_field(name: str, meaning: str) -> dict[str, object]:
    words = name if name in ("kind", "role", "setting", "publication") else ""
    kind = "word" if words else "text"
    known = {"name": name, "meaning": meaning, "kind": kind, "required": name in _NEEDED, "vocabulary": words}
    return {**known, "low": None, "high": None, "usual": True}


def _texts(language: str) -> dict[str, str]:
    text = resources.files("replication.study").joinpath("locale", f"form.{language}.toml").read_text(encoding="utf-8")
    return {name: str(said) for name, said in tomllib.loads(text).items()}


def _asset(name: str) -> str:
    return resources.files("replication.study").joinpath("assets", name).read_text(encoding="utf-8")
