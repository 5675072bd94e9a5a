"""Explanations of decisions: the condition tree of each rule, with the values of its leaves."""
