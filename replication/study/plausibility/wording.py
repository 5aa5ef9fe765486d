"""Does the wording hold the value? "r = .53" beside a value of .35 is a slip of the hand in one of the two."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

from replication.dataset.problems import shown
from replication.study.plausibility.suspicion import Place, Suspicion

__all__ = ["check_wording"]

_NUMBER = r"(?:(?<![\w.,)])[-+−–‐‑]\s?)?(?:[0-9]{1,12}(?:[.,][0-9]{1,12})?|[.,][0-9]{1,12})"
_EVERY = re.compile(rf"(?<![\w.,]){_NUMBER}")
_SYMBOLS = {
    "r": r"[rρ](?:_?(?:xy|p|s))?",
    "partial_r": r"p?[rρ](?:_?(?:xy|p|partial))?",
    "beta": r"(?:β|[bB]eta)",
    "d": r"d",
    "log_odds": r"(?:log ?OR|log ?odds(?: ratio)?)",
}
_FORMS = {
    statistic: re.compile(rf"(?<![\w.]){symbol}\s?(?:\([^()]{{0,20}}\)\s?)?[=:]\s?({_NUMBER})")
    for statistic, symbol in _SYMBOLS.items()
}
_BARE = re.compile(rf"\s*({_NUMBER})\s*[*†‡]{{0,4}}(?:\s*[,;(]\s*p\s?[=<>≤].*)?\s*")
_PLAIN = str.maketrans({**dict.fromkeys("−–‐‑", "-"), ",": ".", "+": ""})


def check_wording(place: Place, statistic: str, value: str, wording: str) -> Iterator[Suspicion]:
    """A wording that gives the statistic a number, while none of its numbers is the value."""
    form = _FORMS.get(statistic)
    given = (form.search(wording) if form is not None else None) or _BARE.fullmatch(wording)
    if given is None:
        return
    held = _decimal(value)
    if held not in map(_decimal, _EVERY.findall(wording)):
        found = shown(wording)
        expected = f"a wording that holds the value, {value}"
        hint = f"it holds {given[1].strip()}: which of the two is mistyped?"
        yield Suspicion.about(place, "as_printed", "as-printed", found, expected, hint)


def _decimal(text: str) -> Decimal:
    return Decimal("".join(text.split()).translate(_PLAIN))
