"""Columnar decisions: conditions, buckets and choice of rules for batches of rows."""
