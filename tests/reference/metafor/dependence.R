# Makes dependence.json: Rscript dependence.R > dependence.json (vcalc and aggregate)
suppressMessages({library(metafor); library(jsonlite)})
d <- data.frame(cluster = c(1, 1, 1, 1, 2, 2, 2), kind = c("a", "a", "b", "b", "a", "b", "b"), obs = c(1, 2, 3, 4, 1, 2, 3),
  time = c(1, 2, 1, 3, 1, 1, 2), v = c(.04, .05, .03, .06, .02, .03, .05), y = c(.1, .3, .5, .2, .4, .6, .1))
g <- data.frame(cluster = c(1, 1, 2, 2), first = c("t1", "t2", "t1", "t2"), second = c("c", "c", "c", "t1"), n1 = c(30, 40, 20, 25), n2 = c(35, 35, 22, 20), v = c(.06, .05, .09, .08))
V <- list(
  rho = vcalc(v, cluster = cluster, obs = obs, data = d, rho = .6),
  kinds = vcalc(v, cluster = cluster, type = kind, obs = obs, data = d, rho = c(.6, .4)),
  time = vcalc(v, cluster = cluster, obs = obs, time1 = time, data = d, rho = .7, phi = .8),
  groups = vcalc(v, cluster = cluster, grp1 = first, grp2 = second, w1 = n1, w2 = n2, data = g))
e <- escalc(yi = y, vi = v, data = d)
best <- aggregate(e, cluster = cluster, V = V$rho); plain <- aggregate(e, cluster = cluster, V = V$rho, weighted = FALSE)
cat(toJSON(list(made_by = "Rscript dependence.R > dependence.json", versions = paste(R.version.string, "metafor", packageVersion("metafor")),
  data = as.list(d), compared = as.list(g), V = V, best = list(y = as.numeric(best$yi), v = as.numeric(best$vi)), plain = list(y = as.numeric(plain$yi), v = as.numeric(plain$vi))
), digits = NA, auto_unbox = TRUE))
