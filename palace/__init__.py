"""Palace: an open, self-hosted server for the Tavus Developer API, the home of PALs."""

__version__ = "0.1.0"
