"""Checks of activities: rules, suppressions and forms of output."""
