"""Queue and senders that report impressions in the background, with an optional spool on disk."""
