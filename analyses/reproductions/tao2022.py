"""Tao et al. (2022): the overall mean against its parts."""

from collections.abc import Mapping

from replication.analysis import between, printed_only
from replication.claims import Answer, Claim


def checks(claims: Mapping[str, Claim]) -> Mapping[str, Answer]:
    return {"tao2022-002": between(claims, ["tao2022-004", "tao2022-005"])}


ANALYSIS = printed_only("tao2022", "Tao et al. (2022)", checks)
