"""The clients: options, the pipeline of a call, and the sync and asyncio faces over one body."""
