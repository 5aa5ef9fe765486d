"""The dataset: `data/references` -> frozen tables with a digest. It knows nothing of statistics."""

from replication.dataset.loading import Checked, check_dataset, load_dataset, readable_dataset
from replication.dataset.model import Dataset, kept_with
from replication.dataset.problems import Problem, format_problems
from replication.dataset.selection import Exclusion, Selection, select
from replication.dataset.views import Reads, view_of

__all__ = [
    "Checked",
    "Dataset",
    "Exclusion",
    "Problem",
    "Reads",
    "Selection",
    "check_dataset",
    "format_problems",
    "kept_with",
    "load_dataset",
    "readable_dataset",
    "select",
    "view_of",
]
