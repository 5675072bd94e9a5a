"""Review of activities: what a change does to visitors, tests, generated code."""
