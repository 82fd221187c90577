"""{{name}}: finds order numbers such as ORD-12345.

Modules are imported here at the top: the plugin is frozen once this file has run, and no file can be read afterwards.
"""

import re

from wit_world import exports
from wit_world.exports.guest import Chunk, Finding, Kind
from wit_world.imports import log

from guard import guarded

# Findings count bytes of UTF-8, so bytes are what is searched.
ORDER = re.compile(rb"(?<![0-9A-Za-z_])ORD-[0-9]{5}(?![0-9A-Za-z_])")


class Guest(exports.Guest):
    def detects(self) -> list[Kind]:
        return [Kind("ORDER_NUMBER", "structured", "Order number: ORD- and five digits", [])]

    @guarded
    def prepare(self, rules: str) -> None:
        # What is put into a global here is there in every scan. `rules` is JSON, `{}` where nobody wrote any.
        log.log(log.Level.INFO, "{{name}} is prepared")

    @guarded
    def scan(self, chunk: Chunk) -> list[Finding]:
        return [
            Finding("ORDER_NUMBER", match.start(), match.end(), 0.9, False, "order number")
            for match in ORDER.finditer(chunk.text.encode())
        ]
