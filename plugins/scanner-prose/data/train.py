#!/usr/bin/env python3
"""Trains the model: texts from templates.txt, features from examples/features.rs, weights to src/weights.rs.

    cargo build --release -p scanner-prose --examples
    python3 train.py TARGET_DIR/release/examples [--check | --all]

Needs faker, numpy and scikit-learn. A fifth of the templates (by the hash of their text) is held back and scored.
The labelled documents of tests/detection are part of the training. Half of the documents' names come from the lists, the rest from letter chains that were never on any list.
`--all` trains on every template, as for a release: what is held back is then no measure.
`--check` scores the weights that are there and trains nothing.
"""
import collections, hashlib, json, os, random, re, subprocess, sys

import faker
import numpy as np
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

HERE = os.path.dirname(os.path.abspath(__file__))
BIN = sys.argv[1]
random.seed(7)
LOCALES = {"en_US": 30, "en_GB": 14, "en_IN": 8, "en_AU": 2, "en_IE": 3, "de_DE": 9, "fr_FR": 8, "es_ES": 8, "es_MX": 3, "it_IT": 6, "nl_NL": 6, "pt_BR": 3, "pt_PT": 2,
           "pl_PL": 5, "sv_SE": 4, "da_DK": 3, "no_NO": 3, "fi_FI": 3, "tr_TR": 5, "cs_CZ": 2, "hu_HU": 2, "ro_RO": 2, "hr_HR": 2, "ru_RU": 3, "uk_UA": 2, "el_GR": 2,
           "id_ID": 2, "en_NG": 3, "vi_VN": 2, "yo_NG": 1, "ha_NG": 1, "zu_ZA": 1}
FAKERS = {}
for name in list(LOCALES):
    try:
        FAKERS[name] = faker.Faker(name)
        FAKERS[name].seed_instance(11)
    except Exception:
        del LOCALES[name]


def section(file, names):
    out, use = [], False
    for line in open(os.path.join(HERE, file), encoding="utf-8"):
        if line.startswith("#"):
            use = line[1:].strip() in names
        elif use:
            out += line.split()
    return out


