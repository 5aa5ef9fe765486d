"""Properties of rounding intervals, for any number and any print of it."""

from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replication.printed import parse_printed

numbers = st.decimals(min_value=-100_000, max_value=100_000, places=8, allow_nan=False, allow_infinity=False)
decimals = st.integers(0, 6)


@given(numbers, decimals, st.sampled_from([ROUND_HALF_UP, ROUND_HALF_EVEN]))
def test_any_number_lies_in_the_interval_of_its_own_print(number: Decimal, places: int, rounding: str) -> None:
    printed = str(number.quantize(Decimal(1).scaleb(-places), rounding=rounding))
    assert parse_printed(printed).holds(float(number))


@given(numbers, decimals)
def test_the_interval_is_one_unit_of_the_last_digit_wide_and_centred(number: Decimal, places: int) -> None:
    printed = parse_printed(f"{number:.{places}f}")
    assert printed.high - printed.low == pytest.approx(10.0**-places, rel=1e-9, abs=1e-10)
    assert (printed.high + printed.low) / 2 == pytest.approx(printed.value, abs=1e-9)


@given(numbers, decimals)
def test_a_missing_leading_zero_and_a_typographic_minus_change_nothing(number: Decimal, places: int) -> None:
    text = f"{number:.{places}f}"
    bare = text.replace("-0.", "-.") if text.startswith("-0.") else text.removeprefix("0") or text
    if bare in ("", "-") or (bare.startswith("-") and len(bare) == 1):
        bare = text
    other = parse_printed(bare.replace("-", "−"))
    assert (other.low, other.high) == (parse_printed(text).low, parse_printed(text).high)


@given(st.integers(0, 10**9))
def test_thousands_separators_change_nothing(number: int) -> None:
    assert parse_printed(f"{number:,}").low == parse_printed(str(number)).low


@given(numbers, decimals)
def test_more_digits_never_widen_the_interval(number: Decimal, places: int) -> None:
    coarse, fine = parse_printed(f"{number:.{places}f}"), parse_printed(f"{number:.{places + 1}f}")
    assert fine.high - fine.low < coarse.high - coarse.low


@given(st.text(max_size=12))
def test_any_text_is_read_or_refused_with_a_message(text: str) -> None:
    from replication.errors import UserError

    try:
        printed = parse_printed(text)
    except UserError as error:
        assert "not a printed number" in str(error)
    else:
        assert printed.low <= printed.value <= printed.high
