"""Graphs, made fast."""