WORDS = [w for w in section("words.txt", ("W", "w", "S")) if len(w) > 2]
COMMON = [w for w in section("words.txt", ("W",)) if len(w) > 3]
FIRSTS, LASTS = section("names.txt", ("f", "F", "fl", "Fl")), section("names.txt", ("l", "L", "fl", "fL"))
LATIN = lambda ws: [w for w in ws if w[0].isascii() and len(w) > 2]
FIRSTS, LASTS = LATIN(FIRSTS), LATIN(LASTS)
PLACES = [w for w in section("cues.txt", ("place",)) if len(w) > 3]
PLACES = PLACES[:PLACES.index("north")]
NOUNS = """Antrag Auftrag Bericht Bestellung Rechnung Lieferung Vertrag Kunde Kunden Server Dienst Fehler Meldung Nachricht Anlage Abteilung Verwaltung Zahlung Konto Frist Termin Besprechung Sitzung Projekt Wohnung Haus Straße
Stadt Gemeinde Schule Klasse Lehrer Schüler Arzt Praxis Klinik Patient Befund Behandlung Versicherung Leistung Kosten Preis Betrag Summe Steuer Bescheid Behörde Gericht Urteil Gesetz Regelung Ordnung Prüfung Ergebnis Zeugnis
Ausbildung Arbeit Stelle Bewerbung Gehalt Urlaub Krankheit Unfall Schaden Auto Wagen Motor Reifen Werkstatt Reparatur Teil Ware Lager Paket Sendung Adresse Brief Post Mail Anruf Telefon Handy Rechner Bildschirm Drucker Papier
Datei Ordner Programm Anwendung Update Version Lizenz Schlüssel Passwort Zugang Nutzer Gruppe Rolle Recht Wirtschaft Wachstum Bevölkerung Durchschnitt Studie Gefahr Gerede Kapelle Kirche Pfeiler Soldat Krieg Frieden Land Meer Berg
Fluss Wald Baum Tier Hund Katze Pferd Vogel Fisch Essen Brot Wasser Wein Bier Kaffee Frau Mann Kind Leute Mensch Jahr Monat Woche Tag Stunde Minute Anfang Ende Mitte Seite Bild Film Buch Kapitel Satz Wort Sprache Musik Lied Spiel
Mannschaft Trainer Verein Liga Sieg Niederlage Tor Punkt Kommentar Umstand Änderung Kapital Handel Bank Geld Kredit Zins Börse Aktie Firma Betrieb Werk Maschine Anlage Strom Gas Öl Heizung Fenster Tür Dach Keller Garten""".split()
ALL = set(section("names.txt", ("f", "F", "fl", "Fl", "l", "L", "fL", "FL"))) | set(WORDS)
TECH = """Kafka Jenkins Redis Docker Kubernetes Elasticsearch Grafana Prometheus Postgres MySQL MongoDB Nginx Tomcat Jira Confluence Slack GitHub GitLab Terraform Ansible Vault
Consul Spark Flink Airflow Cassandra Hadoop RabbitMQ Celery Django Flask React Angular Node.js TypeScript Python Java Kotlin Swift Rust Ruby Oracle Salesforce Stripe PayPal Zoom Outlook
Windows Linux Ubuntu Debian Fedora Android Chrome Firefox Safari Bamboo Sentry Splunk Datadog Zookeeper Envoy Istio Helm Argo Rancher Hibernate Gradle Maven Athena Aurora Lambda Apache
Microsoft Google Amazon Netflix Tesla Samsung Siemens Bosch Toyota Volkswagen Adobe Cisco Intel Nvidia Oracle Keycloak Okta Nexus Artifactory Puppet Chef Salt Nomad Packer Hive Presto Julia Pascal Ada
Jupyter Pandora Alexa Siri Cortana Watson Copilot Gemini Snowflake Databricks Looker Tableau Qlik Talend Camunda Drools Quarkus Netty Jetty Solr Lucene Varnish Squid Traefik Linkerd Falco Harbor""".split()
ORGWORDS = "Inc Ltd LLC GmbH Group Holdings Partners Consulting Solutions Systems Technologies Industries Logistics Bank Insurance Media Foods Energy Motors Labs Capital Ventures plc AG Corp Limited Associates".split()
SUFFIXES = "er on ix ora ity ium a o us ent ic al eo is".split()


def chain(words):
    """Letter trigrams, to make names that were never on a list."""
    table = collections.defaultdict(list)
    for word in random.sample(words, min(9000, len(words))):
        word = "^^" + word + "$"
        for i in range(len(word) - 2):
            table[word[i:i + 2]].append(word[i + 2])

    def make():
        while True:
            out = "^^"
            while not out.endswith("$"):
                out += random.choice(table[out[-2:]])
            word = out[2:-1]
            if 3 < len(word) < 11 and word not in ALL and word.isalpha():
                return word.capitalize()
    return make


new_first, new_last = chain(FIRSTS), chain(LASTS)


def person():
    fake = FAKERS[random.choices(list(LOCALES), list(LOCALES.values()))[0]]
    roll = random.random()
    first = new_first() if roll < .12 else random.choice(FIRSTS).capitalize() if roll < .2 else fake.first_name()
    roll = random.random()
    last = new_last() if roll < .3 else random.choice(LASTS).capitalize() if roll < .38 else fake.last_name()
    if random.random() < .04:
        last = random.choice(["van ", "van der ", "de ", "De ", "von ", "di ", "dos ", "al-", "O'", "Mc", "Mac", "El ", "bin ", "Le "]) + last
    if random.random() < .04:
        last = f"{last}-{fake.last_name()}"
    middle = ""
    roll = random.random()
    if roll < .05:
        middle = random.choice("ABCDEFGHJKLMPRSTW") + ". "
    elif roll < .1:
        middle = fake.first_name() + " "
    full = f"{first} {middle}{last}"
    if random.random() < .02:
        full += random.choice([" Jr.", " Jr", " III", " PhD"])
        full = full.rstrip(".")
    if random.random() < .015:
        full = full.upper()
    if random.random() < .02:
        full = f"{first[0]}. {last}"
    elif random.random() < .01:
        full = f"{first[0]}.-{random.choice('ABCDEGHJLMPRS')}. {last}"
    elif random.random() < .006:
        full = f'{first} "{random.choice(FIRSTS).capitalize()}" {last}'
    return first, last, full


