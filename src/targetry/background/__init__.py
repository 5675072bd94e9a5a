"""What goes on beside the calls: polling, notifications, geo lookups. Threads live here and nowhere else."""
