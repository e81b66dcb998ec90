"""Every change remembered: what changed between two documents, and what a document said at any revision."""
