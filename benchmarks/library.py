"""The layer of data frames and the models added with it, beside metafor in one run: `python -m benchmarks.library`.

Every time is the best of several calls. Where Rscript or metafor is missing the peer's column says so.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

import replication as tsr
from benchmarks.random_effects import best
from replication.models import (
    fit_counts,
    fit_location_scale,
    fit_multivariate,
    fit_random_effects,
    permutation_test,
    study_counts,
)

PINNED = Path(__file__).parent.parent / "tests" / "reference" / "metafor"
BERKEY, COUNTS = PINNED / "multivariate.json", PINNED / "counts.json"

PEER = """
suppressMessages(library(metafor))
once <- function(f) { start <- Sys.time(); f(); as.numeric(difftime(Sys.time(), start, units = "secs")) }
best <- function(f, repeats) min(replicate(repeats, once(f)))
b <- dat.berkey1998
V <- bldiag(lapply(split(b[, c("v1i", "v2i")], b$trial), as.matrix))
set.seed(1); y <- rnorm(30, .3, .2); v <- runif(30, .01, .05); x <- rnorm(30); d <- data.frame(y, v, x)
r <- rma(y, v, mods = ~ x, data = d)
seconds <- list(
  "fit from a data frame" = best(function() rma(y, v, mods = ~ x, data = d, test = "knha"), 50),
  "two outcomes, UN" = best(function()
    rma.mv(yi, V, mods = ~ outcome - 1, random = ~ outcome | trial, struct = "UN", data = b), 10),
  "location and scale" = best(function() suppressWarnings(rma(y, v, scale = ~ x, data = d)), 5),
  "GLMM, OR, baselines fixed" = best(function()
    rma.glmm(ai = tpos, bi = tneg, ci = cpos, di = cneg, data = dat.bcg, measure = "OR", model = "UM.FS"), 2),
  "GLMM, OR, baselines random" = best(function() suppressWarnings(
    rma.glmm(ai = tpos, bi = tneg, ci = cpos, di = cneg, data = dat.bcg, measure = "OR",
      model = "UM.RS")), 2),
  "GLMM, IRR, conditional" = best(function()
    rma.glmm(x1i = x1i, t1i = t1i, x2i = x2i, t2i = t2i, data = dat.nielweise2008, measure = "IRR",
      model = "CM.EL"), 2),
  "10,000 permutations, k = 30" = best(function() permutest(r, iter = 100, progbar = FALSE), 2) * 100
)
version <- as.character(packageVersion("metafor"))
cat(jsonlite::toJSON(list(seconds = seconds, version = version), auto_unbox = TRUE, digits = NA))
"""


def ours() -> dict[str, float]:
    """Seconds of our calls, by what they do."""
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"yi": rng.normal(0.3, 0.2, 30), "vi": rng.uniform(0.01, 0.05, 30), "x": rng.normal(size=30)})
    x = np.column_stack([np.ones(30), data.x])
    pin = json.loads(BERKEY.read_text(encoding="utf-8"))["berkey"]
    means = np.array([[name == "AL", name == "PD"] for name in pin["outcome"]], dtype=float)
    V, y, v = np.array(pin["V"]), data.yi.to_numpy(), data.vi.to_numpy()
    fit, model = fit_random_effects(y, v, x), tsr.random_effects("yi ~ x", data)
    counted = json.loads(COUNTS.read_text(encoding="utf-8"))
    bcg, niel = (pd.DataFrame(counted[name]).astype(float) for name in ("bcg", "niel"))
    odds = study_counts("OR", bcg.tpos, bcg.tneg, bcg.cpos, bcg.cneg)
    rates = study_counts("IRR", niel.x1i, niel.t1i, niel.x2i, niel.t2i)
    calls: dict[str, tuple[Callable[[], object], int]] = {
        "fit from arrays": (lambda: fit_random_effects(y, v, x), 200),
        "fit from a data frame": (lambda: tsr.random_effects("yi ~ x", data), 100),
        "summary": (lambda: str(model.summary()), 50),
        "two outcomes, UN": (lambda: fit_multivariate(pin["y"], V, pin["outcome"], pin["study"], means), 20),
        "location and scale": (lambda: fit_location_scale(y, v, None, x), 10),
        "GLMM, OR, baselines fixed": (lambda: fit_counts(odds, model="fixed baselines"), 10),
        "GLMM, OR, baselines random": (lambda: fit_counts(odds, model="random baselines"), 10),
        "GLMM, IRR, conditional": (lambda: fit_counts(rates), 10),
        "10,000 permutations, k = 30": (lambda: permutation_test(fit, np.random.default_rng(1)), 2),
    }
    return {name: best(call, repeats) for name, (call, repeats) in calls.items()}


def import_seconds() -> float:
    """Seconds that `import replication` takes beyond starting Python, the best of five."""
    start = best(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True), 5)
    return best(lambda: subprocess.run([sys.executable, "-c", "import replication"], check=True), 5) - start


def peers() -> tuple[dict[str, float], str]:
    """Seconds of metafor's calls, and its version or why there is none."""
    if shutil.which("Rscript") is None:
        return {}, "Rscript is not installed"
    done = subprocess.run(["Rscript", "-e", PEER], capture_output=True, text=True, check=False)
    if done.returncode:
        return {}, done.stderr.strip().splitlines()[-1]
    found = json.loads(done.stdout)
    return found["seconds"], f"metafor {found['version']}"


def main() -> None:
    mine, (theirs, version) = ours(), peers()
    print(f"{'':34}{'ours, ms':>10}{version:>18}{'ratio':>8}")
    for name, seconds in mine.items():
        peer = theirs.get(name)
        other = f"{1e3 * peer:>18.1f}{peer / seconds:>8.1f}" if peer is not None else f"{'-':>18}{'':>8}"
        print(f"{name:34}{1e3 * seconds:>10.2f}{other}")
    print(f"{'import replication':34}{1e3 * import_seconds():>10.1f}")


if __name__ == "__main__":
    main()
