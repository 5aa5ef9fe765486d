"""`study convert` on any numbers: a finite correlation that can be stored, or a refusal in one line."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replication.errors import UserError
from replication.study.converting import KINDS, convert
from replication.study.printed_statistics import PrintedStatistics

NUMBERS = st.one_of(
    st.integers(-5, 500).map(str),
    st.floats(-1e3, 1e3).map(lambda x: f"{x:.3f}"),
    st.sampled_from(["0", "1", "-1", "1e400", "-1e400", "1e300", "1e-300", "1e-400", "nan", "inf", "", "−.35", "<.05"]),
)
NAMES = sorted({name for kind in KINDS.values() for name in kind.takes})


@settings(max_examples=1500, deadline=None)
@given(st.sampled_from(sorted(KINDS)), st.dictionaries(st.sampled_from(NAMES), NUMBERS), st.booleans(), st.booleans())
def test_any_numbers_give_a_storable_correlation_or_a_reason(
    kind: str, numbers: dict[str, str], negative: bool, narrow: bool
) -> None:
    """`narrow` leaves only what the kind takes, so that the formulas are reached."""
    kept = {name: text for name, text in numbers.items() if not narrow or name in KINDS[kind].takes}
    sign = -1 if negative and KINDS[kind].directed else None
    try:
        made = convert(kind, PrintedStatistics(numbers=kept, sign=sign))
    except UserError as error:
        assert "\n" not in str(error) and not str(error).startswith("row ")
        return
    assert math.isfinite(made.value) and (made.statistic == "beta" or abs(made.value) <= 1)
    assert float(made.text) == pytest.approx(made.value, abs=5.1e-5)
    assert made.text.isascii() and made.n >= 4


@settings(deadline=None)
@given(st.floats(-3, 3), st.integers(2, 300), st.integers(2, 300))
def test_d_and_its_t_are_one_correlation(d: float, n1: int, n2: int) -> None:
    """t = d sqrt(n1 n2 / N) of the same groups, and the closed form shown to the user."""
    if n1 + n2 < 4:
        return
    total = n1 + n2
    sizes = {"n1": str(n1), "n2": str(n2)}
    t = d * math.sqrt(n1 * n2 / total)
    by_d = convert("d", PrintedStatistics(numbers={"d": f"{d:.12f}", **sizes}))
    assert convert("t", PrintedStatistics(numbers={"t": f"{t:.12f}", **sizes})).value == pytest.approx(
        by_d.value, abs=1e-9
    )
    assert by_d.value == pytest.approx(d / math.sqrt(d * d + total * (total - 2) / (n1 * n2)), abs=1e-9)
