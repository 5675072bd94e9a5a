"""Files of activities: their model, YAML with positions, the lock, ids and windows."""
