"""How a country is written: models group samples by its name, so one country has one spelling.

Names and codes come from Babel's copy of the CLDR. A dataset's own spelling goes before: what its samples call a
country already, "Turkey" or "England", is what further samples are to call it, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

__all__ = ["country_letters", "english_name", "held_names", "territory"]

_LANGUAGES = ("de", "nb", "en")  # in which countries are recognised; where two differ on a word, the last holds
_OTHERWISE = {
    "US": ("U.S.", "U.S.A.", "United States of America", "The United States", "America"),
    "GB": ("U.K.", "Great Britain", "Britain"),
    "NL": ("The Netherlands", "Holland"),
    "KR": ("Korea", "Republic of Korea"),
    "CZ": ("Czech Republic", "The Czech Republic"),
    "TR": ("Turkey", "Turkiye"),
    "RU": ("Russian Federation",),
    "VN": ("Viet Nam",),
    "HK": ("Hong Kong",),
    "MO": ("Macao", "Macau"),
    "MK": ("Macedonia",),
    "CN": ("People's Republic of China", "PR China", "Mainland China"),
    "TW": ("Chinese Taipei",),
}
"""Names that articles use and the CLDR does not give as a country's name, by its code."""


def territory(text: str) -> str:
    """The two-letter code of a country, from its name in a few languages or a code of it; "" for anything else.

    >>> territory("USA"), territory("Norge"), territory("The Netherlands"), territory("TUR"), territory("Europe")
    ('US', 'NO', 'NL', 'TR', '')
    """
    return _codes().get(" ".join(text.split()).casefold(), "")


def english_name(code: str) -> str:
    """A country's English name from its two-letter code.

    >>> english_name("NO")
    'Norway'
    """
    from babel import Locale

    return str(Locale("en").territories[code])


def held_names(countries: Iterable[str]) -> Mapping[str, str]:
    """The name that each country has in these cells, by its two-letter code: the most frequent one; codes are no names.

    >>> dict(held_names(["NOR", "Turkey", "Türkiye", "Turkey", ""]))
    {'TR': 'Turkey'}
    """
    times: dict[str, dict[str, int]] = {}
    for name in countries:
        code = "" if name.isupper() else territory(name)
        if code:
            names = times.setdefault(code, {})
            names[name] = names.get(name, 0) + 1
    return {code: max(names, key=lambda name: names[name]) for code, names in times.items()}


def country_letters(value: str) -> str:
    """The three letters of a country's numeric ISO code, or of the letters themselves; "" for a code of no country.

    >>> country_letters("578"), country_letters("40"), country_letters("926")
    ('NOR', 'AUT', '')
    """
    from babel.core import get_global

    alias = get_global("territory_aliases")
    code = value.zfill(3) if value.isdigit() else value.upper()
    land = alias.get(code, [])
    # A code that now stands for several countries (the former Yugoslavia) names none of them.
    three = [name for name, now in alias.items() if now == land and len(name) == 3 and name.isalpha()]
    return str(three[0]) if len(land) == 1 and three else ""


@cache
def _codes() -> Mapping[str, str]:
    """Two-letter codes by every name and code a country is recognised by, in small letters."""
    from babel import Locale
    from babel.core import get_global

    # An alias of several countries (the former Yugoslavia) names none of them.
    aliases = {alias: lands[0] for alias, lands in get_global("territory_aliases").items() if len(lands) == 1}
    found = {alias.casefold(): land for alias, land in aliases.items() if len(alias) <= 3}
    for language in _LANGUAGES:
        names = ((str(code), str(name)) for code, name in Locale(language).territories.items())
        lands = [(code, name) for code, name in names if len(code) == 2 and code.isalpha()]
        found |= {word.casefold(): code for code, name in lands for word in (name, code)}
    return found | {name.casefold(): code for code, more in _OTHERWISE.items() for name in more}
