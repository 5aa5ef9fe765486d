"""Baker (2006): the first of the 45 public samples has the same n; that it is this study is an inference."""

from replication.analysis import Analysis, Context, Findings
from replication.claims import Checked
from replication.dataset import Reads
from replication.labels import Label


def run(context: Context) -> Findings:
    samples = context.data.samples
    sample = context.data.living("samples.csv", "roorda2011_s01")
    first = samples.loc[samples["sample_id"] == sample, "n"].item()
    how = f"sample 1 of the 45 public samples has n {first:g} (an inference: its study is not named)"
    return Findings(answers={"baker2006-001": Checked(first, first, how, first)})


ANALYSIS = Analysis(
    id="baker2006",
    title="Baker (2006)",
    question=Label("question_one_of_the_samples", {"samples": 45}),
    run=run,
    claims=("baker2006",),
    reads=Reads(works=("baker2006", "roorda2011")),
)
