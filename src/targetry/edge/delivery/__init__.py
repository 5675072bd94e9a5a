"""The Delivery API of an edge as a function of bytes: request parsing, decision, events."""
