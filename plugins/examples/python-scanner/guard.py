"""Failures, and what becomes of `print` and of an exception that nobody expected.

A plugin has no output of its own: a line that Python would write there ends the call without a word. So every exported
function is `guarded`: what it prints goes to the plugin's log, and so does an exception, while the person gets a
failure that says where to look.
"""

import functools
import io
import linecache
import sys
import traceback

from componentize_py_types import Err
from wit_world.imports import log
from wit_world.imports.types import Failure

# The sources cannot be read while the plugin runs; a traceback does without them.
linecache.updatecache = lambda *_: []
sys.unraisablehook = lambda what: traceback.print_exception(what.exc_value)


class Lines(io.TextIOBase):
    """A file whose lines go to the plugin's log."""

    def __init__(self, level: log.Level):
        self.level = level
        self.line = ""

    def write(self, text: str) -> int:
        *lines, self.line = (self.line + text).split("\n")
        for line in lines:
            log.log(self.level, line)
        return len(text)


OUTPUT, ERRORS = Lines(log.Level.INFO), Lines(log.Level.ERROR)


def failure(code: str, message: str, retry_after_ms: int | None = None) -> Err[Failure]:
    """What to `raise`; the codes are in the contract, at `fumehood:types`."""
    return Err(Failure(code, message, retry_after_ms, []))


def guarded(function):
    """Turn an exception that is no `Err` into an `internal` failure."""

    @functools.wraps(function)
    def call(*arguments):
        # Not before: while the plugin is built, errors are to be seen there.
        sys.stdout, sys.stderr = OUTPUT, ERRORS
        try:
            return function(*arguments)
        except Err:
            raise
        except Exception as error:
            traceback.print_exc()
            raise failure("internal", f"The plugin failed with {type(error).__name__}; its log says where.") from None

    return call
