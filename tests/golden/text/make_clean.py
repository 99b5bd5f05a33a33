"""Makes clean.json: prompts, and what Wan's cleaning (ftfy 6.3.1) makes of them.

/opt/refvenv/bin/python make_clean.py [seed cases output]
"""

import html
import json
import pathlib
import random
import sys

import ftfy
import regex

PROMPTS = [
    "A red ball rolls slowly across a wooden table, 35mm film, shallow depth of field.",
    "Ein Mädchen läuft über die Straße – „schön“, sagt sie.", "Une fête à la plage, très élégante, déjà vu…",
    "El niño corrió hacia el océano; ¿dónde está?", "Às vezes, àquele lugar é fácil de ver. À noite, São João.",
    "Kot śpi na żółtej łące, źdźbło trawy.", "Příliš žluťoučký kůň úpěl ďábelské ódy.", "Árvíztűrő tükörfúrógép",
    "İstanbul'da güneş doğuyor, çok güzel ışık.", "Ātrs brūns lācis šķērso ceļu; ėjo žmogus į mišką.",
    "Быстрая рыжая лиса прыгает через ленивую собаку. Ещё ёлка!", "Їжак і ґава їдять є.", "Η γρήγορη αλεπού πηδά· Ωραία Ελλάδα ΰ",
    "一只白猫在雨中奔跑，背景是霓虹灯。", "夕焼けの海辺を歩く少女、カメラはゆっくりパン。", "비 오는 밤 서울 거리, 네온사인이 반짝인다.",
    "قطة بيضاء تركض تحت المطر", "חתול לבן רץ בגשם", "बारिश में दौड़ती सफ़ेद बिल्ली", "แมวขาววิ่งกลางสายฝน", "Một con mèo trắng chạy dưới mưa, đường phố Hà Nội",
    "A cat 🐈 on fire 🔥🔥, 👩‍👩‍👧‍👦 family, 🇫🇷 flag, 👍🏽", "✔ No problems – “quoted” ‘single’ • bullet™ © ® €5 £3 ¥9",
    "ﬂubberiﬁc oﬃce ﬆone Ǆungla ŉ ĳs", "ＬＯＵＤ　ＮＯＩＳＥＳ Ｕﾀｰﾝ ﾊﾟﾋﾟ ￦１００", "e\u0301te\u0301 n\u0303 o\u0308 \u1100\u1161\u11a8 \u212b \u2126",
    "&lt;b&gt;bold&lt;/b&gt; &amp;amp;amp; &eacute; &EACUTE; &SZLIG; &hellip; &#x27;q&#39; &notit; &amp",
    "<i>caf&eacute;</i> &amp;\nnext &lt; &eacute;", "&#0; &#128; &#x80; &#xD800; &#x110000; &#xFFFE; &#11; &#59; &#12ab; &#; &#x; &#99999999999999999999;",
    "\x1b[36;44mI'm blue\x1b[0m, \x1b[1mbold\x1b[m \x1b[2Jclear \x1b]0;t\x07", "tab\tnew\nline\r\nmac\rnel\u0085ls\u2028ps\u2029ff\x0cvt\x0bend",
    "zero\u200bwidth\ufeff bom \ufffc obj \u206a \u200d \u00ad soft \u00a0 hard \u3000 wide \u2003 em", "\x00\x01\x08\x0e\x1f\x7f\x80\x85\x9f controls",
    "\ud83d\udc08 cat, lone \ud83d and \udc08", "  leading and trailing  \u00a0\t", "", " ", "\n", "&nbsp;", "10³ ½ ¼ × ÷ ±5 µm Ω 20°C №5", "Ã la mode", "L&amp;#39;&amp;eacute;cole",
    "Broken text&hellip; it&#x2019;s ﬂubberiﬁc!", "(ã\x83\x84)_/", "├ ┤ ─ █ ▓ box ║", "naïve Œuvre cœur œ", "ГўВЂВњ quoted",
    "â€œ like this â€�", "vocÃª nÃ£o estÃ¡ sÃ³", "RUF MICH ZURÃœCK", "schÃ¶nen grÃ¼ÃŸe", "Ã©tÃ© à Paris", "Ð¿Ñ€Ð¸Ð²ÐµÑ‚", "вЂњпривет", "l’humanitÃ©", "à¤¹à¤¿", "\xf0\x9f\x98\x8a latin",
    "sold for Â£5, 20Â°C", "Ãƒ caf\xc3\xa9", "√± ≈° ‚Äî mac", "β€™ greek", "ā€™ baltic", "×²³ °Â", "ØªÙ…Øª Ø§Ù„Ù…Ø´Ø§Ø±ÙƒØ©", "\xed\xa0\xbd\xed\xb8\x8d cesu", "\xc0\x80 null",
]
PAGES = ["latin-1", "sloppy-windows-1252", "sloppy-windows-1251", "sloppy-windows-1250", "sloppy-windows-1253", "sloppy-windows-1254",
         "sloppy-windows-1257", "iso-8859-2", "macroman", "cp437", "cp1252"]
