"""Finds employee numbers, and the code names of internal projects.

Rules: `{"codenames": ["BLUEBIRD", "RED OAK"]}`. Without rules there are employee numbers alone.
"""

import json
import re
from collections.abc import Iterable

from wit_world import exports
from wit_world.exports.guest import Chunk, Finding, Kind
from wit_world.imports import log

from guard import failure, guarded

# A value ends where no ASCII letter or digit follows. Other letters end it, too: scripts without spaces put them right
# next to it, and a value too many is better than one that leaves.
START, END = r"(?<![0-9A-Za-z_])", r"(?![0-9A-Za-z_])"
EMPLOYEE = re.compile(f"{START}EMP-[0-9]{{6}}{END}")

# What `prepare` left: the host keeps the memory, and every scan begins with it.
codenames: re.Pattern | None = None


def compile_codenames(rules: str) -> re.Pattern | None:
    """The pattern for all code names; nothing where there are none."""
    try:
        parsed = json.loads(rules)
    except ValueError as error:
        raise failure("invalid", f"The rules are no JSON: {error}.")
    names = parsed.get("codenames", []) if isinstance(parsed, dict) else None
    if not isinstance(names, list) or not all(map(is_name, names)):
        raise failure("invalid", 'The rules are to be {"codenames": ["BLUEBIRD", …]}, names of 1 to 100 characters.')
    return re.compile(START + alternatives(name.strip() for name in names) + END) if names else None


def is_name(name: object) -> bool:
    return isinstance(name, str) and 0 < len(name.strip()) <= 100


def alternatives(names: Iterable[str]) -> str:
    """A pattern for any of the names, the longest first. Common beginnings are written once, so that a thousand names
    take hardly longer than one: the time for a window is bounded."""
    tree: dict = {}
    for name in names:
        node = tree
        for character in name:
            node = node.setdefault(character, {})
        node[""] = {}

    def pattern(node: dict) -> str:
        branches = [re.escape(character) + pattern(node[character]) for character in sorted(node) if character]
        if not branches:
            return ""
        joined = "|".join(branches)
        return f"(?:{joined})?" if "" in node else f"(?:{joined})" if len(branches) > 1 else joined

    return pattern(tree)


def in_bytes(text: str, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans of characters as spans of UTF-8 bytes, in one pass. They are in order and do not overlap."""
    if text.isascii():
        return spans
    found, characters, offset = [], 0, 0
    for start, end in spans:
        offset += len(text[characters:start].encode())
        length = len(text[start:end].encode())
        found.append((offset, offset + length))
        characters, offset = end, offset + length
    return found


class Guest(exports.Guest):
    def detects(self) -> list[Kind]:
        return [
            Kind("EMPLOYEE_ID", "structured", "Employee number: EMP- and six digits", []),
            Kind("CODENAME", "contextual", "Code name of an internal project", []),
        ]

    @guarded
    def prepare(self, rules: str) -> None:
        global codenames
        codenames = compile_codenames(rules)
        log.log(log.Level.INFO, "prepared" if codenames else "prepared without code names")

    @guarded
    def scan(self, chunk: Chunk) -> list[Finding]:
        findings = self.find(chunk.text, EMPLOYEE, "EMPLOYEE_ID", 0.9, "employee number")
        if codenames:
            findings += self.find(chunk.text, codenames, "CODENAME", 0.8, "code name")
        return findings

    def find(self, text: str, pattern: re.Pattern, kind: str, confidence: float, detector: str) -> list[Finding]:
        spans = [match.span() for match in pattern.finditer(text)]
        return [Finding(kind, start, end, confidence, False, detector) for start, end in in_bytes(text, spans)]
