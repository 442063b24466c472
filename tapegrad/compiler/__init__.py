"""Graphs made fast: passes over nodes (rolling.py), and rows for what they find (loop.py)."""
