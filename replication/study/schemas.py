"""JSON Schemas of the TOML records, for editors: completion and red underlines while typing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from replication.dataset.recipes import RecipeFile
from replication.dataset.records import AnswerFile, ArticleFile, CorrectionFile, ExplanationFile, TrapFile, Work
from replication.dataset.vocabulary import Vocabulary
from replication.study.plausibility import RULES

__all__ = ["FILES", "schema_files"]

FILES: Mapping[str, type[BaseModel]] = {
    "work": Work,
    "corrections": CorrectionFile,
    "explanations": ExplanationFile,
    "recipes": RecipeFile,
    "answers": AnswerFile,
    "statements": ArticleFile,
    "traps": TrapFile,
}
"""The record behind each kind of TOML file."""

_WORDS = {"kind": "kind", "role": "role", "setting": "setting", "quantitative": "quantitative"}


def schema_files(vocabulary: Vocabulary) -> dict[str, str]:
    """The schema of each file by its name, e.g. "work.schema.json"; closed word lists become enumerations."""
    return {f"{name}.schema.json": _schema(name, model, vocabulary) for name, model in FILES.items()}


def _schema(name: str, model: type[BaseModel], vocabulary: Vocabulary) -> str:
    schema: dict[str, Any] = {"$schema": "http://json-schema.org/draft-07/schema#", **model.model_json_schema()}
    if name == "work":
        for field, words in _WORDS.items():
            schema["properties"][field] |= {"enum": list(vocabulary.words(words))}
    if name == "answers":
        schema["$defs"]["RecordedAnswer"]["properties"]["rule"] |= {"enum": list(RULES)}
    if name == "recipes":
        measure = schema["$defs"]["Measure"]["properties"]
        measure["variable"] |= {"enum": list(vocabulary.constructs)}
        measure["informant"] |= {"enum": ["", *vocabulary.words("informant")]}
    return json.dumps(schema, ensure_ascii=False, indent=1) + "\n"
