"""Ours beside R's packages on the same data, in interleaved rounds: `python -m benchmarks.library [--write]`.

A round times every case here and then every case in R, in CPU seconds, which other work on the machine disturbs least;
the table gives medians over rounds, and the ratio is the median of the rounds' ratios. A ratio stands only where both
solved the same task: beside it stand how far the peer's numbers lie from ours, and what it warned of (a search that
did not converge, say). `--write` makes the page of the documentation. Where Rscript or a package is missing it says so.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd

import replication as tsr
from replication.models import (
    fit_counts,
    fit_location_scale,
    fit_multivariate,
    fit_random_effects,
    permutation_test,
    study_counts,
)
from replication.models.bias import (
    fail_safe_rosenthal,
    fit_beta_selection,
    fit_smooth_selection,
    fit_step_selection,
    fit_truncated_selection,
)
from replication.models.masem.matrix_regression import fit_matrix_regression
from replication.models.multilevel.multilevel import fit_multilevel
from replication.models.multilevel.results import profile_intervals
from replication.models.multilevel.robust import robust
from replication.models.options import SmoothSelection
from replication.models.two_level.batch import fit_batch
from replication.models.two_level.influence import influence

ROOT = Path(__file__).parent.parent
PINNED, PAGE = ROOT / "tests" / "reference" / "metafor", ROOT / "docs" / "benchmarks.md"
ROUNDS = 5
FRAMES = ("one", "regression", "large", "nested", "selected", "bcg", "niel")

PEER = r"""
suppressMessages({library(metafor); library(jsonlite)})
cs <- requireNamespace("clubSandwich", quietly = TRUE)
d <- fromJSON(commandArgs(TRUE)[1])
o <- as.data.frame(d$one); q <- as.data.frame(d$regression); m <- as.data.frame(d$nested)
l <- as.data.frame(d$large); b <- as.data.frame(d$bcg); r <- as.data.frame(d$niel)
m$row <- seq_len(nrow(m)); V <- as.matrix(d$berkey$V)
u <- data.frame(y = d$berkey$y, outcome = d$berkey$outcome, study = d$berkey$study)
fit <- rma(y, v, mods = ~ x, data = q); big <- rma(y, v, data = l)
s <- as.data.frame(d$selected); plain <- rma(y, v, data = s, method = "ML")
chosen <- function(type, ...) coef(selmodel(plain, type = type, alternative = "greater", ...))$beta
three <- rma.mv(y, v, random = ~ 1 | study/row, data = m)
cases <- list(
  "one fit from arrays, k = 26" = function() coef(rma(o$y, o$v, test = "knha")),
  "fit from a data frame, one moderator, k = 30" = function() coef(rma(y, v, mods = ~ x, data = q, test = "knha")),
  "two outcomes, UN (Berkey)" = function() coef(rma.mv(y, V, mods = ~ outcome - 1,
    random = ~ outcome | study, struct = "UN", data = u)),
  "location and scale, k = 30" = function() coef(rma(y, v, scale = ~ x, data = q,
    control = list(optimizer = "BFGS")))$beta,
  "GLMM, OR, baselines fixed" = function() coef(rma.glmm(ai = tpos, bi = tneg, ci = cpos, di = cneg, data = b,
    measure = "OR", model = "UM.FS")),
  "GLMM, OR, baselines random" = function() coef(rma.glmm(ai = tpos, bi = tneg, ci = cpos, di = cneg, data = b,
    measure = "OR", model = "UM.RS")),
  "GLMM, IRR, conditional" = function() coef(rma.glmm(x1i = x1i, t1i = t1i, x2i = x2i, t2i = t2i, data = r,
    measure = "IRR", model = "CM.EL")),
  "regression from a correlation matrix" = function() matreg(1, 2:4, R = d$R, n = 143)$tab$beta,
  "three levels, 85 effects in 45 studies" = function()
    coef(rma.mv(y, v, random = ~ 1 | study/row, data = m)),
  "crossed factors, 85 effects, 45 by 9" = function()
    coef(rma.mv(y, v, random = list(~ 1 | study, ~ 1 | method, ~ 1 | row), data = m)),
  "CR2 of three levels" = function() if (cs) clubSandwich::coef_test(three, vcov = "CR2", cluster = m$study)$SE else NA,
  "profile intervals, three levels" = function()
    sapply(1:2, function(i) confint(three, sigma2 = i)$random[1, 2:3]),
  "selection, one step, k = 60" = function() chosen("stepfun", steps = c(.025, 1)),
  "selection, beta, k = 60" = function() chosen("beta"),
  "selection, half-normal, k = 60" = function() chosen("halfnorm"),
  "selection, negative exponential, k = 60" = function() chosen("negexp"),
  "selection, logistic, k = 60" = function() chosen("logistic"),
  "selection, power, k = 60" = function() chosen("power"),
  "selection, negative exponential power, k = 60" = function() chosen("negexppow"),
  "selection, truncated, k = 60" = function() chosen("truncest"),
  "fail-safe N of Rosenthal, k = 100" = function() fsn(y, v, data = l)$fsnum,
  "influence, k = 100" = function() influence(big)$inf$cook.d,
  "10,000 fits, k = 26" = function() coef(rma(o$y, o$v, test = "knha")),
  "10,000 permutations, k = 30" = function() permutest(fit, iter = 200, progbar = FALSE)$beta
)
many <- c("10,000 fits, k = 26" = 10000, "10,000 permutations, k = 30" = 50)
timed <- function(name) {
  said <- character(); f <- cases[[name]]
  keep <- function(w) { said <<- c(said, conditionMessage(w)); invokeRestart("muffleWarning") }
  cpu <- function(n) { t <- withCallingHandlers(system.time(for (i in seq_len(n)) value <<- f()), warning = keep)
    (t[["user.self"]] + t[["sys.self"]]) / n }
  value <- NULL; first <- cpu(1)
  seconds <- if (first > .5) first else cpu(ceiling(.2 / max(first, .002)))
  list(seconds = seconds * if (name %in% names(many)) many[[name]] else 1, value = as.numeric(value),
    warnings = unique(said))
}
found <- lapply(setNames(nm = names(cases)), function(name)
  tryCatch(timed(name), error = function(e) list(failed = conditionMessage(e))))
