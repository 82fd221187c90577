"""{{name}}: can tell whether its server is there.

Modules are imported here at the top: the plugin is frozen once this file has run, and no file can be read afterwards.
"""

from wit_world import exports
from wit_world.exports.guest import (
    Account, Attachment, Document, Draft, Item, PageOfItems, PageOfProjects, Published, Query,
)
from wit_world.imports import config, http, log
from wit_world.imports.types import Header, HeaderValue_Credential, HeaderValue_Text

from guard import failure, guarded


class Guest(exports.Guest):
    def capabilities(self) -> list[str]:
        # A function that works is named here.
        return ["test-connection"]

    @guarded
    def test_connection(self) -> Account:
        status, body = fetch("GET", "")
        return Account(f"HTTP {status}, {len(body)} bytes", "{{name}}", [])

    @guarded
    def list_projects(self, cursor: str | None) -> PageOfProjects:
        raise unsupported()

    @guarded
    def search(self, query: Query) -> PageOfItems:
        raise unsupported()

    @guarded
    def get(self, id: str) -> Item:
        raise unsupported()

    @guarded
    def create(self, draft: Draft) -> Item:
        raise unsupported()

    @guarded
    def update(self, id: str, version: str, draft: Draft) -> Item:
        raise unsupported()

    @guarded
    def sync_since(self, since: str, cursor: str | None) -> PageOfItems:
        raise unsupported()

    @guarded
    def publish_document(self, document: Document) -> Published:
        raise unsupported()

    @guarded
    def attach(self, id: str, attachment: Attachment) -> str:
        raise unsupported()


def unsupported():
    return failure("unsupported", "{{name}} cannot do that yet.")


def fetch(method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    """Status and body of what the server in the settings answers."""
    base_url, credential = config.get("base-url"), config.get("credential")
    if not base_url:
        raise failure("invalid", "The setting base-url is missing.")
    headers = [Header("accept", HeaderValue_Text("application/json"))]
    if credential:
        # By handle: the host writes the value, and the plugin never sees it.
        headers.append(Header("authorization", HeaderValue_Credential(credential)))
    request = http.Request(method, base_url.rstrip("/") + path, headers, body, timeout_ms=0, extensions=[])
    # Leaving the block closes the connection.
    with http.send(request) as response:
        status, answer = response.status(), b"".join(iter(response.next_chunk, None))
    log.log(log.Level.INFO, f"{method} {path or '/'}: HTTP {status}")
    if status == 401:
        raise failure("auth", "The credential was refused; renew it.")
    if not 200 <= status < 300:
        raise failure("unavailable" if status >= 500 else "invalid", f"The server answered with HTTP {status}.")
    return status, answer
