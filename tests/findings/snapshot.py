"""What readers are told, pinned: `python -m tests.findings.snapshot` writes `snapshot.json` anew; review its diff.

Every finding is run on the real data, priors and influence included; the averages over 36 bias models are those under
`analyses/kept`, which must belong to the code as it stands. Pinned: estimates (value, interval, what leads), certainty
decisions, sentences. Numbers are rounded to three digits, since a posterior is integrated to a thousandth.
"""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

from replication import paths
from replication.analysis import Context, Outcome, load_analysis, run_analysis
from replication.analysis.outcome import Label, Number, Text, plain
from replication.dataset import Dataset, load_dataset
from replication.errors import ModelError
from replication.provenance import Cache
from replication.report.words import Words, load_words

__all__ = ["FINDINGS", "PINNED", "VERSION", "Kept", "outcome_of", "told", "told_of"]

FINDINGS = ("engagement", "achievement", "bullying", "mediation")
VERSION = "1.2.0"
PINNED = Path(__file__).with_suffix(".json")
MAIN = ("-cr2", "-posterior", "-further-sample", "-further-row", "-updated", "_indirect", "_reversed")


RENEWED_BY = {"bias": "engagement achievement averaging", "recovery": "bullying_roles_simulated"}


class Kept:
    """The slow results under version control; one that is not there, or of other code, is not computed in its place.

    `folder` is looked into first, by default the project's own store.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._cache = Cache(folder or paths.cache_dir(), kept=paths.kept_dir())

    def get(self, name: str, key: str) -> object:
        found = self._cache.get(name, key)
        analyses = RENEWED_BY.get(name.split("-", maxsplit=1)[0])
        if found is None and analyses:
            raise AssertionError(
                f"{name} under analyses/kept is of other code or data: python -m replication.run {analyses} --keep"
            )
        return found

    def put(self, name: str, key: str, result: object) -> None:
        """Nothing is stored: what a test computes stays its own."""


def outcome_of(name: str, data: Dataset) -> Outcome:
    """One finding, run on a dataset; without its average over bias models where the dataset is not the kept one's."""
    analysis = load_analysis(paths.analyses_dir() / "findings" / f"{name}.py")
    if data.digest in _own_digests():
        return run_analysis(analysis, Context(data, store=Kept()))
    skipped = mock.Mock(side_effect=ModelError("not averaged: another dataset than the one whose averages are kept"))
    with (
        mock.patch("replication.evidence.bias.averaged_bias", skipped),
        mock.patch("replication.evidence.finding.prior_sensitivity", return_value=()),
        mock.patch("replication.evidence.finding.influence_table", return_value=()),
    ):
        return run_analysis(analysis, Context(data))


@cache
def _own_digests() -> frozenset[str]:
    data = load_dataset(paths.data_dir())
    return frozenset((data.digest, data.as_of(VERSION).digest))


def told(outcome: Outcome) -> dict[str, Any]:
    """What an outcome tells a reader, in plain rounded data."""
    estimates = {
        e.id: [rounded(e.value), rounded(e.low), rounded(e.high), e.samples, said(e.group)]
        for e in outcome.estimates
        if e.id.endswith(MAIN) or e.group == "sensitivity"
    }
    sentences = [
        [s.section, s.key, {n: rounded(v.value) if isinstance(v, Number) else v for n, v in s.values.items()}]
        for s in outcome.sentences
    ]
    tables = {t.id: [[rounded(c) for c in row] for row in t.rows] for t in outcome.tables if shown(t.id)}
    return {"estimates": estimates, "sentences": sentences, "tables": tables}


def said(text: Text) -> str:
    """A label or a name as the English report says it."""
    return _words().label(plain(text))  # type: ignore[arg-type]


@cache
def _words() -> Words:
    return load_words("en")


SHOWN = ("certainty-", "flow-", "prediction-coverage-", "priors-", "prior-", "bias-models-", "intervals-", "levels-",
         "reliability-", "influence-")  # fmt: skip


def shown(table: str) -> bool:
    """Tables that decide, or that a reader takes a number from: certainty, flow, intervals, priors, bias, influence."""
    return table.startswith(SHOWN)


def rounded(value: object) -> object:
    """Floats to three digits, labels as the report says them; NaN as None."""
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 3) + 0.0
    return said(value) if isinstance(value, str | Label) else value


def told_of(data: Dataset) -> dict[str, Any]:
    """All findings, on the dataset as it stood at the pinned version: rows that enter later change no snapshot."""
    pinned = data.as_of(VERSION)
    return {name: told(outcome_of(name, pinned)) for name in FINDINGS}


if __name__ == "__main__":
    found = told_of(load_dataset(paths.data_dir()))
    PINNED.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
