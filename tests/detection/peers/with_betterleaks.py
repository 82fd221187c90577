"""betterleaks with its own rules on documents: {"id":…,"text":…} a line in, {"id":…,"spans":[…]} a line out."""
import json, sys

import betterleaks

for line in sys.stdin:
    document = json.loads(line)
    raw, spans = document["text"].encode(), []
    for found in betterleaks.scan_string(document["text"]):
        secret, start = found.secret.encode(), 0
        while secret and (start := raw.find(secret, start)) >= 0:
            spans.append({"type": "GENERIC_SECRET", "start": start, "end": start + len(secret)})
            start += len(secret)
    print(json.dumps({"id": document["id"], "spans": spans}))