def cap(word):
    return word[0].upper() + word[1:]


def noun():
    roll = random.random()
    if roll < .5:
        return random.choice(NOUNS)
    return random.choice(NOUNS) + random.choice(["s", "", "n", ""]) + random.choice(NOUNS).lower()


new_word = chain(COMMON)


def invented():
    roll = random.random()
    if roll < .3:
        return cap(random.choice(COMMON)) + random.choice(COMMON)
    if roll < .5:
        return cap(random.choice(COMMON)) + random.choice("er ing izer ed ify let ster ware ly able base box hub flow io".split())
    if roll < .6:
        return random.choice(["Re", "Un", "Pre", "Sub", "Multi", "Auto", "Dis", "Inter"]) + random.choice(COMMON)
    if roll < .65:
        return "".join(random.choice("ABCDEFGHIKLMNOPRSTUVWX") for _ in range(random.randint(2, 5)))
    return new_word()


def organisation():
    l = lambda: person()[1] if random.random() < .6 else random.choice(LASTS).capitalize()
    brand = lambda: random.choice([cap(random.choice(COMMON)), cap(random.choice(COMMON))[:6] + random.choice(SUFFIXES), new_last()])
    w = lambda: random.choice(ORGWORDS)
    return random.choice([
        lambda: f"{l()} {w()}", lambda: f"{l()}, {l()} and {l()}", lambda: f"{l()}-{l()}", lambda: f"{l()} and Sons", lambda: f"{l()} & {l()}", lambda: f"{l()} & Co",
        lambda: f"{brand()} {w()}", lambda: f"{brand()}", lambda: f"{brand()} {cap(random.choice(COMMON))}", lambda: f"{brand()} {w()}", lambda: f"Bank of {city()}",
        lambda: f"University of {city()}", lambda: f"{city()} City Council", lambda: f"{l()} PLC", lambda: random.choice(TECH), lambda: f"{l()} Brothers", lambda: f"{l()}, {l()} & {l()} LLP",
        lambda: f"{l()} {w()} {w()}", lambda: f"the {cap(random.choice(COMMON))} {cap(random.choice(COMMON))} Foundation", lambda: f"{random.choice(FIRSTS).capitalize()}'s {cap(random.choice(COMMON))}",
    ])()


def city():
    roll = random.random()
    if roll < .55:
        return random.choice(PLACES).capitalize()
    if roll < .8:
        return FAKERS["en_US"].city()
    if roll < .9:
        return FAKERS[random.choice(["de_DE", "fr_FR", "es_ES", "it_IT", "pl_PL", "sv_SE"])].city()
    return new_last()


MONTHS = "January February March April May June July August September October November December".split()


def slot(name, people):
    base, digit = (name[:-1], name[-1]) if name[-1].isdigit() else (name, "")
    if base in ("P", "F", "L", "T", "I", "R", "U", "V", "Q", "q"):
        key = digit or "1"
        if key not in people:
            people[key] = person()
        first, last, full = people[key]
        if base == "T":
            title = random.choice("Mr Mrs Ms Dr Mr. Mrs. Ms. Dr. Prof.".split())
            return f"{title} ", last if random.random() < .7 else f"{first} {last}"
        if base == "I":
            return "", first[0] + "."
        if base in "RV" and random.random() < .15:
            first = f"{first} {random.choice(FIRSTS).capitalize()}" if random.random() < .6 else f"{first} {random.choice('ABCDEJKLMR')}."
        turned = f"{last}, {first}"
        return "", {"P": full, "F": first, "L": last, "R": turned, "U": full.upper(), "V": turned.upper(), "Q": first.lower(), "q": last.lower()}[base]
    return None


ROLES = section("cues.txt", ("role",))


