"""{{name}}: each message is one POST, and its answer comes back as one JSON document.

Modules are imported here at the top: the plugin is frozen once this file has run, and no file can be read afterwards.
"""

from dataclasses import dataclass, field

from wit_world import exports
from wit_world.exports.guest import Action, Event, Request, Settings
from wit_world.imports import log
from wit_world.imports.types import Header, HeaderValue_Text

from guard import failure, guarded

MAX_ANSWER = 3 << 20


@dataclass
class Answer:
    """What has arrived of an answer."""

    status: int = 0
    body: bytearray = field(default_factory=bytearray)


class Connection:
    """One client's connection: what happened comes in, what to do goes out."""

    def __init__(self, url: str, headers: list[Header]):
        self.url = url
        self.headers = [Header("content-type", HeaderValue_Text("application/json")), *headers]
        self.answers: dict[int, Answer] = {}

    @guarded
    def handle(self, event: Event) -> list[Action]:
        if event.kind == "message":
            # A message's number serves as its request's.
            self.answers[event.id] = Answer()
            return [action("request", event.id, request=Request("POST", self.url, self.headers, event.data, 0, 0))]
        if event.kind == "close":
            return [action("closed", text="The connection was closed.")]
        answer = self.answers.get(event.id)
        if answer is None:
            return []
        if event.kind == "send-dropped":
            del self.answers[event.id]
            return [action("cancel", event.id)]
        if event.kind == "response":
            answer.status = event.status
        if event.kind == "body":
            answer.body += event.data
            if len(answer.body) > MAX_ANSWER:
                del self.answers[event.id]
                too_large = action("failed", event.id, code="too-large", text="The answer is too long.")
                return [action("cancel", event.id), too_large]
        if event.kind == "response-end":
            del self.answers[event.id]
            return ended(event, answer)
        return []


def ended(event: Event, answer: Answer) -> list[Action]:
    """What to do once an answer is over."""
    if event.code:
        return [action("failed", event.id, code=event.code, text=event.text)]
    if not 200 <= answer.status < 300:
        code = {401: "auth", 403: "forbidden", 404: "not-found"}.get(answer.status, "unavailable")
        text = f"The server answered with HTTP {answer.status}."
        return [action("failed", event.id, status=answer.status, code=code, text=text)]
    delivered = [action("deliver", event.id, data=bytes(answer.body))] if answer.body else []
    return [action("sent", event.id), *delivered]


def action(kind: str, id: int = 0, **fields) -> Action:
    """An action; the fields that its kind has no use for are empty."""
    empty = dict(data=b"", request=None, status=0, number=0, code="", text="", headers=[], extensions=[])
    return Action(kind, id, **(empty | fields))


class Guest(exports.Guest):
    @guarded
    def open(self, settings: Settings) -> Connection:
        if not settings.url:
            raise failure("invalid", "{{name}} speaks HTTP: give the server a URL.")
        log.log(log.Level.INFO, f"{{name}} opens {settings.name}")
        return Connection(settings.url, settings.headers)
