"""One mbox, or one attribute of its JSON offer, as a feature flag. Pure: no I/O, no clock."""
