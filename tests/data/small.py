"""The small dataset of the tests: built in a folder, changed by a line, checked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from replication.dataset import Checked, check_dataset

SAMPLES = "sample_id,label,n,unit,country,since\nalpha2020_s1,Alpha,120,student,Norway,1.0.0\n"
EFFECTS = (
    "effect_id,sample_id,var_a,var_b,statistic,value,n,informant_a,informant_b,source,locator,reading,since,note\n"
    "alpha2020-e1,alpha2020_s1,positive,engagement,r,.35,120,student,student,doi:10/x,Table 2,table,1.0.0,\n"
    "alpha2020-e2,alpha2020_s1,negative,engagement,r,-.20,118,teacher,student,doi:10/x,Table 2,table,1.0.0,\n"
)
CLAIMS = (
    "claim_id,quantity,statistic,printed,locator,reading,since\n"
    "alpha2020-001,pooled correlation: positive relationship with engagement,r,.34,abstract,abstract,1.0.0\n"
)
WORK = 'key = "{}"\nkind = "primary_study"\nrole = "primary"\nsetting = "school"\nquantitative = "yes"\n'
BIB = "@article{{{0},\n  author = {{Invented, I.}},\n  title = {{An invented study}},\n  year = {{2020}}\n}}\n"


@dataclass(frozen=True)
class Small:
    """The folder, and short ways to change and check it."""

    root: Path

    @classmethod
    def build(cls, root: Path, real: Path) -> Small:
        root.mkdir()
        (root / "article").mkdir()
        for name in ("vocabulary.toml", "traps.toml", "article/statements.toml", "article/corrections.toml"):
            text = (real / name).read_text(encoding="utf-8")
            (root / name).write_text(re.sub(r"works = \[[^\]]*\]", "works = []", text), encoding="utf-8")
        small = cls(root)
        small.write("VERSION", "1.0.0\n")
        small.write("references.bib", BIB.format("alpha2020") + BIB.format("beta2021"))
        small.write("alpha2020/work.toml", WORK.format("alpha2020"))
        small.write("alpha2020/samples.csv", SAMPLES)
        small.write("alpha2020/effects.csv", EFFECTS)
        small.write("alpha2020/claims.csv", CLAIMS)
        small.write("beta2021/work.toml", WORK.format("beta2021"))
        small.write("beta2021/samples.csv", SAMPLES.replace("alpha2020", "beta2021"))
        other = EFFECTS.replace(".35", ".31").replace(".20", ".25").replace("118", "110")
        small.write("beta2021/effects.csv", other.replace("alpha2020", "beta2021"))
        return small

    def write(self, file: str, content: str | bytes) -> None:
        path = self.root / file
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def replace(self, file: str, old: str, new: str) -> None:
        text = (self.root / file).read_text(encoding="utf-8")
        assert old in text
        self.write(file, text.replace(old, new))

    def check(self) -> Checked:
        return check_dataset(self.root)

    def lines(self) -> list[str]:
        return [str(problem) for problem in self.check().problems]
