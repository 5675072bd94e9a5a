"""Local edge: a server that answers Target SDKs of any language as Adobe's edge does.

`delivery` is the Delivery API as a function of bytes, `app` its HTTP, `server` serves it with
uvicorn, `in_process` runs it inside a test. Needs the extra `targetry[edge]`. Only the command, the
pytest plugin and `targetry.testing` import this package.
"""
