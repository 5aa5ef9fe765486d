"""Lei et al. (2022): the overall mean against its parts."""

from collections.abc import Mapping

from replication.analysis import between, printed_only
from replication.claims import Answer, Claim


def checks(claims: Mapping[str, Claim]) -> Mapping[str, Answer]:
    splits = {
        "region": ["lei2022-005", "lei2022-006", "lei2022-007"],
        "level": ["lei2022-008", "lei2022-009", "lei2022-010"],
    }
    return {"lei2022-004": between(claims, splits["level"])}


ANALYSIS = printed_only("lei2022", "Lei et al. (2022)", checks)
