"""Statistical methods of the report: intervals, p-values and sample sizes from sums."""
