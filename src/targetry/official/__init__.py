"""What only callers of the official package ask for: functions and classes of its that Targetry has no use for itself.

`target_python_sdk`, `target_tools`, `target_decisioning_engine` and `delivery_api_client` are names for what is here and
in the rest of Targetry. Nothing of Targetry imports this package.
"""
