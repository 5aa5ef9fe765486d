# Makes residuals.json: Rscript residuals.R > residuals.json (rstandard, hatvalues and vif)
suppressMessages({library(metafor); library(jsonlite)})
d <- dat.konstantopoulos2011; d <- d[d$district %in% unique(d$district)[1:8], ]; d$year10 <- (d$year - 1990) / 10
ctl <- list(optimizer = "optim", optmethod = "BFGS", reltol = 1e-15, maxit = 10000)
nested <- rma.mv(yi, vi, mods = ~ year10, random = ~ 1 | district/school, data = d, control = ctl)
b <- escalc(measure = "RR", ai = tpos, bi = tneg, ci = cpos, di = cneg, data = dat.bcg)
two <- rma(yi, vi, mods = ~ ablat + year + alloc, data = b, control = list(threshold = 1e-14, maxiter = 10000))
s <- rstandard(nested); t <- rstandard(two)
cat(toJSON(list(made_by = "Rscript residuals.R > residuals.json", versions = paste(R.version.string, "metafor", packageVersion("metafor")),
  nested = list(y = as.numeric(d$yi), v = as.numeric(d$vi), district = d$district, school = d$school, year10 = d$year10, residual = s$resid, se = s$se, z = s$z, hat = as.numeric(hatvalues(nested))),
  two = list(y = as.numeric(b$yi), v = as.numeric(b$vi), X = unname(model.matrix(two)), z = t$z, hat = as.numeric(hatvalues(two)), vif = as.numeric(vif(two)$vifs))), digits = NA, auto_unbox = TRUE))
