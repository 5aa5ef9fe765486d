"""Where something was read, as an address that is safe to link to."""

from __future__ import annotations

import re

__all__ = ["web_address"]

_DOMAIN = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z]{2,}(/\S*)?", re.IGNORECASE)


def web_address(text: str) -> str:
    """The http(s) address a text is, or stands for (a DOI, a domain with a path); empty when it is none.

    >>> web_address("10.1037/spq0000249"), web_address("javascript:alert(1)")
    ('https://doi.org/10.1037/spq0000249', '')
    """
    text = text.strip()
    if re.fullmatch(r"https?://\S+", text):
        return text
    if re.fullmatch(r"10\.\d{4,9}/\S+", text):
        return f"https://doi.org/{text}"
    return f"https://{text}" if "/" in text and _DOMAIN.fullmatch(text) else ""
