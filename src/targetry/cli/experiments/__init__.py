"""Commands on experiments: report, sample size, check of the bucketing."""
