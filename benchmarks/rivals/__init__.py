"""Servers that others made, each as a contender: what it needs, how it is started, and what makes it durable."""
