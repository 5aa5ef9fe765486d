"""What readers are told, pinned: `python -m tests.findings.snapshot` writes `snapshot.json` anew; review its diff.

Every finding is run on the real data, without the average over 36 bias models and the grid of other priors, which have
tests of their own and take a minute. Kept: estimates (value, interval, what leads), certainty decisions, sentences.
Numbers are rounded to three digits, since a posterior is integrated to a thousandth.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any
from unittest import mock

from replication import paths
from replication.analysis import Context, Outcome, load_analysis, run_analysis
from replication.analysis.outcome import Number
from replication.dataset import Dataset, load_dataset
from replication.errors import ModelError

__all__ = ["FINDINGS", "PINNED", "VERSION", "outcome_of", "told", "told_of"]

FINDINGS = ("engagement", "achievement", "bullying", "mediation")
VERSION = "1.2.0"
PINNED = Path(__file__).with_suffix(".json")
MAIN = ("-cr2", "-posterior", "-further-sample", "-further-row", "-updated", "_indirect", "_reversed")


def outcome_of(name: str, data: Dataset) -> Outcome:
    """One finding, run on a dataset without its slowest parts."""
    analysis = load_analysis(paths.analyses_dir() / "findings" / f"{name}.py")
    skipped = mock.Mock(side_effect=ModelError("left out of the snapshot"))
    with (
        mock.patch("replication.evidence.bias.averaged_bias", skipped),
        mock.patch("replication.evidence.finding.prior_sensitivity", return_value=()),
        mock.patch("replication.evidence.finding.influence_table", return_value=()),
    ):
        return run_analysis(analysis, Context(data))


def told(outcome: Outcome) -> dict[str, Any]:
    """What an outcome tells a reader, in plain rounded data."""
    estimates = {
        e.id: [rounded(e.value), rounded(e.low), rounded(e.high), e.samples, e.group]
        for e in outcome.estimates
        if e.id.endswith(MAIN) or e.group == "sensitivity"
    }
    sentences = [
        [s.section, s.key, {n: rounded(v.value) if isinstance(v, Number) else v for n, v in s.values.items()}]
        for s in outcome.sentences
    ]
    tables = {t.id: [[rounded(c) for c in row] for row in t.rows] for t in outcome.tables if shown(t.id)}
    return {"estimates": estimates, "sentences": sentences, "tables": tables}


def shown(table: str) -> bool:
    """Tables that decide: the steps of certainty, the flow of rows, coverage."""
    return table.startswith(("certainty-", "flow-", "prediction-coverage-"))


def rounded(value: object) -> object:
    """Floats to three digits; NaN as None."""
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 3) + 0.0
    return value


def told_of(data: Dataset) -> dict[str, Any]:
    """All findings, on the dataset as it stood at the pinned version: rows that enter later change no snapshot."""
    pinned = data.as_of(VERSION)
    return {name: told(outcome_of(name, pinned)) for name in FINDINGS}


if __name__ == "__main__":
    found = told_of(load_dataset(paths.data_dir()))
    PINNED.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
