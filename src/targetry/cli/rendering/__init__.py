"""Output of all commands: console, headings, progress bars."""
