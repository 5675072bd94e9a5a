"""The wire road: what is sent to the Delivery API, and what is made of its answer."""
