"""What should be read next, where does it stand, and how much would it tell?"""

from replication.analysis import Analysis, Context, Findings
from replication.dataset import Reads
from replication.evidence.reading_list import reading_findings, reading_list


def run(context: Context) -> Findings:
    return reading_findings(reading_list(context.data))


ANALYSIS = Analysis(
    id="reading",
    title="title_reading",
    question="question_reading",
    run=run,
    kind="finding",
    reads=Reads(tables=("effects.csv", "claims.csv", "directions.csv", "leads.csv"), remarks=True),
)
