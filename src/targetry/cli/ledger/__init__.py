"""The command `targetry ledger`: removal, copies and exports of recorded events."""
