"""Download, refresh and disk cache of a client's rule artifact."""
