"""Does the answer survive not knowing which bias is at work? Averages over 36 models, published samples only.

The new samples were computed from whole files; no result of theirs was selected for print: there is no bias to model.
"""

from replication.analysis import Analysis, Context, Findings
from replication.evidence.averaging import averaged_answer
from replication.evidence.question import Question, evidence

QUESTIONS = (
    (Question("positive-engagement", "positive relationship with engagement", ("positive",), "engagement"), 1),
    (Question("negative-engagement", "negative relationship with engagement", ("negative",), "engagement"), -1),
    (Question("positive-achievement", "positive relationship with achievement", ("positive",), "achievement"), 1),
    (Question("negative-achievement", "negative relationship with achievement", ("negative",), "achievement"), -1),
)


def run(context: Context) -> Findings:
    estimates, tables = [], []
    for question, expected in QUESTIONS:
        found = evidence(context.data, question, "samples45")
        estimate, shown = averaged_answer(found, expected)
        estimates.append(estimate)
        tables += shown
    return Findings(estimates=tuple(estimates), tables=tuple(tables))


ANALYSIS = Analysis(
    id="averaging",
    title="Averaging over bias",
    question="Does the answer survive not knowing which bias is at work?",
    run=run,
    kind="finding",
    slow=True,
)
