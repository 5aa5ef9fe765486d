"""Hostile values and files, from reports of others and from our own tries: what a cell, a value, a file may be.

Each was once a traceback, a hang, a silent acceptance or a script that ran, here or elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["BYTES", "CELLS", "IMPOSSIBLE", "RECORDS"]

CELLS = (
    "", " ", "0", "-0", "-1", "1", "1.5", ".99999", "-.5", "1e999", "-1e999", "1e-999", "1e308", "9" * 15, "9" * 400,
    "NaN", "nan", "inf", "-inf", "Infinity", "None", "null", "NA", "n/a", "TRUE", "0x10", "1_000", "1,5", "1.000,5",
    "٠.٥", "१२", "−.3", "–.3", "½", "1/2", "50%", "500%", "<.001", "> 1", "±.3", "1e", "e5", ".", "-", "+", "--1",
    "=1+1", "=HYPERLINK(\"http://x\")", "+cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0", "@SUM(1)", "|calc", "%0A",
    "\t=1", "＝1+1", "'=1", "#REF!", "#12", "31.des", "4.12E+02", "####", "2024-01-31",
    "<script>alert(1)</script>", "javascript:alert(1)", "{{7*7}}", "{% raise %}", "$(reboot)", "`id`", "; rm -rf /",
    "../../etc/passwd", "con", "nul", "a/b", "a\\b", "%s%s%n", "{0.__class__}", "\\", "\"", "'", "''", ";", "|", "~",
    "\u202e.32", "\u200b.3", "\ufeff.3", "\u00ad", "a\u2028b", "a\u00a0b",
    "\u0000", "\u0007", "\u001b[31m", "\ud7ff", "\ufffe", "\U000e0041",
    "王秀英", "สมชาย", "😀", "می\u200cخواهم", "é", "e\u0301", "Ã¸", "ß", "İ", "x" * 30_000, "a," * 2_000, "\r", "a\rb",
    "positive", "engagement", "alpha2020_s1",
    "beta2021_s1", "alpha2020-e1", "beta2021-e1", "1.0.0", "9.9.9", "student",
)  # fmt: skip
"""Cells; in a table they are quoted where the format needs it, and sometimes not."""

RECORDS = (
    'x = "\\u202e"', "x = 1979-05-27T07:32:00", "x = nan", "x = inf", "x = 9223372036854775808", "x = 0xdeadbeef",
    "[[x]]", "[x.y.z]", "x = [[[[[[]]]]]]", "x = {a = {b = {c = 1}}}", "x = '''\n'''", "x = ", "= 1", "[", "]]",
    "key = 1", "role = []", 'setting = "\\u0000"', 'kind = "' + "k" * 9_000 + '"', "since = 1.0", 'since = "9.9.9"',
    "x = " + "[" * 900,
    "\x00", "\ufeff\ufeff", "# \u202e comment", 'title = {"a" = 1}', "peer_reviewed = 1", 'missing = "<script>"',
)  # fmt: skip
"""Lines for a TOML record."""

BYTES: tuple[Callable[[bytes], bytes], ...] = (
    lambda old: b"",
    lambda old: b"\xff\xfe" + old.decode("utf-8", "replace").encode("utf-16-le"),
    lambda old: old.decode("utf-8", "replace").encode("cp1252", "replace"),
    lambda old: b"\xef\xbb\xbf" + old,
    lambda old: old.replace(b"\n", b"\r\n"),
    lambda old: old.replace(b"\n", b"\r"),
    lambda old: old.replace(b",", b";"),
    lambda old: old.replace(b",", b"\t"),
    lambda old: b"sep=;\n" + old,
    lambda old: old + old,
    lambda old: old[: len(old) // 2],
    lambda old: old[:-1],
    lambda old: old + b"\x00",
    lambda old: old.replace(b"a", b"\x00", 1),
    lambda old: b"\x1f\x8b\x08" + old,
    lambda old: b"PK\x03\x04" + old,
    lambda old: old.swapcase(),
    lambda old: b"\n" * 5_000 + old,
    lambda old: old + b'"',
    lambda old: b"<html><body>404</body></html>\n",
    lambda old: b"<<<<<<< HEAD\n" + old + b"=======\n" + old + b">>>>>>> theirs\n",
    lambda old: b"".join(old.splitlines(keepends=True)[::-1]),
    lambda old: old.replace(b"1.0.0", b"1.0.0.0"),
    lambda old: old * 40,
)
"""What may happen to a whole file: other encodings, separators and line ends, cut, doubled, something else."""

IMPOSSIBLE = (
    ("effects.csv", "value", "1.2"), ("effects.csv", "value", "-1"), ("effects.csv", "value", "1e999"),
    ("effects.csv", "n", "3"), ("effects.csv", "n", "120.5"), ("effects.csv", "n", "999999999999999"),
    ("effects.csv", "n_effective", "1.5"), ("effects.csv", "n_effective", "-4"), ("effects.csv", "n_effective", "1e99"),
    ("effects.csv", "se", "-1"), ("effects.csv", "se", "1e999"), ("effects.csv", "p", "-.5"), ("effects.csv", "p", "2"),
    ("effects.csv", "ci_low", "-1e999"), ("effects.csv", "ci_high", "1e999"), ("effects.csv", "clusters", "0"),
    ("samples.csv", "n", "0"), ("samples.csv", "n", "-5"), ("samples.csv", "age_mean", "900"),
    ("samples.csv", "female_pct", "101"), ("samples.csv", "schools", "0"),
    ("claims.csv", "printed", "1e999"), ("claims.csv", "printed", "1.4"), ("claims.csv", "se", "-1"),
    ("claims.csv", "p", "-.5"), ("claims.csv", "n", "0"), ("claims.csv", "k", "1000000000000000"),
    ("claims.csv", "ci_low", "-1e999"), ("claims.csv", "ci_high", "1e999"), ("claims.csv", "ci_high", "1.7"),
)  # fmt: skip
"""Table, column and a value that no study can have, whatever else its row says."""
