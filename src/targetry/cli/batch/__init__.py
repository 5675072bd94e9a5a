"""Commands for tables of visitors: decide, diff, forecast, shadow."""
