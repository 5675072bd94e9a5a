"""Ledger in PostgreSQL, for edges on several machines."""
