"""Commands for tables of visitors and logs of requests: decide, diff, forecast, replay, shadow."""
