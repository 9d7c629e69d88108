"""Programs that break one thing on purpose, started by tests."""
