"""Decisions of one mbox at a time: call settings, prepared visitors, feature flags, reports."""
