"""HTTP as Desk speaks it: JSON both ways, and every way in which it can go wrong as a failure."""

import json
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from wit_world.imports import config, http
from wit_world.imports.http import Request
from wit_world.imports.types import Header, HeaderValue_Credential, HeaderValue_Text

from guard import failure

MAX_ANSWER = 8 << 20

CODES = {401: "auth", 403: "forbidden", 404: "not-found", 409: "conflict", 413: "too-large", 429: "rate-limited"}
ADVICE = {
    "auth": "The credential was refused; renew it.",
    "forbidden": "The credential may not do this.",
    "not-found": "It is not there, or the credential may not see it.",
    "conflict": "Someone changed it meanwhile.",
    "too-large": "It is too long for Desk.",
    "rate-limited": "Too many calls; it is tried again later.",
    "unavailable": "Desk has trouble; try again later.",
}


@dataclass
class Desk:
    """A Desk server, and whose credential is shown to it."""

    base_url: str
    credential: str

    @classmethod
    def configured(cls) -> "Desk":
        """The server in the settings."""
        base_url, credential = config.get("base-url"), config.get("credential")
        if not base_url:
            raise failure("invalid", "The setting base-url is missing: where is Desk?")
        if not credential:
            raise failure("invalid", "The setting credential is missing: choose the one for Desk.")
        return cls(base_url.rstrip("/"), credential)

    def get(self, path: str, **query: str | None) -> dict:
        """What is at a path; a parameter that is None is left out."""
        given = {name: value for name, value in query.items() if value is not None}
        return self.send("GET", f"{path}?{urlencode(given, quote_via=quote)}" if given else path, None)

    def post(self, path: str, body: dict) -> dict:
        return self.send("POST", path, json.dumps(body, ensure_ascii=False).encode())

    def send(self, method: str, path: str, body: bytes | None) -> dict:
        headers = [
            Header("accept", HeaderValue_Text("application/json")),
            # By handle: the host writes the value, and only towards the server that it is meant for.
            Header("authorization", HeaderValue_Credential(self.credential)),
        ]
        if body is not None:
            headers.append(Header("content-type", HeaderValue_Text("application/json")))
        request = Request(method, self.base_url + path, headers, body, timeout_ms=0, extensions=[])
        # Leaving the block closes the connection.
        with http.send(request) as response:
            status, answered, answer = response.status(), dict(response.headers()), bytearray()
            while (piece := response.next_chunk()) is not None:
                answer += piece
                if len(answer) > MAX_ANSWER:
                    raise failure("protocol", f"Desk answered with more than {MAX_ANSWER >> 20} MiB.")
        if not 200 <= status < 300:
            raise refusal(status, answered, bytes(answer))
        try:
            parsed = json.loads(answer)
        except ValueError:
            parsed = None
        if not isinstance(parsed, dict):
            raise failure("protocol", f"Desk did not answer with a JSON object, but with: {excerpt(bytes(answer))}")
        return parsed


def refusal(status: int, headers: dict[str, str], answer: bytes):
    """The failure for a status that is none of success."""
    code = CODES.get(status) or ("unavailable" if status >= 500 else "auth" if status < 400 else "invalid")
    advice = ADVICE.get(code, "Desk does not take the request.")
    if status < 400:
        advice = "Desk sends us elsewhere, most likely to sign in; renew the credential."
    seconds = headers.get("retry-after", "")
    wait = int(seconds) * 1000 if seconds.isdecimal() and seconds.isascii() and len(seconds) < 8 else None
    return failure(code, f"{advice} (HTTP {status}: {excerpt(answer)})", wait)


def excerpt(answer: bytes) -> str:
    """The beginning of an answer, for a person."""
    try:
        answer = str(json.loads(answer)["error"]).encode(errors="replace")
    except (ValueError, KeyError, TypeError):
        pass
    return " ".join(answer[:200].decode(errors="replace").split()) or "nothing"


def text(value: object) -> str:
    """A field as text. JSON can hold halves of characters, and the contract's strings cannot."""
    return "" if value is None else str(value).encode(errors="replace").decode()
