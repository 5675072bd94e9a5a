"""Reports by segment: figures of each segment, and the test that their lifts are equal."""
