# Makes main_model.json: Rscript main_model.R > main_model.json, in this folder, on main_model.csv.
# Effects in samples in places (countries), errors correlated by .6 within a sample, REML; CR2 at the outermost level.
suppressMessages({library(metafor); library(clubSandwich); library(jsonlite)})
d <- read.csv("main_model.csv", stringsAsFactors = FALSE)
one <- function(x) {
  published <- grepl("published", x$case[1])
  V <- vcalc(v, cluster = sample, obs = effect, rho = .6, data = x)
  levels <- if (published) list(~ 1 | sample, ~ 1 | effect) else list(~ 1 | place, ~ 1 | sample, ~ 1 | effect)
  m <- rma.mv(z, V, random = levels, data = x, method = "REML", control = list(optimizer = "optim", optmethod = "Nelder-Mead", maxit = 20000, reltol = 1e-15))
  outer <- if (published) x$sample else x$place
  ci <- conf_int(m, vcov = "CR2", cluster = outer, test = "Satterthwaite")
  # (2) by hand: predict() of a multilevel model would add every component
  between <- if (published) m$sigma2[1] else m$sigma2[1] + m$sigma2[2]
  se <- ci$SE
  list(beta = as.numeric(m$beta), se = se, df = ci$df, low = ci$CI_L, high = ci$CI_U, sigma2 = m$sigma2, k = m$k,
       further_low = as.numeric(m$beta) - qnorm(.975) * sqrt(se^2 + between), further_high = as.numeric(m$beta) + qnorm(.975) * sqrt(se^2 + between))
}
cases <- lapply(split(d, factor(d$case, unique(d$case))), one)
cat(toJSON(list(made_by = "Rscript main_model.R > main_model.json", versions = paste(R.version.string, "metafor", packageVersion("metafor"), "clubSandwich", packageVersion("clubSandwich")), cases = cases), digits = NA, auto_unbox = TRUE))
