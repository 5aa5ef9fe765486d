"""Roorda et al. (2014): the studies of 2011 split by school type; the parts do not add up to the whole."""

from collections.abc import Mapping

from replication.analysis import printed_only, value_of
from replication.claims import Answer, Checked, Claim


def checks(claims: Mapping[str, Claim]) -> Mapping[str, Answer]:
    whole = value_of(claims, "roorda2011-001")
    answers = {}
    for part, other in (("roorda2014-001", "roorda2014-003"), ("roorda2014-003", "roorda2014-001")):
        rest = whole.value - value_of(claims, other).value
        how = (
            f"at most the {whole.text} studies of 2011 less those of the other school type ({other}); "
            f"studies over both levels seem to be left out (inference)"
        )
        answers[part] = Checked(0, rest, how, rest)
    return answers


ANALYSIS = printed_only("roorda2014", "Roorda et al. (2014)", checks, beside=("roorda2011",))
