"""Magro et al. (2024): r and Fisher z are printed side by side, so each can be checked against the other."""

import math
from collections.abc import Mapping

from replication.analysis import printed_only, value_of
from replication.claims import Answer, Checked, Claim


def checks(claims: Mapping[str, Claim]) -> Mapping[str, Answer]:
    r, z = value_of(claims, "magro2024-003"), value_of(claims, "magro2024-004")
    return {
        "magro2024-003": Checked(math.tanh(z.low), math.tanh(z.high), f"tanh of the printed z {z.text}"),
        "magro2024-004": Checked(math.atanh(r.low), math.atanh(r.high), f"Fisher z of the printed r {r.text}"),
    }


ANALYSIS = printed_only("magro2024", "Magro et al. (2024)", checks)
