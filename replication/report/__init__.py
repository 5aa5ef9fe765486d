"""Outcomes -> site, figures, PDF. Computes no number: everything shown is in an outcome or in the dataset."""

from replication.report.site import build_report

__all__ = ["build_report"]