def plain(name):
    r = random
    name = name.rstrip("0123456789")
    return {
        "ORG": organisation, "CITY": city, "COUNTRY": lambda: FAKERS["en_US"].country() if r.random() < .5 else r.choice("France Germany Spain Japan Brazil Kenya Turkey Poland India Canada".split()),
        "TECH": lambda: r.choice(TECH) if r.random() < .75 else invented(), "Nomen": noun, "New": invented, "WORD": lambda: r.choice(COMMON), "Word": lambda: invented() if r.random() < .12 else cap(r.choice(COMMON if r.random() < .7 else WORDS)), "NUM": lambda: str(r.choice([r.randint(1, 31), r.randint(2, 900), r.randint(1000, 99999)])),
        "DATE": lambda: r.choice([f"{r.randint(1, 28)} {r.choice(MONTHS)} {r.randint(1950, 2026)}", f"{r.randint(1, 12)}/{r.randint(1, 28)}/{r.randint(1980, 2026)}", f"20{r.randint(10, 26)}-0{r.randint(1, 9)}-1{r.randint(0, 9)}", f"{r.choice(MONTHS)} {r.randint(1, 28)}, {r.randint(1990, 2026)}"]),
        "TIME": lambda: f"{r.randint(0, 23):02}:{r.randint(0, 59):02}", "YEAR": lambda: str(r.randint(1950, 2026)), "MONTH": lambda: r.choice(MONTHS), "MAIL": lambda: f"{r.choice(COMMON)}{r.randint(1, 99)}@example.com",
        "ID": lambda: f"{r.choice('ABCDEFG')}{r.choice('QRSTUV')}-{r.randint(1000, 99999)}", "PHONE": lambda: f"+44 20 {r.randint(1000, 9999)} {r.randint(1000, 9999)}", "VER": lambda: f"{r.randint(0, 20)}.{r.randint(0, 20)}.{r.randint(0, 9)}",
        "STAMP": lambda: r.choice([f"2026-03-1{r.randint(0, 9)}T12:{r.randint(10, 59)}:03.123Z", f"2026-03-1{r.randint(0, 9)} 12:{r.randint(10, 59)}:03,123", f"Mar 1{r.randint(0, 9)} 12:{r.randint(10, 59)}:03"]),
        "CAPS": lambda: r.choice([w for w in r.sample(LASTS, 60) if len(w) < 6] or ["ram"]).upper() if r.random() < .6 else r.choice(COMMON).upper(),
        "NP": lambda: person()[2], "NF": lambda: person()[0], "NL": lambda: person()[1],
        "LABEL": lambda: r.choice(ROLES).capitalize(),
        "ORGWORD": lambda: r.choice(ORGWORDS),
    }[name]()


LABELLED = re.compile(r"\{([A-Za-z]+\d?)\}")


def fill(template, none, people):
    """The text and the character ranges of the names."""
    text, spans, at = "", [], 0
    template = template.replace("\\n", "\n")
    full = template
    for m in LABELLED.finditer(full):
        text += full[at:m.start()]
        at = m.end()
        got = slot(m.group(1), people)
        if got is None:
            text += plain(m.group(1))
            continue
        head, value = got
        text += head
        # `{F} {I} {L}` is one name.
        joined = m.group(1)[0] != "q" and spans and spans[-1][1] == len(text) - 1 and text.endswith(" ") and m.group(1)[0] in "LI" and full[:m.start()].endswith("} ")
        begin = spans.pop()[0] if joined else len(text)
        if full[:m.start()].endswith(", ") and m.group(1)[0] == "F" and re.match(r"\{L\}, ", full) and spans and spans[-1][1] == len(text) - 2:
            begin = spans.pop()[0]
        if m.group(1)[0] == "q" and spans and spans[-1][1] == len(text) - 1 and text.endswith(" "):
            begin = spans.pop()[0]
        text += value
        spans.append((begin, len(text)))
    text += full[at:]
    return text, [] if none else spans


def templates():
    out, none = [], False
    for line in open(os.path.join(HERE, "templates.txt"), encoding="utf-8"):
        line = line.rstrip("\n")
        if line.startswith("#none"):
            none = True
        if line and not re.match(r"#(\w|!| |$)", line) or line.startswith("# {P}"):
            out.append((line, none))
    return out


def held(template):
    return hashlib.sha256(template.encode()).digest()[0] % 5 == 0


FILLERS = ["Please check.", "It is urgent.", "The rest is fine.", "We will see tomorrow.", "No further action is needed.", "See the attached file.", "The order number is 4711.", "Then the page crashed again."]


