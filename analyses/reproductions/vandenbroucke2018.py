"""Vandenbroucke et al. (2018): printed numbers without public data; each claim says what is missing."""

from replication.analysis import printed_only

ANALYSIS = printed_only("vandenbroucke2018", "Vandenbroucke et al. (2018)")
