"""Does the answer hang on choices nobody argued about? Every combination of them, on relationship quality."""

from replication.analysis import Analysis, Context, Findings
from replication.dataset import Reads
from replication.evidence.multiverse import multiverse_findings, multiverse_of
from replication.evidence.question import Question

BOTH = ("positive", "negative")
QUESTIONS = (
    (Question("quality-engagement", "relationship_quality_with_engagement", BOTH, "engagement"), 1),
    (Question("quality-achievement", "relationship_quality_with_achievement", BOTH, "achievement"), 1),
    (Question("quality-victimization", "relationship_quality_with_being_bullied", BOTH, "victimization"), -1),
)

PUBLISHED_IN = "jakcheung2018"
"""The meta-analysis of the 45 public samples: its own choice of rows is one of the choices."""


def run(context: Context) -> Findings:
    return multiverse_findings(
        [multiverse_of(context.data, question, sign, PUBLISHED_IN) for question, sign in QUESTIONS]
    )


ANALYSIS = Analysis(
    id="multiverse",
    title="title_multiverse",
    question="question_multiverse",
    run=run,
    reads=Reads(outcomes=tuple(question.outcome for question, _ in QUESTIONS)),
    kind="finding",
)
