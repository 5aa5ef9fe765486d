# Fisher z of weighted correlations and its variance by R's survey package; writes correlations.json beside itself.
#   Rscript correlations.R FOLDER
# FOLDER holds the public files of the two real cases; only their results are kept:
#   data.pisaNLD.rda (cran/BIFIEsurvey@87425a5 data/), ita_16.rds (dacarras/edu4046_mlm@4d91184),
#   TIMSS19_bsgturm7.rda (tuevpaket/tuev@92c1d67 data/). simulated.csv is simulated, by simulated.py.
library(survey)
library(mitools)
options(survey.replicates.mse = TRUE, survey.lonely.psu = "adjust")  # deviations from the full estimate, as OECD and IEA
args <- commandArgs(trailingOnly = TRUE)
here <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))

z_of <- function(w, x, y) {
  k <- w > 0
  atanh(cov.wt(cbind(x, y)[k, ], w[k] / sum(w[k]), cor = TRUE, method = "ML")$cor[1, 2])
}

by_replicates <- function(design, x, ys) {
  data <- design$variables
  ys <- unlist(ys)
  ok <- complete.cases(data[, c(x, ys)])
  kept <- subset(design, ok)
  one <- lapply(ys, function(y) withReplicates(kept, function(w, d) z_of(w, d[[x]], d[[y]])))
  combined(lapply(one, function(e) as.numeric(e)), lapply(one, function(e) as.numeric(vcov(e))), degf(design), sum(ok))
}

by_linearisation <- function(design, x, y) {
  design$variables$.x <- design$variables[[x]]
  design$variables$.y <- design$variables[[y]]
  ok <- complete.cases(design$variables[, c(".x", ".y")])
  design$variables[!ok, c(".x", ".y")] <- 0
  kept <- subset(update(design, .xx = .x^2, .yy = .y^2, .xy = .x * .y), ok)
  means <- svymean(~.x + .y + .xx + .yy + .xy, kept)
  r <- svycontrast(means, list(r = quote((.xy - .x * .y) / sqrt((.xx - .x^2) * (.yy - .y^2)))))
  z <- svycontrast(r, quote(0.5 * log((1 + r) / (1 - r))))
  combined(list(as.numeric(coef(z))), list(as.numeric(vcov(z))), degf(design), sum(ok))
}

# mitools 2.4 takes the variance B of the estimates where Barnard & Rubin (1999) take (1 + 1/m) B; this is as printed there
barnard_rubin <- function(z, v, df) {
  m <- length(z)
  share <- (1 + 1 / m) * var(z) / (mean(v) + (1 + 1 / m) * var(z))
  observed <- (df + 1) / (df + 3) * df * (1 - share)
  1 / (share^2 / (m - 1) + 1 / observed)
}

combined <- function(z, v, df, n) {
  if (length(z) == 1) return(list(z = z[[1]], variance = v[[1]], df = df, n = n))
  m <- MIcombine(z, v, df.complete = df)
  list(r = mean(tanh(unlist(z))), z = as.numeric(coef(m)), variance = as.numeric(vcov(m)), df_mitools = m$df,
       df = barnard_rubin(unlist(z), unlist(v), df), n = n)
}

bare <- function(v) if (is.factor(v) || is.character(v)) as.character(v) else as.numeric(v)  # without labels

cases <- list()

s <- read.csv(file.path(here, "simulated.csv"))
halves <- function(s, w, both) {
  zones <- sort(unique(s$zone))
  first <- sapply(zones, function(h) ifelse(s$zone == h, 2 * s$half, 1) * w)
  if (!both) return(first)
  cbind(first, sapply(zones, function(h) ifelse(s$zone == h, 2 * (1 - s$half), 1) * w))
}
single <- svrepdesign(s, repweights = halves(s, s$w, FALSE), weights = s$w, type = "other", scale = 1,
                      rscales = rep(1, length(unique(s$zone))), combined.weights = TRUE)
double <- svrepdesign(s, repweights = halves(s, s$w, TRUE), weights = s$w, type = "other", scale = 0.5,
                      rscales = rep(1, 2 * length(unique(s$zone))), combined.weights = TRUE)
strata <- svydesign(~school, strata = ~stratum, weights = ~w, data = s, nest = TRUE)
plain <- svydesign(~school, weights = ~w, data = s)
pvs <- paste0("pv", 1:5)
cases$simulated_jackknife <- by_replicates(single, "x", "y")
cases$simulated_jackknife_both <- by_replicates(double, "x", "y")
cases$simulated_jackknife_both_plausible <- by_replicates(double, "x", pvs)
cases$simulated_strata <- by_linearisation(strata, "x", "y")
cases$simulated_schools <- by_linearisation(plain, "x", "y")

load(file.path(args[1], "data.pisaNLD.rda"))
nld <- data.pisaNLD
fay <- svrepdesign(nld, repweights = as.matrix(nld[, paste0("W_FSTR", 1:80)]), weights = nld$W_FSTUWT,
                   type = "Fay", rho = 0.5, combined.weights = TRUE)
cases$pisa2003_nld_sturel_belong <- by_replicates(fay, "STUREL", "BELONG")
cases$pisa2003_nld_sturel_mathematics <- by_replicates(fay, "STUREL", paste0("PV", 1:5, "MATH"))
cases$pisa2003_nld_teachsup_reading <- by_replicates(fay, "TEACHSUP", paste0("PV", 1:5, "READ"))

ita <- as.data.frame(lapply(readRDS(file.path(args[1], "ita_16.rds")), bare))
for (v in c("S_STUTREL", "S_ABUSE")) ita[[v]][ita[[v]] < 0 | ita[[v]] > 99] <- NA
jk <- svrepdesign(ita, repweights = as.matrix(ita[, paste0("SRWGT", 1:75)]), weights = ita$TOTWGTS,
                  type = "other", scale = 1, rscales = rep(1, 75), combined.weights = TRUE)
cases$iccs2016_ita_stutrel_abuse <- by_replicates(jk, "S_STUTREL", "S_ABUSE")
cases$iccs2016_ita_stutrel_civic <- by_replicates(jk, "S_STUTREL", paste0("PV", 1:5, "CIV"))

load(file.path(args[1], "TIMSS19_bsgturm7.rda"))
tur <- as.data.frame(lapply(TIMSS19_bsgturm7, bare))
tur <- data.frame(fair = 5 - ifelse(tur$BSBG13D %in% 1:4, tur$BSBG13D, NA), zone = tur$JKZONE,
                  half = tur$JKREP, w = tur$TOTWGT, tur[, paste0("BSMMAT0", 1:5)])
both <- svrepdesign(tur, repweights = halves(tur, tur$w, TRUE), weights = tur$w, type = "other", scale = 0.5,
                    rscales = rep(1, 2 * length(unique(tur$zone))), combined.weights = TRUE)
cases$timss2019_tur_g8_fair_mathematics <- by_replicates(both, "fair", paste0("BSMMAT0", 1:5))

made <- list(made_by = "correlations.R", R = R.version.string, survey = as.character(packageVersion("survey")),
             mitools = as.character(packageVersion("mitools")), cases = cases)
writeLines(jsonlite::toJSON(made, auto_unbox = TRUE, digits = 15, pretty = TRUE), file.path(here, "correlations.json"))
