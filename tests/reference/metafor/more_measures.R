# Makes more_measures.json: Rscript more_measures.R > more_measures.json
suppressMessages({library(metafor); library(jsonlite)})
effect <- function(...) { e <- suppressWarnings(escalc(...)); list(estimate = as.numeric(e$yi), variance = as.numeric(e$vi)) }

m1 <- c(10, 2.2, 5); sd1 <- c(2, .3, 4); n1 <- c(20, 5, 300); m2 <- c(9, 2.5, 5.5); sd2 <- c(2.5, .4, 3); n2 <- c(25, 7, 40); rho <- c(.6, 0, -.3)
a <- c(5, 0, 12, 30); b <- c(95, 50, 7, 170); c <- c(10, 3, 9, 25); d <- c(90, 47, 4, 175)
x <- c(3, 0, 17, 40); n <- c(20, 15, 50, 40); x1 <- c(4, 0, 30); t1 <- c(100, 55.5, 240); x2 <- c(9, 3, 12); t2 <- c(120, 60, 200)
alpha <- c(.8, .65, .3, -.1); items <- c(10, 4, 2, 6); persons <- c(50, 120, 8, 30)
t <- c(2.5, -1, 0, 7); nt <- c(50, 80, 20, 300); m <- c(3, 5, 1, 12)
groups <- function(measure) effect(measure, m1i = m1, sd1i = sd1, n1i = n1, m2i = m2, sd2i = sd2, n2i = n2)
change <- function(measure) effect(measure, m1i = m1, sd1i = sd1, m2i = m2, sd2i = sd2, ni = n1, ri = rho)
tables <- function(measure, to = "only0") effect(measure, ai = a, bi = b, ci = c, di = d, to = to)
share <- function(measure, to = "only0") effect(measure, xi = x, ni = n, to = to)
rate <- function(measure) effect(measure, xi = x1, ti = t1)
rates <- function(measure) effect(measure, x1i = x1, t1i = t1, x2i = x2, t2i = t2)
scale <- function(measure) effect(measure, ai = alpha, mi = items, ni = persons)

cat(toJSON(list(
  made_by = "Rscript more_measures.R > more_measures.json",
  versions = paste(R.version.string, "metafor", packageVersion("metafor")),
  inputs = list(mean1 = m1, sd1 = sd1, n1 = n1, mean2 = m2, sd2 = sd2, n2 = n2, rho = rho, a = a, b = b, c = c, d = d, x = x, n = n, x1 = x1, t1 = t1, x2 = x2, t2 = t2, alpha = alpha, items = items, persons = persons, t = t, nt = nt, m = m),
  SMDH = groups("SMDH"), ROM = groups("ROM"), CVR = groups("CVR"), VR = groups("VR"),
  MC = change("MC"), SMCRH = change("SMCRH"), ZPCOR = effect("ZPCOR", ti = t, ni = nt, mi = m),
  PHI = tables("PHI"), YUQ = tables("YUQ"), YUY = tables("YUY"), AS = tables("AS", "none"),
  PR = share("PR"), PLN = share("PLN"), PLO = share("PLO"), PAS = share("PAS", "none"), PFT = share("PFT", "none"),
  IR = rate("IR"), IRLN = rate("IRLN"), IRS = rate("IRS"), IRFT = rate("IRFT"), IRR = rates("IRR"), IRD = rates("IRD"),
  MN = effect("MN", mi = m1, sdi = sd1, ni = n1), SDLN = effect("SDLN", sdi = sd1, ni = n1),
  ARAW = scale("ARAW"), AHW = scale("AHW"), ABT = scale("ABT")
), digits = NA, auto_unbox = TRUE, na = "null", null = "null"))
