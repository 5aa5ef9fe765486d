"""Plausibility: what is possible but unlikely, or impossible without any single cell being wrong.

Every question has a rule and a severity, and can be answered with a recorded reason in the work's `answers.toml`.
"""

from replication.study.plausibility.asking import RaisedQuery, ask
from replication.study.plausibility.query import RULES, Query, Rule

__all__ = ["RULES", "Query", "RaisedQuery", "Rule", "ask"]
