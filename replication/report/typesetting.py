"""One volume of the PDF, set by typst and packed: run by itself, as `python typesetting.py <path without suffix>`.

A process of its own, as the compiler takes 200 MB that end with it. It imports nothing of this package, whose loading
would take as long as the setting does.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

__all__: list[str] = []

_ATTEMPTS = 8


def _set(name: str) -> None:
    """Set the volume whose source has this path without its suffix; where that fails, say why and end."""
    volume = Path(f"{name}.pdf")
    _compile(Path(f"{name}.typ"), volume)
    _pack(volume)


def _compile(source: Path, volume: Path) -> None:
    import typst

    text, lacking = source.read_text(encoding="utf-8"), set[str]()
    for _ in range(_ATTEMPTS):
        try:
            return typst.compile(source, output=volume, ignore_system_fonts=True, pdf_standards=["ua-1"])
        except typst.TypstError as error:
            more = _letters_in(error.diagnostic) - lacking
            if not more:
                raise SystemExit(str(error)) from None
            lacking |= more
            shown = text.translate({ord(letter): "□" for letter in lacking})
            source.write_text(shown.replace("#let lacking = false", "#let lacking = true", 1), encoding="utf-8")
    raise SystemExit("letters that the fonts lack could not be replaced")


def _letters_in(diagnostic: str) -> set[str]:
    """The letters the compiler says its fonts lack: nobody else knows what they hold."""
    found = re.findall(r'the text `"(.+?)"` could not be displayed', diagnostic)
    texts = [re.sub(r"\\u\{([0-9a-f]+)\}", lambda code: chr(int(code[1], 16)), text) for text in found]
    return {letter for text in texts for letter in text if ord(letter) > 127}


def _pack(volume: Path) -> None:
    """Put the objects of a volume into compressed streams.

    The compiler writes each by itself, and a tagged volume has thousands: packed it is a third as long.
    """
    import pikepdf

    with pikepdf.open(volume, allow_overwriting_input=True) as pdf:
        pdf.save(volume, object_stream_mode=pikepdf.ObjectStreamMode.generate, deterministic_id=True)


if __name__ == "__main__":
    _set(sys.argv[1])
