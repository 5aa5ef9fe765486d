"""Where a result could be read by its direction alone: what do open data say of the same pair at the same unit?"""

from replication.analysis import Analysis, Context, Findings
from replication.dataset import Reads
from replication.evidence.direction_support import direction_support


def run(context: Context) -> Findings:
    return direction_support(context.data)


ANALYSIS = Analysis(
    id="directions",
    title="title_directions",
    question="question_directions",
    run=run,
    kind="finding",
    reads=Reads(tables=("directions.csv", "effects.csv", "samples.csv", "measures.csv")),
)
