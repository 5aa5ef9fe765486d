"""What a printed number can stand for, one line an example."""

import math

import pytest

from replication.errors import UserError
from replication.printed import Printed, parse_printed


@pytest.mark.parametrize(
    ("text", "low", "value", "high"),
    [
        ("-.32", -0.325, -0.32, -0.315),
        (".39", 0.385, 0.39, 0.395),
        ("0.390", 0.3895, 0.39, 0.3905),
        ("604.4838", 604.48375, 604.4838, 604.48385),
        ("15%", 14.5, 15, 15.5),
        ("29,438", 29437.5, 29438, 29438.5),
        ("29 438", 29437.5, 29438, 29438.5),
        ("1,017.5", 1017.45, 1017.5, 1017.55),
        ("−.32", -0.325, -0.32, -0.315),
        ("+2", 1.5, 2, 2.5),
        ("7.", 6.5, 7, 7.5),
        ("-1.6590e-01", -0.165905, -0.1659, -0.165895),
        ("1.0000e-10", 0.99995e-10, 1e-10, 1.00005e-10),
        ("0", -0.5, 0, 0.5),
        ("<.001", -math.inf, 0.001, 0.001),
        ("< 0.001", -math.inf, 0.001, 0.001),
        (">.05", 0.05, 0.05, math.inf),
    ],
)
def test_the_digits_define_the_interval(text: str, low: float, value: float, high: float) -> None:
    printed = parse_printed(text)
    assert (printed.low, printed.value, printed.high) == (low, value, high)


def test_unrounded_numbers_are_compared_with_the_interval() -> None:
    printed = parse_printed("-.32")
    assert printed.holds(-0.3249)
    assert printed.holds(-0.325)
    assert not printed.holds(-0.3251)
    assert not printed.holds(math.nan)


@pytest.mark.parametrize(
    "text", ["", "n.s.", "0.3.2", "1,23", "--3", ".", "12 34", "nan", "inf", "3*", "٣", "1e9999999"]
)
def test_what_is_not_a_printed_number_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="not a printed number"):
        parse_printed(text)


def test_a_decimal_comma_is_named() -> None:
    with pytest.raises(UserError, match=r'a decimal comma\? write "-0\.508"'):
        parse_printed("−0,508")


def test_only_a_print_with_a_sign_is_a_percentage() -> None:
    assert parse_printed("15%").percent and not parse_printed("15").percent
    assert not Printed("1", 1.0, 0.5, 1.5, 0).percent


def test_a_printed_number_cannot_be_changed() -> None:
    """It is remembered and handed out again: a change would reach every other reader of the same print."""
    with pytest.raises(AttributeError):
        parse_printed(".39").value = 0.4  # type: ignore[misc]
    assert parse_printed(".39") is parse_printed(".39")


@pytest.mark.parametrize(("text", "decimals"), [("1.5e-3", 4), ("1.5e1", 0), ("2.25", 2), ("-.320", 3)])
def test_decimals_are_counted_from_the_point_whatever_the_exponent(text: str, decimals: int) -> None:
    assert parse_printed(text).decimals == decimals
