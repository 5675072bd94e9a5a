"""Feature flags: one mbox, or one attribute of its JSON offer, per flag. No I/O, no clock."""
