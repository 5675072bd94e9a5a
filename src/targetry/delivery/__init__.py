"""Shape of Delivery API requests and results: preparation, hosts, cookies and the envelope."""
