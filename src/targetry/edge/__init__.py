"""The local edge: a server that answers Target SDKs of any language as Adobe's edge does (DESIGN.md, "The edge").

`delivery` is the Delivery API as a function of bytes, `app` puts HTTP around it, `server` runs it, `local` runs it inside a test.
Needs the extra `targetry[edge]`. Nothing outside imports this package but the command and `targetry.testing`.
"""
