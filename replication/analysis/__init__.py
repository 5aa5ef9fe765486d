"""Analyses: what a file under `analyses/` declares, and how it becomes an outcome."""

from replication.analysis.outcome import Analysis, Context, Estimate, Figure, Findings, Outcome, Sentence, Table, plain
from replication.analysis.printed_answers import (
    agrees_with,
    between,
    centred_interval,
    fits_p,
    missing,
    printed_only,
    share_of,
    sum_of,
    value_of,
)
from replication.analysis.running import analysis_files, choose, load_analysis, run_analysis

__all__ = [
    "Analysis",
    "Context",
    "Estimate",
    "Figure",
    "Findings",
    "Outcome",
    "Sentence",
    "Table",
    "agrees_with",
    "analysis_files",
    "between",
    "centred_interval",
    "choose",
    "fits_p",
    "load_analysis",
    "missing",
    "plain",
    "printed_only",
    "run_analysis",
    "share_of",
    "sum_of",
    "value_of",
]
