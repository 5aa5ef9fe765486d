"""Writes main_model.csv, the rows main_model.R is run on: python tests/reference/metafor/main_model.py."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from replication import paths
from replication.dataset import load_dataset
from replication.evidence.question import Question, evidence

QUALITY = ("positive", "negative", "relationship")
data = load_dataset(paths.data_dir())
parts = []
for outcome in ("engagement", "achievement", "victimization"):
    for body in ("published", "open", "pool"):
        found = evidence(data, Question(outcome, outcome, QUALITY, outcome), body)
        rows = {"case": f"{outcome}-{body}", "sample": found.samples, "place": found.places, "z": found.y, "v": found.v}
        if len(set(found.samples)) > 2:
            parts.append(pd.DataFrame({**rows, "effect": found.rows["effect_id"]}))
pd.concat(parts).to_csv(Path(__file__).with_suffix(".csv"), index=False, float_format="%.17g")
