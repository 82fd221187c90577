#!/usr/bin/env python3
"""Makes names.txt and words.txt again. Needs `pip install faker zxcvbn stopwordsiso` and Debian's wamerican-small:

    python3 build.py /usr/share/dict/american-english-small

cues.txt is written by hand and is read here only so that no word is listed twice for nothing.
"""
import collections, importlib, os, pkgutil, re, sys, unicodedata

import faker.providers.address, faker.providers.person
import stopwordsiso
from zxcvbn.frequency_lists import FREQUENCY_LISTS

HERE = os.path.dirname(os.path.abspath(__file__))
PARTICLES = set("van von de der den di da del della dos du la le el al bin ibn ben ter ten zu y e i och and of the san st".split())
SPECIAL = str.maketrans({"ß": "ss", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h", "ŋ": "n", "ə": "e", "’": "'"})


def fold(word):
    """As src/lexicon.rs folds: lower case, and Latin letters without their accents."""
    out = []
    for c in word.lower().translate(SPECIAL):
        base = unicodedata.normalize("NFD", c)[0]
        if base.isascii() and unicodedata.category(base)[0] == "L":
            out.append(base)
        elif c.isascii() or unicodedata.category(c) != "Mn" or ord(c) > 0x900:
            out.append(c)
    return "".join(out)


def words_of(name):
    # Han and kana need no blank; Thai and Indic marks stay in the word.
    for word in re.split(r"[\s\-‐/().,]+", name):
        word = word.strip("'’\"")
        if len(word) >= 2 or (word and ord(word[0]) > 0x2E80):
            yield word


def locales(package):
    for module in pkgutil.iter_modules(package.__path__):
        yield module.name, importlib.import_module(f"{package.__name__}.{module.name}").Provider


def entries(value):
    return list(value.keys()) if isinstance(value, dict) else list(value) if isinstance(value, (list, tuple)) else []


def people():
    first, last = collections.defaultdict(set), collections.defaultdict(set)
    for locale, provider in locales(faker.providers.person):
        for key in dir(provider):
            if not isinstance(getattr(provider, key), (dict, list, tuple)) or "prefix" in key or "suffix" in key or "format" in key:
                continue
            into = first if "first_name" in key or "middle_name" in key else last if "last_name" in key or "surname" in key else None
            if into is None:
                continue
            for entry in entries(getattr(provider, key)):
                # Japanese pairs: written form, kana, Latin.
                for text in entry if isinstance(entry, tuple) else (entry,):
                    if isinstance(text, str) and "{" not in text:
                        for word in words_of(text):
                            if fold(word) not in PARTICLES:
                                into[fold(word)].add(locale)
    return first, last


def places():
    out = collections.Counter()
    for locale, provider in locales(faker.providers.address):
        # A list of every village would make a place of half the surnames.
        for key in ("cities", "city_names", "countries", "states", "provinces", "cantons", "prefectures", "regions", "towns", "departments"):
            listed = entries(getattr(provider, key, ()))
            for entry in listed if len(listed) < 260 else ():
                for text in entry if isinstance(entry, (tuple, list)) else (entry,):
                    if isinstance(text, str) and " " not in text and len(text) > 3 and text[0].isupper():
                        out[fold(text)] += 1
    return set(out)


def rank(name):
    value = FREQUENCY_LISTS[name]
    return {w: i for i, w in enumerate(value if isinstance(value, list) else value.split(","))}


def main():
    first, last = people()
    male, female, census = rank("male_names"), rank("female_names"), rank("surnames")
    for w in list(male)[:900] + list(female)[:2500]:
        first[w].add("us")
    for w in list(census)[:8000]:
        last[w].add("us")
    dictionary = set()
    for line in open(sys.argv[1], encoding="utf-8"):
        word = line.strip()
        if word and word[0].islower() and "'" not in word and len(word) > 1:
            dictionary.add(fold(word))
    tv, wiki = rank("us_tv_and_film"), rank("english_wikipedia")
    score = lambda w: min(tv.get(w, 10**6), wiki.get(w, 10**6))
    functional = set()
    for lang in "en de fr es it nl pt pl sv da no fi tr ru uk el cs ro hu hr".split():
        for w in stopwordsiso.stopwords(lang):
            w = fold(w)
            if " " not in w and "'" not in w and len(w) > 1:
                functional.add((w, lang))
    english = {w for w, lang in functional if lang == "en"}
    foreign = {w for w, lang in functional} - english

    sections = collections.defaultdict(list)
    for w in sorted(set(first) | set(last)):
        if len(w) < 2 and w.isascii() or any(c.isdigit() for c in w) or len(w) > 11:
            continue
        f, l = w in first, w in last
        fc = f and (len(first[w]) >= 4 or male.get(w, 9999) < 300 or female.get(w, 9999) < 500)
        lc = l and (len(last[w]) >= 3 or census.get(w, 99999) < 1500)
        code = ("F" if fc else "f" if f else "") + ("L" if lc else "l" if l else "")
        sections[code].append(w)
    with open(os.path.join(HERE, "names.txt"), "w", encoding="utf-8") as out:
        for code in sorted(sections):
            out.write(f"#{code}\n" + "\n".join(sections[code]) + "\n")
    words = collections.defaultdict(list)
    for w in sorted(dictionary | english | foreign):
        if not w.isalpha():
            continue
        code = ("S" if w in english and score(w) < 3000 else "") or ("W" if w in dictionary and score(w) < 6000 else "w" if w in dictionary else "x")
        if len(w) <= (14 if code[0] in "SW" else 10):
            words[code].append(w)
    words["P"] = sorted(p for p in places() if p not in dictionary and p not in sections["F"] + sections["FL"] + sections["Fl"])
    with open(os.path.join(HERE, "words.txt"), "w", encoding="utf-8") as out:
        for code in sorted(words):
            out.write(f"#{code}\n" + "\n".join(words[code]) + "\n")
    for title, table in (("names", sections), ("words", words)):
        print(title, {k: len(v) for k, v in table.items()})


main()
