"""TeX's letters as letters: what reference managers write as L{\\o}vlie and {\\=u}, by the codec that pybtex brings."""

from __future__ import annotations

import codecs
import re

__all__ = ["tex_to_text"]

# An accent stands on the plain letter once it is one letter; a brace goes only with the one that opened it.
_DOTLESS = re.compile(r"(\{)?\\([ij])(?![A-Za-z])(?(1)\})")
_COMMAND = re.compile(r"\\[A-Za-z]+\s*(?=\{)")
_LETTER = re.compile(r"\{([^\x00-\x7f])\}|\{\}")  # braces that only held the command of a letter, or end one
_QUOTES = {"textquotedblleft": "“", "textquotedblright": "”", "textquoteleft": "‘", "textquoteright": "’"}
_QUOTE = re.compile(rf"\\({'|'.join(_QUOTES)})(?![A-Za-z])[ \t]*")  # which the codec writes, but does not read
_SPACE = re.compile(r"\\[,:;]")
_NO_SPACE = re.compile(r"\\[!/-]")
_REST = re.compile(r"\\([&%$#_{} ])")


def tex_to_text(text: str) -> str:
    """The text with TeX's letters decoded and its commands gone; other braces stay, as does text without TeX.

    >>> tex_to_text(r"L{\\o}vlie, Gr{\\=u}z{\\=i}tis, 10\\%, \\emph{skolen}")
    'Løvlie, Grūzītis, 10%, {skolen}'
    >>> tex_to_text(r"Ji\\v{r}{\\'\\i}, {\\textquotedblleft}50\\,\\%{\\textquotedblright} \\o{}")
    'Jiří, “50 %” ø'
    """
    if "\\" not in text:
        return text  # an unescaped % would begin a comment for the codec
    import latexcodec  # noqa: F401  registers the codec

    plain = _DOTLESS.sub(r"\2", text)
    plain = _QUOTE.sub(lambda quote: _QUOTES[quote[1]], _NO_SPACE.sub("", _SPACE.sub(" ", plain)))
    # A bare % begins a comment in TeX and would swallow the rest of a title.
    escaped = re.sub(r"(?<!\\)%", r"\\%", plain)
    try:
        decoded = str(codecs.lookup("ulatex").decode(escaped)[0])  # type: ignore[arg-type]  # text to text
    except ValueError:
        decoded = escaped
    return _LETTER.sub(r"\1", _REST.sub(r"\1", _COMMAND.sub("", decoded)))