def wrap(text, spans):
    roll = random.random()
    if "\n" in text and roll < .5 or roll < .1:
        # As a JSON string.
        key = random.choice(["message", "text", "body", "comment", "description", "msg", "note", "content"])
        head = random.choice(['{"id":17,"%s":"', '{"ts":"2026-01-02T03:04:05Z","level":"info","%s":"', '{"%s": "']) % key
        out, moved, at = head, [], 0
        ascii_only = random.random() < .3
        escape = lambda s: json.dumps(s, ensure_ascii=ascii_only)[1:-1]
        for a, b in spans:
            out += escape(text[at:a])
            start = len(out)
            out += escape(text[a:b])
            moved.append((start, len(out)))
            at = b
        return out + escape(text[at:]) + random.choice(['"}', '","ok":true}']), moved
    head = ""
    if roll < .15 and "\n" not in text:
        head = random.choice(["2026-03-12T12:13:14Z INFO app - ", "2026-03-12 12:13:14,123 [worker-3] WARN com.acme.shop.Mailer - ", "Mar 12 12:13:14 host app[123]: ", "[12:13:14] ", "level=info msg=\"", "> ", "- ", "  * ", "// ", "# ", "INFO: "])
    elif roll < .3:
        head = random.choice(FILLERS) + random.choice([" ", "\n"])
    tail = "" if random.random() < .7 else random.choice([" ", "\n"]) + random.choice(FILLERS)
    return head + text + tail, [(a + len(head), b + len(head)) for a, b in spans]


def documents(count, of):
    """Texts of the templates that are held back (True), that are not (False), or of all (None)."""
    chosen = [t for t in templates() if of is None or held(t[0]) == of]
    people = [t for t in chosen if not t[1]]
    none = [t for t in chosen if t[1]]
    out = []
    for n in range(count):
        pool = people if random.random() < .55 else none
        text, spans = "", []
        known = {}
        for i in range(random.choice([1, 1, 1, 2, 2, 3])):
            part, marks = fill(random.choice(pool)[0], pool is none, known if random.random() < .6 else {})
            if i:
                text += random.choice([" ", " ", "\n", "\n\n"])
            spans += [(a + len(text), b + len(text)) for a, b in marks]
            text += part
        text, spans = wrap(text, spans)
        out.append({"id": n, "text": text, "spans": spans, "none": pool is none})
    return out


def bytes_of(document):
    text = document["text"]
    return {(len(text[:a].encode()), len(text[:b].encode())) for a, b in document["spans"]}


# Added to the bias: where precision and recall of documents that the model has not seen are in balance.
LEAN = .5

DETECTION = os.path.join(HERE, "..", "..", "..", "tests", "detection")


def renamed(template):
    """The template with other names for the people that it gives as literals: word by word, each of its own kind."""
    known = {}

    def word(m):
        old = m.group(0)
        key = old.lower()
        if len(old) < 3 or old.islower() and len(old) < 4 or not old[0].isascii() or key in KEPT:
            return old
        if key not in known:
            first, last = key in FIRST_SET, key in LAST_SET
            name = person()
            new = name[0] if first and not last else name[1] if last and not first else name[random.random() < .5]
            known[key] = new.replace(" ", "")
        new = known[key]
        return new.upper() if old.isupper() else new.lower() if old.islower() else new

    return re.sub(r"(⟪PERSON(?:#\w+)?\|)([^⟫]*)⟫", lambda m: m.group(1) + re.sub(r"[^\W\d_]+(?![^\W\d_]*\.)", word, m.group(2)) + "⟫", template)


FIRST_SET, LAST_SET = set(FIRSTS), set(LASTS)
KEPT = set("van von der den del dos das bin ben binte ibn abu los las und and".split())


def labelled(rounds, seed, plain=False):
    """The documents of tests/detection, with other values in each round; `fold` is a quarter of the templates.

    Prose counts in every round; of machines' records, which are long and alike, each round takes a part."""
    sys.path.insert(0, DETECTION)
    import fill as detection

    out = []
    for turn in range(rounds):
        values = detection.Values(seed + turn)
        for name in ("prose", "nonames", "people", "mixed", "records", "applications", "systems", "configs"):
            for line in open(os.path.join(DETECTION, "templates", name + ".jsonl"), encoding="utf-8"):
                template = json.loads(line)
                fold = hashlib.sha256(template["text"].encode()).digest()[1] % 4
                if not plain and name not in ("prose", "nonames", "people") and random.random() < .5:
                    continue
                if turn and not plain:
                    template["text"] = renamed(template["text"])
                d = detection.fill(template, values, len(out))
                people = [(s["start"], s["end"]) for s in d["spans"] if s["type"] == "PERSON"]
                out.append({"id": len(out), "text": d["text"], "spans": people, "none": not people, "negs": d["negs"], "set": name, "fold": fold,
                            "other": [s for s in d["spans"] if s["type"] != "PERSON"]})
    return out


