#!/usr/bin/env python3
"""How well findings fit labelled documents.

    score.py documents.jsonl found.jsonl [--types] [--misses N] [--false N] [--floor GROUP PRECISION RECALL]

A line of findings is {"id": …, "spans": [{"type": …, "start": …, "end": …}]}, in bytes of UTF-8. A value is found where a
finding of its group covers nine tenths of it; a finding is false where no value of its group lies under half of it and
nothing is there that is not judged; a value leaks where a byte of it is covered by nothing.
"""
import argparse, collections, json, sys

STRUCTURED = "EMAIL PHONE IP MAC CREDIT_CARD IBAN US_SSN UK_NINO UK_NHS".split()
CONTEXTUAL = "PERSON ADDRESS DOB HOSTNAME USERNAME PASSPORT".split()


def group(kind):
    """Types that may stand for one another: all secrets, both versions of IP."""
    kind = "IP" if kind in ("IPV4", "IPV6") else kind
    return kind if kind in STRUCTURED or kind in CONTEXTUAL else "SECRET"


def rows(path):
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def common(a, b):
    return min(a[1], b[1]) - max(a[0], b[0])


class Score:
    def __init__(self, documents, found):
        found = {one["id"]: [((s["start"], s["end"]), s["type"]) for s in one["spans"]] for one in rows(found)}
        self.count = collections.defaultdict(collections.Counter)
        self.misses, self.false, self.alike = [], [], [0, 0]
        for document in rows(documents):
            self.add(document, found.get(document["id"], []))

    def add(self, document, got):
        text = document["text"]
        raw = text.encode()
        at = [0]
        for character in text:
            at.append(at[-1] + len(character.encode()))
        covered = bytearray(len(raw))
        for (start, end), _ in got:
            covered[start:end] = b"\1" * (min(end, len(raw)) - start)
        values = [((at[s["start"]], at[s["end"]]), s["type"]) for s in document["spans"]]
        unjudged = [(at[n["start"]], at[n["end"]]) for n in document["negs"] if n["neutral"]]
        around = lambda r: raw[max(0, r[0] - 40):r[1] + 20].decode(errors="replace")
        for place, kind in values:
            length = place[1] - place[0]
            hit = any(group(k) == group(kind) and common(place, r) >= 0.9 * length for r, k in got)
            self.count[kind]["n"] += 1
            self.count[kind]["hit"] += hit
            self.count[kind]["leak"] += sum(covered[place[0]:place[1]]) < length
            if not hit:
                self.misses.append((kind, around(place)))
        for place, kind in got:
            half = 0.5 * (place[1] - place[0])
            right = any(group(k) == group(kind) and (common(place, r) >= half or common(place, r) >= 0.9 * (r[1] - r[0])) for r, k in values)
            if not right and not any(common(place, r) > 0 for r in unjudged):
                self.count[kind]["false"] += 1
                self.false.append((kind, around(place)))
        for negative in document["negs"]:
            if not negative["neutral"]:
                place = (at[negative["start"]], at[negative["end"]])
                self.alike[1] += 1
                self.alike[0] += any(common(place, r) > 0 for r, _ in got)

    def figures(self, kinds):
        n, hit, leak, false = (sum(self.count[k][what] for k in kinds if k in self.count) for what in ("n", "hit", "leak", "false"))
        precision = hit / (hit + false) if hit + false else 0.0
        recall = hit / n if n else 0.0
        f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        return {"n": n, "precision": precision, "recall": recall, "f1": f1, "leak": leak / n if n else 0.0}

    def groups(self):
        of = lambda name: [k for k in self.count if (group(k) in STRUCTURED) * (name == "structured")
                           or (group(k) in CONTEXTUAL) * (name == "contextual") or (group(k) == "SECRET") * (name == "secrets")]
        return {name: self.figures(of(name)) for name in ("structured", "secrets", "contextual")}

    def alike_hit(self):
        return self.alike[0] / max(1, self.alike[1])


def line(name, f):
    return f"{name:24} n {f['n']:6} P {f['precision']:.3f} R {f['recall']:.3f} F1 {f['f1']:.3f} leak {f['leak']:.3f}"


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("documents"), a.add_argument("found"), a.add_argument("--types", action="store_true")
    a.add_argument("--misses", type=int, default=0), a.add_argument("--false", type=int, default=0)
    a.add_argument("--floor", nargs=3, action="append", default=[], metavar=("GROUP", "PRECISION", "RECALL"))
    o = a.parse_args()
    score = Score(o.documents, o.found)
    for name, figures in score.groups().items():
        print(line(name, figures))
    print(f"look-alikes marked       {score.alike[0]} of {score.alike[1]} = {score.alike_hit():.4f}")
    if o.types:
        for kind in sorted(score.count):
            print(line("  " + kind, score.figures([kind])))
    below = [f"{name} is below precision {p} or recall {r}" for name, p, r in o.floor
             if score.groups()[name]["precision"] < float(p) or score.groups()[name]["recall"] < float(r)]
    for kind, context in score.misses[:o.misses]:
        print(f"missed {kind:18} {context!r}")
    for kind, context in score.false[:o.false]:
        print(f"false  {kind:18} {context!r}")
    if below:
        sys.exit("; ".join(below))


if __name__ == "__main__":
    main()
