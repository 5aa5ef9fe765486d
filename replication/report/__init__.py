"""Outcomes -> site, figures, PDF. Computes no number: everything shown is in an outcome or in the dataset.

What an analysis gives, and where the report shows it:

- figures: the kinds, columns and settings of `replication.report.figures`; any other kind is shown as a table;
- sentences: a key with a template in `locale/en.toml` and `locale/nb.toml` ([sentences]); each number leads to what its
  typed reference names, and one without a reference is an error;
- a finding's estimates, tables, figures and sentences stand in the section they name (`analysis.outcome.Section`); a
  table with the id of a figure is shown on the figure's page;
- titles, labels and column heads are keys of [labels] in both files; texts of the dataset are looked up in [of_data];
- an outcome of kind "simulated" is called simulated wherever it is shown.
"""

from typing import TYPE_CHECKING

from replication.lazily import on_first_use

if TYPE_CHECKING:
    from replication.report.site import Workshop, build_report

__all__ = ["Workshop", "build_report"]

# The check of a study asks the menu for its pages, and must not wait for the whole report to be imported.
__getattr__ = on_first_use(__name__, {"replication.report.site": __all__})
