"""The on-device road: an artifact, a request, a clock and ids in; a response and impressions out. No I/O."""
