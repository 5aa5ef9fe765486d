# Makes effect_sizes.json: Rscript effect_sizes.R > effect_sizes.json
suppressMessages({library(metafor); library(jsonlite)})
effect <- function(...) { e <- suppressWarnings(escalc(...)); list(estimate = as.numeric(e$yi), variance = as.numeric(e$vi)) }

r <- c(-.9, -.2, 0, .05, .4, .99); n <- c(10, 25, 50, 1000, 12345, 5)
t <- c(2.5, -1, 0, 7); nt <- c(50, 80, 20, 300); m <- c(3, 5, 1, 12); r2 <- c(.3, .2, .1, .5)
m1 <- c(10, 2.2, -5); sd1 <- c(2, .3, 4); n1 <- c(20, 5, 300); m2 <- c(9, 2.5, -5.5); sd2 <- c(2.5, .4, 3); n2 <- c(25, 7, 40); rho <- c(.6, 0, -.3)
a <- c(5, 0, 0, 12, 30); b <- c(95, 50, 60, 0, 170); c <- c(10, 3, 0, 9, 25); d <- c(90, 47, 70, 4, 175)
tables <- function(measure, to, drop00 = FALSE) effect(measure, ai = a, bi = b, ci = c, di = d, to = to, drop00 = drop00)
pool <- function(measure) { f <- suppressWarnings(rma.mh(measure = measure, ai = a, bi = b, ci = c, di = d)); list(estimate = as.numeric(f$beta), variance = f$se^2) }
R <- data.frame(id = 1, a = c("a", "a", "a", "b", "b", "c"), b = c("b", "c", "d", "c", "d", "d"), ri = c(.3, .5, -.2, .4, .1, .35), ni = 60)

cat(toJSON(list(
  made_by = "Rscript effect_sizes.R > effect_sizes.json",
  versions = paste(R.version.string, "metafor", packageVersion("metafor")),
  inputs = list(r = r, n = n, t = t, nt = nt, m = m, r2 = r2, m1 = m1, sd1 = sd1, n1 = n1, m2 = m2, sd2 = sd2, n2 = n2, rho = rho, a = a, b = b, c = c, d = d, ri = R$ri),
  r = effect("COR", ri = r, ni = n), fisher_z = effect("ZCOR", ri = r, ni = n),
  partial = effect("PCOR", ti = t, ni = nt, mi = m), semipartial = effect("SPCOR", ti = t, ni = nt, mi = m, r2i = r2),
  md = effect("MD", m1i = m1, sd1i = sd1, n1i = n1, m2i = m2, sd2i = sd2, n2i = n2),
  g = effect("SMD", m1i = m1, sd1i = sd1, n1i = n1, m2i = m2, sd2i = sd2, n2i = n2),
  smcc = effect("SMCC", m1i = m1, sd1i = sd1, m2i = m2, sd2i = sd2, ni = n1, ri = rho),
  smcr = effect("SMCR", m1i = m1, sd1i = sd1, m2i = m2, ni = n1, ri = rho),
  OR = list("only-zero" = tables("OR", "only0"), "if-any" = tables("OR", "if0all"), all = tables("OR", "all")),
  RR = list("only-zero" = tables("RR", "only0"), "if-any" = tables("RR", "if0all"), all = tables("RR", "all")),
  RD = list("only-zero" = tables("RD", "only0"), all = tables("RD", "all"), none = tables("RD", "none")),
  peto = tables("PETO", "none"),
  mantel_haenszel = list("log odds ratio" = pool("OR"), "log risk ratio" = pool("RR"), "risk difference" = pool("RD")),
  covariance_r = rcalc(ri ~ a + b | id, ni = ni, data = R)$V, covariance_z = rcalc(ri ~ a + b | id, ni = ni, data = R, rtoz = TRUE)$V
), digits = NA, auto_unbox = TRUE, na = "null", null = "null"))