def look(documents):
    lines = "\n".join(json.dumps({"id": d["id"], "text": d["text"]}) for d in documents)
    done = subprocess.run([os.path.join(BIN, "features")], input=lines, capture_output=True, text=True, check=True)
    return [json.loads(line)["candidates"] for line in done.stdout.splitlines()]


# How much a candidate of a made-up text counts beside one of a labelled document.
MADE_UP = .4


def matrix(documents, size):
    rows, columns, labels, weights = [], [], [], []
    n = 0
    for document, candidates in zip(documents, look(documents)):
        gold = bytes_of(document)
        for start, end, _, features in candidates:
            rows += [n] * len(features)
            columns += features
            labels.append((start, end) in gold)
            weights.append(1 if "fold" in document else MADE_UP)
            n += 1
    return csr_matrix((np.ones(len(rows), dtype=np.float32), (rows, columns)), shape=(n, size)), np.array(labels), np.array(weights)


def score(documents):
    lines = "\n".join(json.dumps({"id": d["id"], "text": d["text"]}) for d in documents)
    done = subprocess.run([os.path.join(BIN, "score")], input=lines, capture_output=True, text=True, check=True)
    tp = fp = n = false_none = 0
    examples = []
    for document, line in zip(documents, done.stdout.splitlines()):
        gold = bytes_of(document)
        got = {(s["start"], s["end"]) for s in json.loads(line)["spans"] if s["type"] == "PERSON"}
        n, tp, fp = n + len(gold), tp + len(gold & got), fp + len(got - gold)
        false_none += len(got) if document["none"] else 0
        raw = document["text"].encode()
        examples += [("MISS", raw[a:b].decode(), document["text"]) for a, b in gold - got] + [("FALSE", raw[a:b].decode(), document["text"]) for a, b in got - gold]
    p, r = tp / max(1, tp + fp), tp / max(1, n)
    print(f"names {n} P {p:.3f} R {r:.3f} F1 {2 * p * r / max(1e-9, p + r):.3f}; false in texts without people {false_none}")
    return examples


def main():
    names = subprocess.run([os.path.join(BIN, "features"), "--names"], capture_output=True, text=True, check=True).stdout.splitlines()
    back = documents(6000, True)
    if "--check" not in sys.argv:
        train = documents(60000, None if "--all" in sys.argv else False) + labelled(14, 1)
        x, y, counts = matrix(train, len(names))
        print(x.shape, y.mean())
        model = LogisticRegression(C=.5, max_iter=300, fit_intercept=False, solver="lbfgs")
        model.fit(x, y, sample_weight=counts)
        seen = np.asarray((x != 0).sum(axis=0)).ravel()
        weights = model.coef_[0]
        print("feature rows never seen:", int((seen == 0).sum()))
        with open(os.path.join(HERE, "..", "src", "weights.rs"), "w") as out:
            out.write("//! The weights of the model, by feature; written by `data/train.py`.\n//!\n//! Above 0 a feature speaks for a name. Their sum is the logarithm of the odds.\n\n")
            out.write("/// One line for each feature, in the order of [`crate::features::name`].\n#[rustfmt::skip]\n#[allow(clippy::approx_constant, reason = \"a weight may be near a number of fame\")]\npub(crate) const WEIGHTS: &[(&str, f32)] = &[\n")
            weights[0] += LEAN
            for name, weight, count in zip(names, weights, seen):
                # What was hardly seen says nothing.
                out.write(f'    ("{name}", {weight if count > 3 else 0:.2f}),\n')
            out.write("];\n")
        return
    examples = score(back)
    if "--examples" in sys.argv:
        random.shuffle(examples)
        for kind, value, text in examples[:60]:
            print(kind, repr(value), "IN", repr(text[:160]))


if __name__ == "__main__":
    main()
