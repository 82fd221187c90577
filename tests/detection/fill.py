#!/usr/bin/env python3
"""Labelled documents for judging scanners: templates with marked places become text with values of a seed.

    fill.py --seed 7 --rounds 3 templates/*.jsonl > documents.jsonl

A template is a line {"family": …, "text": …}. In its text `⟪TYPE⟫` is a value made here, `⟪TYPE|literal⟫` one that is
given, `⟪-|literal⟫` or `⟪-sha1⟫` a look-alike that must stay unmarked, `⟪?|literal⟫` something that is not judged,
`⟪TYPE#2⟫` the same value wherever it stands again, `⟪%TYPE⟫` one in URL encoding, `⟪b64TYPE⟫` in base64, `⟪"TYPE⟫` as
in a string of JSON within a string of JSON. Documents have the form that `score_pii.py` reads: spans and look-alikes by
characters. Needs `faker`.
"""
import argparse, base64, json, random, re, string, sys, urllib.parse

from faker import Faker

LOCALES = ["en_US", "en_GB", "en_US", "en_IN", "de_DE", "fr_FR", "es_ES", "it_IT", "nl_NL", "pl_PL", "pt_BR", "sv_SE",
           "tr_TR", "en_NG", "cs_CZ", "en_IE", "hu_HU", "id_ID"]
ALNUM = string.ascii_letters + string.digits
URLSAFE = ALNUM + "-_"
MARK = re.compile(r"⟪([^⟫|#]+)(?:#(\w+))?(?:\|([^⟫]*))?⟫")
WORDS = ("orchid granite velvet copper harbor walnut meadow raven tiger summer winter autumn spring dragon monkey silver "
         "coffee purple lemon rocket pepper shadow falcon bridge").split()


def luhn(digits):
    total = 0
    for i, d in enumerate(reversed([int(c) for c in digits])):
        d = d * 2 if i % 2 else d
        total += d - 9 if d > 9 else d
    return total % 10 == 0


