"""What invented2024 prints, recomputed: a mean correlation weighted by the number of persons."""

import numpy as np

from replication.analysis import Analysis, Context, Findings
from replication.claims import Recomputed
from replication.dataset import select

__all__ = ["ANALYSIS"]


def run(context: Context) -> Findings:
    rows = select(context.data, pair=("sleep", "wellbeing"), works=["invented2024"]).rows
    mean = float(np.average(rows["value"], weights=rows["n"]))
    return Findings(answers={"invented2024-c1": Recomputed(mean)})


ANALYSIS = Analysis(
    id="invented2024",
    title="The invented example",
    question="question_printed_mean",
    run=run,
    claims=("invented2024",),
)