BITS = ["&", ";", "&amp;", "&#", "&lt", "<", ">", "\x1b[", "m", "\n", "\r\n", "\u00a0", " ", "\ufffd", "?", "Â", "Ã", "â€", "œ", "Œ", "°", "²", "»", "«",
        "\x80", "\x9d", "\x85", "\x1a", "\xed", "\xc0", "à", "é", "ß", "Ø", "Ù", "Ђ", "в", "Г", "В", "β", "€", "ā", "√", "≈", "‚", "Ä", "║", "ﬁ", "ﾊ", "\u0301", "“", "’", "😀", "中", "\xad", "\x1c", "\u2028"]


def wan_clean(text):
    text = html.unescape(html.unescape(ftfy.fix_text(text))).strip()
    return regex.sub(r"\s+", " ", text).strip()


def garble(rng, text):
    """Reads the text's UTF-8 in a wrong encoding, perhaps more than once, perhaps only a part of it, perhaps with damage."""
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        page = rng.choice(PAGES)
        begin, end = (0, len(text)) if rng.random() < 0.6 else sorted(rng.randrange(len(text) + 1) for _ in range(2))
        part = text[begin:end].encode("utf-8", "surrogatepass").decode(page, "replace")
        text = text[:begin] + part + text[end:]
    damage = rng.random()
    if damage < 0.2:
        text = text.replace("\u00a0", " ")
    elif damage < 0.3:
        text = "".join("\ufffd" if 0x80 <= ord(c) <= 0x9F else c for c in text)
    elif damage < 0.4:
        text = text.replace("\ufffd", "?")
    return text


def splice(rng, text):
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(text) + 1)
        text = text[:at] + rng.choice(BITS) + text[at + rng.choice([0, 0, 1, 2]):]
    return text


def entities(rng):
    names = rng.sample(sorted(html.entities.html5), 6)
    return " ".join("&" + rng.choice([n, n.upper(), n.lower(), n.rstrip(";"), n.rstrip(";") + "x"]) for n in names)


def soup(rng):
    """Random characters, mostly of the kinds that mojibake is made of."""
    kinds = [(0x20, 0x7E), (0x80, 0xFF), (0xA0, 0xFF), (0x100, 0x180), (0x2C6, 0x2DD), (0x384, 0x3CE), (0x400, 0x491), (0x2010, 0x2040), (0x2500, 0x2593), (0xFF01, 0xFFEF)]
    return "".join(chr(rng.randint(*rng.choice(kinds))) for _ in range(rng.randrange(1, 24)))


def corpus(seed, count):
    rng = random.Random(seed)
    yield from PROMPTS
    for _ in range(count - len(PROMPTS)):
        kind = rng.random()
        text = rng.choice(PROMPTS)
        if len(text) > 60:
            at = rng.randrange(len(text) - 40)
            text = text[at:at + 40]
        if kind < 0.45:
            yield garble(rng, text)
        elif kind < 0.6:
            yield splice(rng, text)
        elif kind < 0.75:
            yield splice(rng, garble(rng, text))
        elif kind < 0.8:
            yield entities(rng)
        else:
            yield soup(rng)


def main():
    seed, count, output = sys.argv[1:] or ("1", "1100", pathlib.Path(__file__).parent / "clean.json")
    rows = []
    for text in corpus(int(seed), int(count)):
        surrogates = any(0xD800 <= ord(c) <= 0xDFFF for c in text)
        try:
            cleaned = wan_clean(text)
        except UnicodeDecodeError:
            continue  # ftfy itself fails on a few
        rows.append([[ord(c) for c in text] if surrogates else text, cleaned])
    pathlib.Path(output).write_text("[\n" + ",\n".join(json.dumps(r, ensure_ascii=False) for r in rows) + "\n]\n")


if __name__ == "__main__":
    main()
