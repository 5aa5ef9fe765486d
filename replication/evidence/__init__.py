"""What the evidence says on a question: rows, estimators, bias, prediction, certainty, one answer."""
