"""From a public survey file and a recipe to correlations: reading, coding, correlating. No micro-data is ever kept."""

from replication.study.microdata.applied_recipes import Computed, ComputedRow, compute_recipe, find_recipe
from replication.study.microdata.coding import Coded, code_sample
from replication.study.microdata.correlations import Correlated, correlate, kish_size
from replication.study.microdata.survey_files import SurveyTable, read_columns

__all__ = [
    "Coded",
    "Computed",
    "ComputedRow",
    "Correlated",
    "SurveyTable",
    "code_sample",
    "compute_recipe",
    "correlate",
    "find_recipe",
    "kish_size",
    "read_columns",
]
