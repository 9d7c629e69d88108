"""Alerts on their way to receivers: each reads `cx.alerts` for itself and acknowledges what it has delivered."""
