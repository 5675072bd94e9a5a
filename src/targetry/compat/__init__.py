"""Functions and classes that exist only for code written for `target-python-sdk` 1.1.0.

`target_python_sdk`, `target_tools`, `target_decisioning_engine` and `delivery_api_client` re-export
them and the rest of Targetry. Nothing else imports this package.
"""
