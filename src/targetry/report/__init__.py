"""Reports on recorded events: aggregation, statistics, plot."""
