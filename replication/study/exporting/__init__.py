"""The dataset for other programs: a Frictionless data package, files for metafor and metaSEM, and an R script."""

from replication.study.exporting.writing import Exported, export_dataset

__all__ = ["Exported", "export_dataset"]
