"""Magro et al. (2024): r and Fisher z are printed side by side, so each can be checked against the other."""

from collections.abc import Mapping

from replication.analysis import printed_only, value_of
from replication.claims import Answer, Checked, Claim
from replication.effects.correlation import back_to_r, to_fisher_z


def checks(claims: Mapping[str, Claim]) -> Mapping[str, Answer]:
    r, z = value_of(claims, "magro2024-003"), value_of(claims, "magro2024-004")
    (r_low, r_high), (z_low, z_high) = back_to_r([z.low, z.high]).tolist(), to_fisher_z([r.low, r.high]).tolist()
    return {
        "magro2024-003": Checked(r_low, r_high, f"tanh of the printed z {z.text}"),
        "magro2024-004": Checked(z_low, z_high, f"Fisher z of the printed r {r.text}"),
    }


ANALYSIS = printed_only("magro2024", "Magro et al. (2024)", checks)
