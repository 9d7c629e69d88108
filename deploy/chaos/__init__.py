"""Proves on a real stack of its own that nothing is lost and nothing counts twice, by killing and stopping its parts."""
