"""Staged values: what user and library code computes with while it is turned into IR."""
