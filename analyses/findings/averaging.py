"""Does the answer survive publication bias? Models, tests and their average on the published samples of each question.

The open-data samples were computed from whole files; no result of theirs was selected for print: there is no bias to
model, and they stand beside the published ones only to be compared.
"""

from replication.analysis import Analysis, Context, Findings, placed
from replication.dataset import Reads
from replication.evidence.bias import publication_bias
from replication.evidence.question import Question, evidence

QUESTIONS = (
    (Question("positive-engagement", "positive_relationship_with_engagement", ("positive",), "engagement"), 1),
    (Question("negative-engagement", "negative_relationship_with_engagement", ("negative",), "engagement"), -1),
    (Question("positive-achievement", "positive_relationship_with_achievement", ("positive",), "achievement"), 1),
    (Question("negative-achievement", "negative_relationship_with_achievement", ("negative",), "achievement"), -1),
)


def run(context: Context) -> Findings:
    pages = [
        publication_bias(
            evidence(context.data, question, "published"),
            evidence(context.data, question, "open"),
            sign,
            remember=context.remember,
        ).findings
        for question, sign in QUESTIONS
    ]
    return Findings(
        estimates=placed("bias", (item for page in pages for item in page.estimates)),
        tables=placed("bias", (item for page in pages for item in page.tables)),
        figures=placed("bias", (item for page in pages for item in page.figures)),
        sentences=placed("bias", (item for page in pages for item in page.sentences)),
    )


ANALYSIS = Analysis(
    id="averaging",
    title="title_averaging",
    question="question_averaging",
    run=run,
    reads=Reads(outcomes=("engagement", "achievement")),
    kind="finding",
    slow=True,
)
