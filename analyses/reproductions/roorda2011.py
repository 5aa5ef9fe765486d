"""Roorda et al. (2011): the headline effects rest on 99 studies; 45 samples are public. Both side by side."""

from analyses.shared.samples45 import audit_table, side_by_side
from replication.analysis import Analysis, Context, Findings, Ref, Sentence, missing, numbers
from replication.dataset import Reads
from replication.labels import Label

HEADLINE = {  # claim -> the same pair and kind of model in the public samples
    "roorda2011-010": ("positive", "engagement", "all", "EE"),
    "roorda2011-011": ("positive", "engagement", "all", "REML"),
    "roorda2011-012": ("negative", "engagement", "all", "EE"),
    "roorda2011-013": ("positive", "achievement", "all", "EE"),
    "roorda2011-014": ("positive", "achievement", "all", "REML"),
    "roorda2011-015": ("negative", "achievement", "all", "EE"),
    "roorda2011-016": ("negative", "achievement", "all", "REML"),
}


def run(context: Context) -> Findings:
    side = side_by_side(context.data)
    answers = {}
    for claim, key in HEADLINE.items():
        ours = side.pools[key].estimate
        interval = f"{ours.value:.3f} [{ours.low:.3f}, {ours.high:.3f}]"
        beside = f"The {ours.k} of these correlations that are public give {interval} ({key[3]})."
        answers[claim] = missing(context.data, "roorda2011", beside)
    rows = {row for pooled in side.pools.values() for row in pooled.estimate.rows}
    counts = {"all": len(rows), "unused": len(side.exclusions), "used": len(rows) - len(side.exclusions)}
    audit = audit_table(context.data)
    return Findings(
        answers=answers,
        estimates=tuple(pooled.estimate for pooled in side.pools.values()),
        tables=(side.table, audit),
        figures=side.figures,
        sentences=(Sentence("roorda2011.unused", numbers(counts, Ref("table", audit.id))),),
        exclusions=side.exclusions,
    )


ANALYSIS = Analysis(
    id="roorda2011",
    title=Label("from_the_public_samples", {"work": "Roorda et al. (2011)", "samples": 45}),
    question=Label("question_pooled_correlations", {"year": 2011}),
    run=run,
    reads=Reads(works=("roorda2011",), remarks=True),  # the audit of rows quotes them
    claims=("roorda2011",),
)
