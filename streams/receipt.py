"""Receipt of events that come without one: a file brings what no intake has stamped."""

import json

from streams.core.admission import Admission, admit, read_json

UNREAD = ("empty", "not_json", "too_large")


def admit_history(payload: bytes) -> Admission:
    """`admit`, with each event that has no `received_at` counted as received the moment it happened.

    No clock is read, so the same file always gives the same events.
    """
    admission = admit(payload)
    # Of an event with several flaws the refusal names one, and a newer one is told only once it has its receipt.
    if all(refusal.reason in UNREAD for refusal in admission.refused):
        return admission
    content = read_json(payload)
    items = content if isinstance(content, list) else [content]
    stamped = [
        {**item, "received_at": item.get("occurred_at")}
        if isinstance(item, dict) and "received_at" not in item
        else item
        for item in items
    ]
    return admit(json.dumps(stamped if isinstance(content, list) else stamped[0]).encode())
