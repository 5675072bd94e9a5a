"""Visitors of web requests: what a request says, decisions for its visitor, cookies and consent."""
