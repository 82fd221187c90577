"""{{name}}: a model that repeats what it hears, word by word.

To ask a real one, send a `wit_world.imports.http.Request` in `complete` and read the answer's chunks in `next`.

Modules are imported here at the top: the plugin is frozen once this file has run, and no file can be read afterwards.
"""

from wit_world import exports
from wit_world.exports.guest import Event, Model, Request, Usage
from wit_world.imports import log

from guard import failure, guarded


class Completion:
    """An answer that is arriving."""

    def __init__(self, words: list[str]):
        self.words = words
        self.said = 0

    @guarded
    def next(self) -> Event | None:
        if self.said > len(self.words):
            return None
        self.said += 1
        if self.said <= len(self.words):
            return event(text=self.words[self.said - 1] + " ")
        return event(usage=Usage(len(self.words), len(self.words)), stop="end")


class Guest(exports.Guest):
    @guarded
    def models(self) -> list[Model]:
        return [Model("echo", "Echo", None, [])]

    @guarded
    def complete(self, request: Request) -> Completion:
        if request.model != "echo":
            raise failure("not-found", f"{{name}} has no model {request.model}; it has echo.")
        heard = [message.text for message in request.messages if message.role == "user"]
        log.log(log.Level.INFO, f"heard {len(heard)} messages")
        return Completion(heard[-1].split() if heard else [])


def event(text: str = "", usage: Usage | None = None, stop: str | None = None) -> Event:
    return Event(text=text, reasoning="", tool_calls=[], usage=usage, stop=stop, extensions=[])
