"""Clients: options, the pipeline of calls, and the synchronous and asyncio client."""
