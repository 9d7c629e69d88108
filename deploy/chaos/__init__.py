"""Kills and stops the parts of a real stack of its own, and looks whether anything was lost or counts twice."""
