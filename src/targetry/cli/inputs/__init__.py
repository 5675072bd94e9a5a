"""Sources of artifacts for all commands: files, stdin, URLs, git revisions."""
