"""Files tickets and documents in Desk, a small ticket system.

Desk's API: `GET /me`, `GET /queues?cursor=`, `GET /tickets?marker=`, `POST /tickets`. A ticket that is filed does not
change.
"""

import hashlib
import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.guest import (
    Account, Attachment, Document, Draft, Item, PageOfItems, PageOfProjects, Project, Published, Query, Remote,
)
from wit_world.imports import kv, log

from desk import Desk, text
from guard import failure, guarded


class Guest(exports.Guest):
    def capabilities(self) -> list[str]:
        return ["test-connection", "list-projects", "create", "publish-document"]

    @guarded
    def test_connection(self) -> Account:
        me = Desk.configured().get("/me")
        return Account(text(me.get("name")), text(me.get("product") or "Desk"), [])

    @guarded
    def list_projects(self, cursor: str | None) -> PageOfProjects:
        page = Desk.configured().get("/queues", cursor=cursor)
        queues = page.get("queues") or []
        return PageOfProjects([project(queue) for queue in queues], text(page.get("next")) or None)

    @guarded
    def create(self, draft: Draft) -> Item:
        ticket, _ = file_once(Desk.configured(), draft.marker, draft.project or "", draft.title or "", draft.body or "")
        return item(ticket)

    @guarded
    def publish_document(self, document: Document) -> Published:
        desk = Desk.configured()
        digest = hashlib.sha256(f"{document.title}\n{document.markdown}".encode()).hexdigest()
        ticket, created = file_once(desk, document.marker, document.project, document.title, document.markdown)
        if document.known:
            changed = document.known.content_sha256 != digest
        else:
            changed = (ticket["title"], ticket["body"]) != (document.title, document.markdown)
        if changed and not created:
            raise failure("unsupported", "A ticket that is filed in Desk does not change; publish a new document.")
        filed = item(ticket)
        url = filed.url or f"{desk.base_url}/tickets/{filed.id}"
        outcome = "created" if created else "unchanged"
        return Published(Remote(filed.id, filed.version, digest), url, filed.title, outcome)

    @guarded
    def search(self, query: Query) -> PageOfItems:
        raise unsupported("search")

    @guarded
    def get(self, id: str) -> Item:
        raise unsupported("get")

    @guarded
    def update(self, id: str, version: str, draft: Draft) -> Item:
        raise unsupported("update")

    @guarded
    def sync_since(self, since: str, cursor: str | None) -> PageOfItems:
        raise unsupported("sync-since")

    @guarded
    def attach(self, id: str, attachment: Attachment) -> str:
        raise unsupported("attach")


def unsupported(function: str) -> Err:
    return failure("unsupported", f"Desk has nothing for {function}.")


def file_once(desk: Desk, marker: str, queue: str, title: str, body: str) -> tuple[dict, bool]:
    """The ticket with this marker, and whether it was filed just now.

    There is never a second one: who has the marker is asked before, and asked again where the connection broke while
    the ticket was on its way.
    """
    wanted = {"marker": marker, "queue": queue, "title": title, "body": body}
    if (found := find(desk, marker, wanted)) is not None:
        return found, False
    try:
        ticket = desk.post("/tickets", wanted)
    except Err as error:
        if error.value.code != "outcome-unknown" or (found := find(desk, marker, wanted)) is None:
            raise
        log.log(log.Level.WARN, "the connection broke, but the ticket had been filed")
        return found, True
    if not text(ticket.get("id")):
        raise failure("protocol", "Desk filed the ticket, but its answer has no id.")
    kv.set(key(marker), text(ticket["id"]).encode())
    return wanted | ticket, True


def find(desk: Desk, marker: str, wanted: dict) -> dict | None:
    """The ticket with this marker. What was filed a moment ago may be missing from Desk's list: then the id that we
    noted stands for it."""
    tickets = desk.get("/tickets", marker=marker).get("tickets") or []
    if tickets:
        return wanted | tickets[0]
    noted = kv.get(key(marker))
    return None if noted is None else wanted | {"id": noted.decode()}


def key(marker: str) -> str:
    """Where the id is noted. A key is short, and a marker may be long."""
    return "ticket:" + hashlib.sha256(marker.encode()).hexdigest()


def project(queue: dict) -> Project:
    return Project(
        id=text(queue.get("id")),
        key=text(queue.get("key")),
        name=text(queue.get("name")),
        url=text(queue.get("url")) or None,
    )


def item(ticket: dict) -> Item:
    return Item(
        id=text(ticket.get("id")),
        key=text(ticket.get("key")),
        project=text(ticket.get("queue")),
        title=text(ticket.get("title")),
        kind="ticket",
        status=text(ticket.get("status")),
        priority="",
        assignee="",
        reporter="",
        created=text(ticket.get("created")),
        updated=text(ticket.get("updated")),
        version=text(ticket.get("version")),
        url=text(ticket.get("url")) or None,
        raw=json.dumps(ticket),
    )
