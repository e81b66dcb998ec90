"""HTTP and nothing else: requests in, calls to handlers, answers out."""
