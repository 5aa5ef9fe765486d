"""Multilevel models and CR2 beside metafor and clubSandwich, in one run: `python -m benchmarks.multilevel`.

Every case runs in a process of its own, so its peak memory is its own (the interpreter and its libraries take about
150 MB of it). Times are the fastest of a few calls. Where Rscript or a package is missing the peer's column says so.
"""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from replication.models.multilevel.multilevel import fit_multilevel
from replication.models.multilevel.results import profile_intervals
from replication.models.multilevel.robust import robust
from replication.models.multilevel.structure import BlockV

# case -> effects, studies, work
CASES = {
    "small fit": (85, 45, "fit"),
    "small fit, assumed rho": (85, 45, "rho"),
    "small fit, CR2": (85, 45, "cr2"),
    "small fit, profile intervals": (85, 45, "profile"),
    "small fit, crossed": (85, 45, "crossed"),
    "2,000 effects": (2_000, 400, "fit"),
    "2,000 effects, CR2": (2_000, 400, "cr2"),
    "100,000 effects": (100_000, 20_000, "fit"),
    "100,000 effects, assumed rho": (100_000, 20_000, "rho"),
    "100,000 effects, four levels": (100_000, 20_000, "four"),
    "100,000 effects, CR2": (100_000, 20_000, "cr2"),
    "100,000 effects, crossed with 50": (100_000, 20_000, "crossed"),
    "1,000,000 effects": (1_000_000, 200_000, "fit"),
    "1,000,000 effects, assumed rho": (1_000_000, 200_000, "rho"),
}
PEER_LIMIT = 2_000

PEER = """
suppressMessages({library(metafor); library(clubSandwich)})
d <- as.data.frame(jsonlite::fromJSON(commandArgs(TRUE)[1]))
work <- commandArgs(TRUE)[2]
d$row <- seq_len(nrow(d))
V <- if (work == "rho") vcalc(v, cluster = study, obs = row, rho = 0.6, data = d) else d$v
random <- if (work == "crossed") list(~ 1 | study, ~ 1 | method, ~ 1 | row) else ~ 1 | study/row
fit <- function() rma.mv(y, V, random = random, data = d, sparse = nrow(d) > 500)
r <- fit()
todo <- switch(work, cr2 = function() coef_test(r, vcov = "CR2", cluster = d$study),
  profile = function() confint(r), fit)
once <- function() { start <- Sys.time(); todo(); as.numeric(difftime(Sys.time(), start, units = "secs")) }
cat(min(replicate(if (nrow(d) > 500) 1 else 5, once())))
"""


def data(k: int, m: int) -> dict[str, np.ndarray]:
    """k effects in m studies (20 regions), measured by up to 50 methods; variances .02 between, .01 within studies."""
    rng = np.random.default_rng(1)
    study, method = rng.integers(0, m, k), rng.integers(0, min(50, m // 5), k)
    region, v = (np.arange(m) % 20)[study], rng.uniform(0.005, 0.05, k)
    shared = rng.normal(0, 0.14, m)[study] + rng.normal(0, 0.1, 50)[method] + rng.normal(0, 0.1, 20)[region]
    y = 0.2 + shared + rng.normal(size=k) * np.sqrt(v + 0.01)
    return {"y": y, "v": v, "study": study, "method": method, "region": region}


def task(d: dict[str, np.ndarray], work: str) -> Callable[[], object]:
    """The call to be timed."""
    y, v, study = d["y"], d["v"], {"study": d["study"]}
    if work == "rho":
        return lambda: fit_multilevel(y, BlockV.constant_correlation(v, d["study"], 0.6), study)
    if work == "four":
        return lambda: fit_multilevel(y, v, {"region": d["region"], **study})
    if work == "crossed":
        return lambda: fit_multilevel(y, v, {**study, "method": d["method"]}, structure="crossed")
    if work == "fit":
        return lambda: fit_multilevel(y, v, study)
    fit = fit_multilevel(y, v, study)
    return (lambda: robust(fit)) if work == "cr2" else (lambda: profile_intervals(fit))


def measure(case: str) -> dict[str, float]:
    """Seconds of the fastest call and peak megabytes of this process."""
    k, m, work = CASES[case]
    call, seconds = task(data(k, m), work), []
    for _ in range(20 if k < 1_000 else 3):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return {"seconds": min(seconds), "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def ours(case: str) -> dict[str, float]:
    """`measure` in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.multilevel", case]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def peer(case: str) -> float | None:
    """Seconds of metafor or clubSandwich on the same data; None where they are missing or cannot hold the matrices."""
    k, m, work = CASES[case]
    rscript = shutil.which("Rscript")
    if rscript is None or k > PEER_LIMIT:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.json"
        path.write_text(json.dumps({name: column.tolist() for name, column in data(k, m).items()}), encoding="utf-8")
        done = subprocess.run([rscript, "-e", PEER, str(path), work], capture_output=True, text=True, check=False)
    return float(done.stdout) if done.returncode == 0 else None


def main() -> None:
    """Print the table, or the figures of the one case that is named."""
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1])))
        return
    print(f"{'':34} {'ours':>10} {'peak MB':>8} {'R':>10} {'ratio':>7}")
    for case in CASES:
        mine, theirs = ours(case), peer(case)
        beside = f"{theirs:9.3f}s {theirs / mine['seconds']:6.0f}x" if theirs else f"{'-':>10} {'-':>7}"
        print(f"{case:34} {mine['seconds']:9.4f}s {mine['megabytes']:8.0f} {beside}")


if __name__ == "__main__":
    main()
