"""Reads requests of OTLP traces by the definition that OpenTelemetry publishes (package opentelemetry-proto).

    judge.py JSON-FILE PROTOBUF-FILE

The JSON is read strictly: a field that is not known, a number of the wrong form, an enumeration as a word are errors. Ids
are the one thing that OTLP has otherwise than protobuf's own JSON. Both have to be the same message, with nothing in it
that the definition does not know. Prints how many spans there are.
"""

import base64
import json
import sys

from google.protobuf import json_format, unknown_fields
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

IDS = {"traceId": 32, "spanId": 16, "parentSpanId": 16}


def as_protobuf_has_it(value, key=None):
    if isinstance(value, dict):
        return {name: as_protobuf_has_it(one, name) for name, one in value.items()}
    if isinstance(value, list):
        return [as_protobuf_has_it(one) for one in value]
    if key in IDS:
        if len(value) != IDS[key]:
            raise ValueError(f"{key} has {len(value)} digits")
        return base64.b64encode(bytes.fromhex(value)).decode()
    if key in ("kind", "code") and not isinstance(value, int):
        raise ValueError(f"{key} is no number")
    if key is not None and key.endswith(("UnixNano", "intValue")) and not isinstance(value, str):
        raise ValueError(f"{key} is no text")
    return value


def known(message, path):
    if len(unknown_fields.UnknownFieldSet(message)):
        raise ValueError(f"{path} has fields that are not known")
    for field, value in message.ListFields():
        if field.message_type is not None:
            for one in value if field.is_repeated else [value]:
                known(one, f"{path}.{field.name}")


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        from_json = json_format.ParseDict(as_protobuf_has_it(json.load(file)), ExportTraceServiceRequest())
    with open(sys.argv[2], "rb") as file:
        from_protobuf = ExportTraceServiceRequest.FromString(file.read())
    known(from_protobuf, "request")
    if from_json != from_protobuf:
        raise ValueError(f"they differ:\n{from_json}\n---\n{from_protobuf}")
    print(sum(len(scope.spans) for one in from_json.resource_spans for scope in one.scope_spans))


main()
