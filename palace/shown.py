"""What documents show that no client wrote. Light: the command line loads it, and not the server."""

MASK = "*" * 8
"""in the place of a secret (contract 1.8)"""
STAMPED = "updated_at"
"""the member that changes with every write"""
