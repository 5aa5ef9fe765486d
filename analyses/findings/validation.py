"""Do we agree with metafor, metaSEM and bayesmeta on the same data?"""

from replication import paths
from replication.analysis import Analysis, Context, Findings, placed
from replication.dataset import Reads
from replication.evidence.validation import validation_tables


def run(context: Context) -> Findings:
    return Findings(tables=placed("more", validation_tables(context.data, paths.pinned_dir())))


ANALYSIS = Analysis(
    id="validation",
    title="Validation",
    question="Do we agree with metafor, metaSEM and bayesmeta on the same data?",
    run=run,
    reads=Reads(outcomes=("engagement", "achievement")),
    kind="finding",
)