cat(toJSON(list(found = found, metafor = as.character(packageVersion("metafor")),
  clubSandwich = if (cs) as.character(packageVersion("clubSandwich")) else "not installed",
  R = as.character(getRversion())), auto_unbox = TRUE, digits = NA))
"""

# Rows whose peer is timed on a part of the task and multiplied: said on the page.
SCALED = {
    "10,000 fits, k = 26": "one of the peer's fits times 10,000; it has no batch",
    "10,000 permutations, k = 30": "200 of the peer's permutations times 50; the observed coefficients are compared",
}


@dataclass(frozen=True, slots=True)
class Peer:
    """One case in R: its seconds, how far its numbers lie from ours (relative), and what it warned of."""

    seconds: float
    apart: float
    warnings: tuple[str, ...]


def data() -> dict[str, object]:
    """The data of all cases as JSON: simulated ones by a fixed seed, the others from the pinned references."""
    rng = np.random.default_rng(1)
    study, method = rng.integers(0, 45, 85), rng.integers(0, 9, 85)
    v = rng.uniform(0.005, 0.05, 85)
    shared = rng.normal(0, 0.14, 45)[study] + rng.normal(0, 0.1, 9)[method]
    counted = json.loads((PINNED / "counts.json").read_text(encoding="utf-8"))
    return {
        "one": _effects(rng, 26),
        "regression": _regression(rng),
        "large": _effects(rng, 100),
        "selected": _selected(60),
        "nested": {
            "y": (0.2 + shared + rng.normal(size=85) * np.sqrt(v + 0.01)).tolist(),
            "v": v.tolist(),
            "study": study.tolist(),
            "method": method.tolist(),
        },
        "berkey": json.loads((PINNED / "multivariate.json").read_text(encoding="utf-8"))["berkey"],
        "bcg": counted["bcg"],
        "niel": counted["niel"],
        "R": [[1, 0.4, 0.3, 0.2], [0.4, 1, 0.5, 0.1], [0.3, 0.5, 1, 0.25], [0.2, 0.1, 0.25, 1]],
    }


def _effects(rng: np.random.Generator, k: int) -> dict[str, list[float]]:
    v = rng.uniform(0.005, 0.05, k)
    return {"y": rng.normal(0.3, np.sqrt(v + 0.02)).tolist(), "v": v.tolist()}


def normal_sf(z: float) -> float:
    """P(Z > z)."""
    return 0.5 * math.erfc(z / math.sqrt(2.0))


def _selected(k: int) -> dict[str, list[float]]:
    """Effects that are seen the less often the larger their one-sided p."""
    rng, seen = np.random.default_rng(7), []
    while len(seen) < k:
        v = rng.uniform(0.005, 0.05)
        y = rng.normal(0.15, np.sqrt(v + 0.02))
        if rng.random() < np.exp(-4.0 * normal_sf(y / np.sqrt(v))):
            seen.append((y, v))
    return {"y": [y for y, _ in seen], "v": [v for _, v in seen]}


def _regression(rng: np.random.Generator) -> dict[str, list[float]]:
    """30 effects whose mean and spread go with x: heterogeneity that a location-scale model can find."""
    x, v = rng.normal(size=30), rng.uniform(0.005, 0.02, 30)
    y = 0.3 + 0.1 * x + rng.normal(size=30) * np.sqrt(v + np.exp(-2.5 + 0.6 * x))
    return {"y": y.tolist(), "v": v.tolist(), "x": x.tolist()}


def ours(given: dict[str, object]) -> dict[str, Callable[[], object]]:
    """A call per case, each returning the numbers that are compared."""
    frames = {name: pd.DataFrame(given[name]) for name in FRAMES}
    one, q, large, m, s = (frames[name] for name in FRAMES[:5])
    bcg, niel = frames["bcg"].astype(float), frames["niel"].astype(float)
    u: dict[str, list[object]] = given["berkey"]  # type: ignore[assignment]
    outcomes = sorted(set(map(str, u["outcome"])))
    means = np.array([[name == outcome for outcome in outcomes] for name in u["outcome"]], dtype=float)
    odds = study_counts("OR", bcg.tpos, bcg.tneg, bcg.cpos, bcg.cneg)
    rates = study_counts("IRR", niel.x1i, niel.t1i, niel.x2i, niel.t2i)
    y, v, V = one.y.to_numpy(), one.v.to_numpy(), np.array(u["V"])
    design = np.column_stack([np.ones(30), q.x])
    fit, big = fit_random_effects(q.y, q.v, design), fit_random_effects(large.y, large.v, test="z")
    three = fit_multilevel(m.y, m.v, {"study": m.study})
    factors, names = {"study": m.study, "method": m.method}, ("y", "a", "b", "c")
    batch = np.tile(y, (10_000, 1))

    def smooth(shape: SmoothSelection) -> object:
        return fit_smooth_selection(s.y, s.v, shape=shape).fit.beta

    return {
        "one fit from arrays, k = 26": lambda: fit_random_effects(y, v).beta,
        "fit from a data frame, one moderator, k = 30": lambda: tsr.random_effects("y ~ x", q, v="v").fit.beta,
        "two outcomes, UN (Berkey)": lambda: fit_multivariate(u["y"], V, u["outcome"], u["study"], means).beta,
        "location and scale, k = 30": lambda: fit_location_scale(q.y, q.v, None, design).fit.beta,
        "GLMM, OR, baselines fixed": lambda: fit_counts(odds, model="fixed baselines").beta,
        "GLMM, OR, baselines random": lambda: fit_counts(odds, model="random baselines").beta,
        "GLMM, IRR, conditional": lambda: fit_counts(rates).beta,
        "regression from a correlation matrix": lambda: (
            fit_matrix_regression(given["R"], names, "y", names[1:], n=143).beta  # type: ignore[arg-type]
        ),
        "three levels, 85 effects in 45 studies": lambda: fit_multilevel(m.y, m.v, {"study": m.study}).beta,
        "crossed factors, 85 effects, 45 by 9": lambda: fit_multilevel(m.y, m.v, factors, structure="crossed").beta,
        "CR2 of three levels": lambda: robust(three).se,
        "profile intervals, three levels": lambda: [
            end
            for part in profile_intervals(three).components
            if part.interval is not None
            for end in (part.interval.low, part.interval.high)
        ],
        "selection, one step, k = 60": lambda: fit_step_selection(s.y, s.v).fit.beta,
        "selection, beta, k = 60": lambda: fit_beta_selection(s.y, s.v).fit.beta,
        "selection, half-normal, k = 60": lambda: smooth("half-normal"),
        "selection, negative exponential, k = 60": lambda: smooth("negative exponential"),
        "selection, logistic, k = 60": lambda: smooth("logistic"),
        "selection, power, k = 60": lambda: smooth("power"),
        "selection, negative exponential power, k = 60": lambda: smooth("negative exponential power"),
        "selection, truncated, k = 60": lambda: fit_truncated_selection(s.y, s.v).fit.beta,
        "fail-safe N of Rosenthal, k = 100": lambda: fail_safe_rosenthal(large.y, large.v).n,
        "influence, k = 100": lambda: influence(big).cook,
        "10,000 fits, k = 26": lambda: fit_batch(batch, v).beta[0],
        "10,000 permutations, k = 30": lambda: (permutation_test(fit, np.random.default_rng(1)), fit.beta)[1],
    }


def seconds_of(call: Callable[[], object]) -> float:
    """CPU seconds of a call, the mean over so many as take about a fifth of a second, after a first one."""
    start = time.process_time()
    call()
    repeats = int(max(1, min(500, 0.2 // max(time.process_time() - start, 1e-4))))
    start = time.process_time()
    for _ in range(repeats):
        call()
    return (time.process_time() - start) / repeats


def peers(file: Path, mine: dict[str, np.ndarray]) -> tuple[dict[str, Peer], str]:
    """One round in R, and what took part or why nothing did."""
    if shutil.which("Rscript") is None:
        return {}, "Rscript is not installed, so no peer took part."
    done = subprocess.run(["Rscript", "-e", PEER, str(file)], capture_output=True, text=True, check=False)
    if done.returncode:
        return {}, f"R stopped: {done.stderr.strip().splitlines()[-1]}"
    answer = json.loads(done.stdout)
    found = {}
    for name, case in answer["found"].items():
        if "failed" in case:
            found[name] = Peer(float("nan"), float("nan"), (f"failed: {case['failed']}",))
            continue
        value, own = np.atleast_1d(np.asarray(case["value"], dtype=float)), np.atleast_1d(mine[name])
        apart = float(np.abs(value - own).max() / np.abs(own).max()) if value.shape == own.shape else float("nan")
        warned = case.get("warnings") or ()
        found[name] = Peer(case["seconds"], apart, (warned,) if isinstance(warned, str) else tuple(warned))
    versions = f"R {answer['R']}, metafor {answer['metafor']}, clubSandwich {answer['clubSandwich']}"
    return found, f"Peer: {versions}."


def machine() -> str:
    """The processor and what runs on it."""
    cpu = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), ""
    )
    busy = f", load {os.getloadavg()[0]:.1f} at the end" if hasattr(os, "getloadavg") else ""
    versions = f"Python {platform.python_version()}, numpy {np.__version__}"
    return f"{cpu or platform.processor() or platform.machine()}, {os.cpu_count()} cores, {versions}{busy}"


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines() if Path(path).is_file() else []


def page(rounds: list[tuple[dict[str, float], dict[str, Peer]]], said: str) -> str:
    """The table of medians over rounds as a page of the documentation."""
    head = [
        "# Speed beside R's packages",
        "",
        "<!-- Made by `make benchmarks`; do not edit. -->",
        f"Made by `make benchmarks` on {date.today().isoformat()}: {machine()}. {said}",
        "",
        f"Medians over {len(rounds)} rounds; in each our calls and the peer's ran one after the other on the same "
        "data. Times are of the processor, all threads together. "
        "The ratio is the median of the rounds' ratios, with the least and the largest. *Apart* is the largest "
        "difference of the compared numbers, relative to the largest of them: a peer that stopped elsewhere did not do "
        "the same task, and has no ratio where they differ by more than 1 %. Warnings are the peer's own; where its "
        "search does not converge metafor stops, and the row says so.",
        "",
        "| task | ours, CPU ms | peer, CPU ms | ratio | apart | the peer warned |",
        "|---|---:|---:|---:|---:|---|",
    ]
    return "\n".join([*head, *(_row(name, rounds) for name in rounds[0][0]), "", *_remarks(), ""])


def _row(name: str, rounds: list[tuple[dict[str, float], dict[str, Peer]]]) -> str:
    mine = median(own[name] for own, _ in rounds)
    with_peer = [(own[name], peer[name]) for own, peer in rounds if name in peer]
    if not with_peer or np.isnan(with_peer[0][1].seconds):
        why = with_peer[0][1].warnings[0].replace("|", "/") if with_peer else "not run"
        return f"| {name} | {1e3 * mine:.3g} | – | – | – | {why} |"
    ratios = [peer.seconds / own for own, peer in with_peer]
    apart = max(peer.apart for _, peer in with_peer)
    ratio = f"{median(ratios):.3g} ({min(ratios):.3g}–{max(ratios):.3g})" if apart <= 0.01 else "not the same answer"
    warned = "; ".join(sorted({w.replace("|", "/") for _, peer in with_peer for w in peer.warnings})) or "no"
    theirs = 1e3 * median(peer.seconds for _, peer in with_peer)
    return f"| {name} | {1e3 * mine:.3g} | {theirs:.3g} | {ratio} | {apart:.0e} | {warned} |"


def _remarks() -> list[str]:
    return [f"- {name}: {what}." for name, what in SCALED.items()] + [
        "- Sampled and exact posteriors have peers that sample: `python -m benchmarks.pymc` and "
        "`benchmarks.exact_bayes` print divergences, R-hat and errors, and no ratio beside one that did not converge.",
    ]


def main() -> None:
    """Run the rounds and print or write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    given = data()
    calls = ours(given)
    values = {name: np.asarray(call()) for name, call in calls.items()}
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "data.json"
        file.write_text(json.dumps(given), encoding="utf-8")
        for _ in range(options.rounds):
            own = {name: seconds_of(call) for name, call in calls.items()}
            theirs, said = peers(file, values)
            rounds.append((own, theirs))
    text = page(rounds, said)
    if options.write:
        PAGE.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
