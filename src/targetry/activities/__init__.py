"""Activities as code: audiences, experiences and offers as files, compiled to an artifact."""
