"""One volume of the PDF, set by typst and packed: run by itself, as `python typesetting.py <path without suffix>`.

A process of its own, as the compiler takes 200 MB that end with it. It imports nothing of this package, whose loading
would take as long as the setting does.
"""

from __future__ import annotations

import re
import struct
import sys
import zlib
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

__all__ = ["packed"]

_ATTEMPTS = 8
_AT_ONCE = 200
"""Objects to a stream: a reader that wants one unpacks all of it."""
_TRAILER = re.compile(rb"trailer\s*<<(.*)>>\s*startxref\s+(\d+)\s+%%EOF\s*\Z", re.DOTALL)
_OBJECT = re.compile(rb"(\d+) 0 obj\s(.*)\sendobj\s*\Z", re.DOTALL)


def _set(name: str) -> None:
    """Set the volume whose source has this path without its suffix; where that fails, say why and end."""
    volume = Path(f"{name}.pdf")
    _compile(Path(f"{name}.typ"), volume)
    volume.write_bytes(packed(volume.read_bytes()))


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


def packed(pdf: bytes) -> bytes:
    """A PDF whose objects, but those that are streams themselves, stand in compressed streams.

    The compiler writes each by itself, and a tagged volume has thousands: packed it is a third as long. Objects keep
    their numbers and what they hold (ISO 32000-1, 7.5.7). A PDF that is written in another way comes back as it is.
    """
    trailer = _TRAILER.search(pdf)
    if trailer is None:
        return pdf
    table = int(trailer[2])
    starts = sorted(int(start) for start in re.findall(rb"(\d{10}) 00000 n", pdf[table : trailer.start()]))
    found = [_OBJECT.match(pdf[start:end]) for start, end in pairwise([*starts, table])]
    objects = {int(each[1]): each[2] for each in found if each}
    return _written(pdf[: starts[0]], objects, trailer[1]) if len(objects) == len(starts) > 0 else pdf


def _written(head: bytes, objects: Mapping[int, bytes], trailer: bytes) -> bytes:
    """A PDF of these objects by their numbers: first the streams, then the others in streams of objects."""
    plain = [number for number, body in objects.items() if not body.endswith(b"endstream")]
    groups = [plain[at : at + _AT_ONCE] for at in range(0, len(plain), _AT_ONCE)]
    first = max(objects) + 1
    # What the list of references says of a number: 2, the stream it stands in, its place there; or 1, where it begins.
    entries = {number: (2, first + i, at) for i, group in enumerate(groups) for at, number in enumerate(group)}
    whole = {number: body for number, body in objects.items() if number not in entries}
    whole |= {first + i: _stream_of(objects, group) for i, group in enumerate(groups)}
    parts, length = [head], len(head)
    for number, body in whole.items():
        entries[number] = 1, length, 0
        parts.append(b"%d 0 obj\n%b\nendobj\n" % (number, body))
        length += len(parts[-1])
    last = first + len(groups)
    references = _references(entries | {last: (1, length, 0)}, trailer)
    return b"".join([*parts, b"%d 0 obj\n%b\nendobj\nstartxref\n%d\n%%%%EOF" % (last, references, length)])


def _references(entries: Mapping[int, tuple[int, int, int]], trailer: bytes) -> bytes:
    """The list of references, where each object is to be found, with what stood in the trailer."""
    free = 0, 0, 65535
    rows = [struct.pack(">BIH", *entries.get(number, free)) for number in range(max(entries) + 1)]
    about = re.sub(rb"/Size \d+", b"", trailer) + b"/Type/XRef/Size %d/W[1 4 2]" % len(rows)
    return _stream(about, b"".join(rows))


def _stream_of(objects: Mapping[int, bytes], numbers: list[int]) -> bytes:
    """A stream that holds these of the objects, with their numbers and places before them."""
    ends = [0]
    for number in numbers:
        ends.append(ends[-1] + len(objects[number]) + 1)
    index = b" ".join(b"%d %d" % place for place in zip(numbers, ends, strict=False)) + b"\n"
    about = b"/Type/ObjStm/N %d/First %d" % (len(numbers), len(index))
    return _stream(about, index + b"\n".join(objects[number] for number in numbers))


def _stream(about: bytes, content: bytes) -> bytes:
    small = zlib.compress(content)
    return b"<<%b/Filter/FlateDecode/Length %d>>\nstream\n%b\nendstream" % (about, len(small), small)


if __name__ == "__main__":
    _set(sys.argv[1])
