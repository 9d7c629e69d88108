"""All receivers of the settings, each in a thread of its own: a dead one delays nobody."""

from collections.abc import Iterable, Sequence
from threading import Event, Lock, Thread

from schemas.document import parse
from schemas.errors import UsageError
from schemas.receivers import AlertmanagerReceiver, EmailReceiver, Receivers, WebhookReceiver
from schemas.settings import Settings
from sinks.landing import DeadLetterRow
from streams.couriers.alertmanager import AlertmanagerCourier
from streams.couriers.courier import FIRST_PAUSE, Courier, Tools
from streams.couriers.reading import Share
from streams.couriers.sending import MailSender, WebhookSender
from streams.metrics import WorkerMetrics
from streams.outlet import KafkaOutlet

CLOSE_SECONDS = 3.0
WEBHOOK = "webhook"


def receivers_of(settings: Settings) -> Receivers:
    """Those of the file, and the webhook of the settings. Raises `UsageError` or `DocumentError`, no secret in it."""
    found = Receivers()
    if settings.receivers is not None:
        try:
            text = settings.receivers.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"Cannot read CX_RECEIVERS, {settings.receivers}: {type(error).__name__}.") from None
        found = parse(text, Receivers, settings.receivers.name)
    if settings.webhook is None:
        return found
    if any(each.receiver == WEBHOOK for each in found.receivers):
        raise UsageError(f"CX_WEBHOOK and a receiver called {WEBHOOK} in CX_RECEIVERS: name one of them only.")
    own = WebhookReceiver(receiver=WEBHOOK, kind="webhook", url=settings.webhook, secret=settings.webhook_secret)
    return found.model_copy(update={"receivers": [*found.receivers, own]})


def page_of(settings: Settings) -> str:
    """Where the live page is, as messages link to it."""
    return settings.page or f"http://{settings.bind}:{settings.web_port}/"


class Couriers:
    """Every courier of this process."""

    def __init__(self, settings: Settings, metrics: WorkerMetrics, first_pause: float = FIRST_PAUSE) -> None:
        self._stop = Event()
        self._outlet = KafkaOutlet(settings)
        self._one_at_a_time = Lock()
        self._share = Share()
        tools = Tools(settings, metrics, self._stop, self._share, self._refuse, first_pause)
        receivers, page = receivers_of(settings), page_of(settings)
        self._threads = []
        for each in receivers.receivers:
            courier: Courier | AlertmanagerCourier
            if isinstance(each, AlertmanagerReceiver):
                courier = AlertmanagerCourier(each, page, tools)
            else:
                sender = MailSender(each, page) if isinstance(each, EmailReceiver) else WebhookSender(each, page)
                courier = Courier(each, sender, receivers.group_minutes * 60, tools)
            self._threads.append(Thread(target=courier.run, name=f"deliver-{each.receiver}", daemon=True))

    def _refuse(self, rows: Sequence[DeadLetterRow]) -> None:
        with self._one_at_a_time:
            self._outlet.dead_letters(rows)

    def assign(self, numbers: Iterable[int]) -> None:
        """Tell of exactly these partitions from now on; never blocks."""
        self._share.become(numbers)

    def start(self) -> None:
        """Begin to read and tell."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop soon; what was not told is told by whoever reads on."""
        self._stop.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(CLOSE_SECONDS)
        self._outlet.close()
