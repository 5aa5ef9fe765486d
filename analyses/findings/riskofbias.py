"""How far can each sample be trusted, by features that are on record?"""

from replication.analysis import Analysis, Context, Findings
from replication.dataset import Reads
from replication.evidence.risk_of_bias import risk_of_bias


def run(context: Context) -> Findings:
    return risk_of_bias(context.data)


ANALYSIS = Analysis(
    id="riskofbias",
    title="title_riskofbias",
    question="question_riskofbias",
    run=run,
    kind="finding",
    reads=Reads(tables=("effects.csv", "samples.csv", "measures.csv", "descriptives.csv")),
)