class Values:
    """Values of each type, from one seed."""

    def __init__(self, seed):
        self.r = random.Random(seed)
        self.fakers = {}
        for i, locale in enumerate(sorted(set(LOCALES))):
            self.fakers[locale] = Faker(locale)
            self.fakers[locale].seed_instance(seed * 100 + i)

    def fake(self, locale=None):
        return self.fakers[locale or self.r.choice(LOCALES)]

    def pick(self, alphabet, n):
        return "".join(self.r.choice(alphabet) for _ in range(n))

    def digits(self, n):
        return self.pick(string.digits, n)

    def hex(self, n):
        return self.pick("0123456789abcdef", n)

    def b64(self, n):
        return base64.b64encode(self.r.randbytes(n)).decode()

    def make(self, kind):
        name, _, sub = kind.partition(":")
        if name.startswith("-"):
            return getattr(self, "not_" + name[1:])()
        return getattr(self, name.lower())(sub)

    # structured
    def email(self, _):
        f = self.fake("en_US")
        user = self.r.choice([f.user_name(), f.first_name().lower() + "." + f.last_name().lower(),
                              f.first_name()[0].lower() + f.last_name().lower() + str(self.r.randint(1, 99)),
                              f.last_name().lower() + "+" + self.r.choice(WORDS)])
        domain = self.r.choice([f.free_email_domain(), f.domain_name(), self.r.choice(WORDS) + ".co.uk",
                                "mail." + self.r.choice(WORDS) + ".io"])
        return f"{user}@{domain}"

    def phone(self, sub):
        r = self.r
        sub = sub or r.choice(["intl", "us", "us", "uk", "de", "fr"])
        if sub == "us":
            a, b, c = r.choice(["212", "415", "312", "646", "503", "617", "202"]), str(r.randint(220, 989)), self.digits(4)
            return r.choice([f"({a}) {b}-{c}", f"{a}-{b}-{c}", f"+1 {a} {b} {c}", f"+1-{a}-{b}-{c}", f"{a}.{b}.{c}", f"+1{a}{b}{c}"])
        if sub == "uk":
            return r.choice([f"07{r.randint(700, 989)} {self.digits(6)}", f"+44 7{r.randint(700, 989)} {self.digits(6)}",
                             f"020 7{self.digits(3)} {self.digits(4)}", f"+44 20 7946 {self.digits(4)}"])
        if sub == "de":
            return r.choice([f"+49 30 {self.digits(7)}", f"+49 170 {r.randint(2, 9)}{self.digits(6)}", f"0171 {r.randint(2, 9)}{self.digits(6)}", f"+4989{r.randint(2, 9)}{self.digits(6)}"])
        if sub == "fr":
            return r.choice([f"+33 6 {' '.join(self.digits(2) for _ in range(4))}", f"06 {' '.join(self.digits(2) for _ in range(4))}"])
        return r.choice([f"+1 415 555 {self.digits(4)}", f"+44 7911 {self.digits(6)}", f"+91 98{self.digits(3)} {self.digits(5)}",
                         f"+61 4{self.digits(2)} {self.digits(3)} {self.digits(3)}", f"+353 87 {self.digits(3)} {self.digits(4)}",
                         f"+34 6{self.digits(2)} {self.digits(3)} {self.digits(3)}", f"+31 6 {r.randint(1,5)}{self.digits(7)}"])

    def ipv4(self, _):
        r = self.r
        return r.choice([f"10.{r.randint(1,250)}.{r.randint(0,250)}.{r.randint(2,250)}", f"192.168.{r.randint(0,250)}.{r.randint(2,250)}",
                         f"172.{r.randint(16,31)}.{r.randint(0,250)}.{r.randint(2,250)}",
                         f"{r.choice([23,34,52,81,91,104,151,185,203,213])}.{r.randint(11,250)}.{r.randint(11,250)}.{r.randint(2,250)}"])

    def ipv6(self, _):
        r, h = self.r, lambda: format(self.r.randint(0x11, 0xffff), "x")
        return r.choice([f"2001:db8:{h()}::{h()}", f"2a02:{h()}:{h()}:{h()}:{h()}:{h()}:{h()}:{h()}", f"fe80::{h()}:{h()}ff:fe{self.hex(2)}:{h()}",
                         f"2606:4700:{h()}::{h()}", f"fd{self.hex(2)}:{h()}:{h()}::{h()}"])

    def mac(self, _):
        pairs = [self.hex(2) for _ in range(6)]
        pairs[0] = self.r.choice(["00", "3c", "a4", "b8", "02", "f0"])
        pairs[5] = self.r.choice("abcdef") + pairs[5][1]
        return self.r.choice([":".join(pairs), ":".join(pairs).upper(), "-".join(pairs).upper()])

    def credit_card(self, _):
        prefix, n = self.r.choice([("4", 16), ("51", 16), ("54", 16), ("37", 15), ("6011", 16), ("4", 16), ("2221", 16)])
        while True:
            card = prefix + self.digits(n - len(prefix))
            if luhn(card):
                break
        if n == 15:
            return self.r.choice([card, f"{card[:4]} {card[4:10]} {card[10:]}"])
        group = [card[i:i + 4] for i in range(0, 16, 4)]
        return self.r.choice([card, " ".join(group), "-".join(group)])

    def iban(self, _):
        iban = self.fake(self.r.choice(["de_DE", "en_GB", "fr_FR", "it_IT", "es_ES", "nl_NL", "pl_PL"])).iban()
        return self.r.choice([iban, " ".join(iban[i:i + 4] for i in range(0, len(iban), 4))])

    def us_ssn(self, _):
        while True:
            a = self.r.randint(1, 772)
            if a != 666 and a != 123:
                return f"{a:03}-{self.r.randint(10, 99)}-{self.r.randint(1000, 9999)}"

    def uk_nino(self, _):
        body = self.r.choice(["AB", "CE", "JK", "MX", "PL", "SR", "WM"]) + self.digits(6) + self.r.choice("ABCD")
        return self.r.choice([body, f"{body[:2]} {body[2:4]} {body[4:6]} {body[6:8]} {body[8]}"])

    def uk_nhs(self, _):
        while True:
            d = self.r.choice("469") + self.digits(8)
            check = 11 - sum(int(c) * (10 - i) for i, c in enumerate(d)) % 11
            check = 0 if check == 11 else check
            if check < 10:
                d += str(check)
                return self.r.choice([d, f"{d[:3]} {d[3:6]} {d[6:]}"])

    # contextual
    def person(self, sub):
        f = self.fake()
        first, last = f.first_name(), f.last_name()
        if sub == "first":
            return first
        if sub == "last":
            return last
        return self.r.choice([f"{first} {last}"] * 6 + [f"{first} {self.r.choice('ABCDEJKLMR')}. {last}", f"{first} {last}-{self.fake().last_name().split()[0]}"])

    def address(self, _):
        r = self.r
        us = self.fake("en_US")
        gb = self.fake("en_GB")
        de = self.fake("de_DE")
        fr = self.fake("fr_FR")
        es, it, nl = self.fake("es_ES"), self.fake("it_IT"), self.fake("nl_NL")
        return r.choice([
            lambda: f"{us.building_number()} {us.street_name()}, {us.city()}, {us.state_abbr()} {us.zipcode()}",
            lambda: f"{us.building_number()} {us.street_name()}, Apt {r.randint(1, 40)}, {us.city()}, {us.state_abbr()} {us.zipcode()}",
            lambda: f"{r.randint(1, 240)} {gb.street_name()}, {gb.city()} {gb.postcode()}",
            lambda: f"Flat {r.randint(1, 30)}, {r.randint(1, 140)} {gb.last_name()} {r.choice(['Road', 'Street', 'Lane', 'Avenue', 'Close'])}, {gb.city()}, {gb.postcode()}",
            lambda: f"{de.street_name()} {r.randint(1, 180)}, {de.postcode()} {de.city_name()}",
            lambda: f"{r.randint(1, 180)} {fr.street_name()}, {fr.postcode()} {fr.city()}",
            lambda: f"Calle {es.last_name()} {r.randint(1, 90)}, {es.postcode()} {es.city()}",
            lambda: f"Via {it.last_name()} {r.randint(1, 90)}, {it.postcode()} {it.city()}",
            lambda: f"{nl.street_name()} {r.randint(1, 200)}, {self.digits(3)}1 {self.pick('ABCDEFGH', 2)} {nl.city()}",
        ])().replace("\n", " ")

    def dob(self, sub):
        r = self.r
        y, m, d = r.randint(1940, 2006), r.randint(1, 12), r.randint(1, 28)
        month = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"][m - 1]
        forms = {"iso": [f"{y}-{m:02}-{d:02}"], "us": [f"{m:02}/{d:02}/{y}"], "eu": [f"{d:02}.{m:02}.{y}", f"{d:02}/{m:02}/{y}"],
                 "long": [f"{d} {month} {y}", f"{month} {d}, {y}"]}
        return r.choice(forms.get(sub) or sum(forms.values(), []))

    def hostname(self, sub):
        r = self.r
        host = r.choice(["db", "web", "api", "cache", "kafka", "node", "build", "proxy", "mail", "gw"]) + r.choice(["-", ""]) + r.choice(["01", "2", "17", "a3"])
        if sub == "bare":
            return r.choice(["prd", "stg", "ams", "fra"]) + "-" + host
        return host + r.choice([".internal", ".corp", ".lan", ".local", ".prod.internal", f".{r.choice(WORDS)}.corp", ".eu-west-1.compute.internal", ".payments.svc.cluster.local", f".ad.{r.choice(WORDS)}.local"])

    def username(self, _):
        f = self.fake("en_US")
        return self.r.choice([f.user_name(), f.first_name()[0].lower() + f.last_name().lower(), f.first_name().lower() + "." + f.last_name().lower(),
                              f.last_name().lower() + str(self.r.randint(1, 99)), "u" + self.digits(6)])

    def passport(self, _):
        return self.r.choice([self.digits(9), "C" + self.pick("0123456789CFGHJKLMNPRTVWXYZ", 8), self.pick(string.ascii_uppercase, 2) + self.digits(7), self.pick("ABCDEFGH", 1) + self.digits(8)])

    # secrets
    def aws_access_key(self, _):
        return self.r.choice(["AKIA", "ASIA"]) + self.pick("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16)

    def aws_secret_key(self, _):
        return self.pick(ALNUM + "/+", 40)

    def azure_key(self, _):
        return self.b64(64)

    def gcp_api_key(self, _):
        return "AIza" + self.pick(URLSAFE, 34) + self.pick(ALNUM, 1)

    def github_token(self, _):
        return self.r.choice(["ghp_", "gho_", "ghs_"]) + self.pick(ALNUM, 36)

    def gitlab_token(self, _):
        return "glpat-" + self.pick(URLSAFE, 19) + self.pick(ALNUM, 1)

    def slack_token(self, _):
        return f"xox{self.r.choice('bp')}-{self.digits(12)}-{self.digits(12)}-{self.pick(ALNUM, 24)}"

    def stripe_key(self, _):
        return self.r.choice(["sk_live_", "rk_live_", "sk_test_"]) + self.pick(ALNUM, 24)

    def openai_key(self, _):
        return self.r.choice(["sk-proj-" + self.pick(ALNUM, 20) + "T3BlbkFJ" + self.pick(ALNUM, 20), "sk-" + self.pick(ALNUM, 20) + "T3BlbkFJ" + self.pick(ALNUM, 20)])

    def anthropic_key(self, _):
        return "sk-ant-api03-" + self.pick(URLSAFE, 93) + "AA"

    def other_api_key(self, _):
        return self.r.choice([
            lambda: "SG." + self.pick(ALNUM, 22) + "." + self.pick(ALNUM, 43), lambda: "npm_" + self.pick(ALNUM, 36),
            lambda: "hf_" + self.pick(string.ascii_letters, 34), lambda: "dop_v1_" + self.hex(64),
            lambda: "pypi-AgEIcHlwaS5vcmc" + self.pick(ALNUM, 60), lambda: "dapi" + self.hex(32),
            lambda: "shpat_" + self.hex(32), lambda: "hvs." + self.pick(ALNUM, 24), lambda: "key-" + self.hex(32),
            lambda: "NRAK-" + self.pick(string.ascii_uppercase + string.digits, 27), lambda: "lin_api_" + self.pick(ALNUM, 40)])()

    def jwt(self, _):
        b = lambda value: base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode().rstrip("=")
        body = b({"sub": self.digits(8), "iat": 1760000000 + self.r.randint(0, 10**7), "role": self.r.choice(["admin", "user"])})
        return b({"alg": self.r.choice(["HS256", "RS256"]), "typ": "JWT"}) + "." + body + "." + self.pick(URLSAFE, 42) + self.pick(ALNUM, 1)

    def private_key(self, _):
        label = self.r.choice(["RSA PRIVATE KEY", "PRIVATE KEY", "OPENSSH PRIVATE KEY", "EC PRIVATE KEY"])
        body = self.b64(240)
        return f"-----BEGIN {label}-----\n" + "\n".join(body[i:i + 64] for i in range(0, len(body), 64)) + f"\n-----END {label}-----"

    def password(self, _):
        r = self.r
        word = lambda: r.choice(WORDS)
        return r.choice([
            lambda: word().capitalize() + self.digits(r.randint(2, 4)) + r.choice("!$#*"), lambda: word() + "-" + word() + "-" + word() + self.digits(2),
            lambda: self.pick(ALNUM, r.randint(10, 18)) + self.digits(1), lambda: self.pick(ALNUM + "!#%^*_+-", r.randint(11, 18)) + self.digits(1),
            lambda: word() + self.digits(3), lambda: word().capitalize() + "_" + word().capitalize() + self.digits(2)])()

    def generic_secret(self, sub):
        r = self.r
        forms = {"hex": lambda: self.hex(r.choice([32, 40, 64])), "b64": lambda: self.b64(r.choice([24, 32, 33])), "": lambda: self.pick(ALNUM, r.randint(24, 44))}
        return forms[sub]() if sub else r.choice(list(forms.values()))()

    def bearer_token(self, _):
        return self.r.choice([lambda: self.pick(ALNUM, self.r.randint(24, 64)), lambda: self.pick(URLSAFE, 43) + "9", lambda: self.hex(40), lambda: self.b64(32)])()

    def basic_auth(self, _):
        return base64.b64encode(f"{self.username('')}:{self.password('')}".encode()).decode()

    def session_cookie(self, _):
        return self.r.choice([lambda: self.pick(ALNUM, 26), lambda: self.hex(32), lambda: "s%3A" + self.pick(URLSAFE, 32) + "." + self.pick(ALNUM, 43), lambda: self.hex(32).upper(), lambda: self.pick(URLSAFE, 43) + "a"])()

    def url_credentials(self, _):
        return self.r.choice([self.pick(ALNUM, 16) + "7", self.r.choice(WORDS).capitalize() + self.digits(3), self.pick(ALNUM + "!$*_", 14) + "2"])

    connection_string = url_credentials

    # look-alikes
    def not_version(self):
        return ".".join(str(self.r.randint(0, n)) for n in (20, 40, 99, 250))

    def not_uuid(self):
        h = self.hex(32)
        return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-a{h[17:20]}-{h[20:]}"

    def not_sha1(self): return self.hex(40)
    def not_sha256(self): return self.hex(64)
    def not_md5(self): return self.hex(32)
    def not_etag(self): return self.hex(self.r.choice([12, 16, 32]))
    def not_oid(self): return "1.3.6.1.4.1." + ".".join(str(self.r.randint(1, 9999)) for _ in range(4))
    def not_wwn(self): return ":".join([self.r.choice(["50", "20", "10"])] + [self.hex(2) for _ in range(7)])
    def not_clock(self): return f"{self.r.randint(0,23):02}:{self.r.randint(0,59):02}:{self.r.randint(0,59):02}"
    def not_id9(self): return str(self.r.randint(1, 9)) + self.digits(8)
    def not_id10(self): return str(self.r.randint(1, 9)) + self.digits(9)

    def not_id16(self):
        while True:
            d = self.r.choice("135789") + self.digits(15)
            if not luhn(d):
                return d

    def not_class(self):
        return "com." + self.r.choice(WORDS) + "." + self.r.choice(["auth", "core", "internal", "orders"]) + "." + self.r.choice(["TokenService", "UserRepository", "PasswordEncoder", "SessionManager", "KeyStore"])

    def not_b64(self): return self.b64(self.r.choice([20, 32, 48, 96]))
    def not_badssn(self): return self.r.choice(["000-12-3456", "666-45-6789", "900-12-3456", "123-00-4567", "219-54-0000"])
    def not_epoch(self): return str(1760000000 + self.r.randint(0, 10**7))
    def not_traceid(self): return self.hex(32)
    def not_float(self): return f"{self.r.randint(0, 999)}.{self.digits(self.r.randint(3, 12))}"


def json_escaped(value):
    return json.dumps(json.dumps(value)[1:-1])[1:-1] if any(c in value for c in '"\\\n') else value


def fill(template, values, number):
    text, spans, negatives, same = "", [], [], {}
    at = 0
    for mark in MARK.finditer(template["text"]):
        text += template["text"][at:mark.start()]
        at = mark.end()
        kind, key, literal = mark.groups()
        form = ""
        if literal is None and kind[0] in '%"':
            form, kind = kind[0], kind[1:]
        elif literal is None and kind.startswith("b64"):
            form, kind = "b64", kind[3:]
        if literal is not None:
            value = literal
        elif key and (kind, key) in same:
            value = same[kind, key]
        else:
            value = values.make(kind)
        if key:
            same[kind, key] = value
        if form == "%":
            value = urllib.parse.quote(value, safe="")
        elif form == '"':
            value = json_escaped(value)
        elif form == "b64":
            value = base64.b64encode(value.encode()).decode()
        span = {"start": len(text), "end": len(text) + len(value)}
        text += value
        if kind[0] in "-?":
            negatives.append({**span, "neutral": kind[0] == "?"})
        else:
            spans.append({**span, "type": kind.partition(":")[0]})
    text += template["text"][at:]
    return {"id": number, "family": template["family"], "text": text, "spans": spans, "negs": negatives}


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("templates", nargs="+"), a.add_argument("--seed", type=int, default=1), a.add_argument("--rounds", type=int, default=1)
    o = a.parse_args()
    values, number = Values(o.seed), 0
    for _ in range(o.rounds):
        for path in o.templates:
            with open(path, encoding="utf-8") as lines:
                for line in lines:
                    if line.strip():
                        document = fill(json.loads(line), values, number)
                        json.dump(document, sys.stdout, ensure_ascii=False)
                        sys.stdout.write("\n")
                        number += 1


if __name__ == "__main__":
    main()
