"""Contracts: one suite per seam, run on the real thing."""
