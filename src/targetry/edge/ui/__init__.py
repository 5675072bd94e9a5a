"""The dashboard of an edge."""
