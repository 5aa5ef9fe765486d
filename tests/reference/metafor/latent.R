# Biserial and tetrachoric correlations by metafor's escalc: Rscript tests/reference/metafor/latent.R > latent.json
suppressMessages(library(metafor))
biserial <- function(t, n1, n2) {
  e <- escalc("RBIS", m1i = t * sqrt(1 / n1 + 1 / n2), sd1i = 1, n1i = n1, m2i = 0, sd2i = 1, n2i = n2)
  sprintf('{"t": %s, "n1": %d, "n2": %d, "r": %.15g, "v": %.15g}', t, n1, n2, e$yi, e$vi)
}
tetra <- function(a, b, c, d) {
  e <- escalc("RTET", ai = a, bi = b, ci = c, di = d)
  sprintf('{"cells": [%d, %d, %d, %d], "r": %.15g, "v": %.15g}', a, b, c, d, e$yi, e$vi)
}
cat(sprintf('{"metafor": "%s",\n "biserial": [%s],\n "tetrachoric": [%s]}\n', packageVersion("metafor"),
  paste(biserial(2.31, 60, 60), biserial(2.31, 40, 80), biserial(-1.2, 90, 15), biserial(6.5, 30, 200), sep = ",\n  "),
  paste(tetra(40, 20, 15, 45), tetra(10, 50, 5, 135), tetra(30, 30, 28, 32), tetra(5, 60, 70, 9), sep = ",\n  ")))
