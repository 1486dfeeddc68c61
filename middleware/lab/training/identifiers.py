"""Random identifiers, numbers with units, versions and codes, which rewrites must keep."""

from __future__ import annotations

import random
import string

_HEX = "0123456789abcdef"
_UNITS = ("gb", "GB", "tb", "mm", "cm", "inch", "ml", "kg", "mah", "v", "w", "hz", "mhz", "ft",
          "oz", "lbs", "km", "ohm", "fps", "MB", "kHz", "px", "in", "g", "mg", "usd")  # fmt: skip
_LANGUAGES = ("c++", "c#", "f#", ".net", "node.js", "c++17", "c++20", "vue.js", "g++", "asp.net",
              "tcp/ip", "utf-8", "x86_64", "i/o", "a/b", "r&b", "at&t", "24/7", "usb-c", "wi-fi",
              "4k", "mp3", "h.264", "ipv6", "802.11ac", "python3", "k8s", "rs-232")  # fmt: skip


def _letters(rng: random.Random, least: int, most: int) -> str:
    text = "".join(rng.choices(string.ascii_uppercase, k=rng.randint(least, most)))
    return text if rng.random() < 0.6 else text.lower()


def _digits(rng: random.Random, least: int, most: int) -> str:
    return "".join(rng.choices(string.digits, k=rng.randint(least, most)))


def identifier(rng: random.Random, words: list[str]) -> str:
    """Return a random identifier: SKU, version, measure, code, file, dotted or snake-case name."""
    kind = rng.randrange(12)
    if kind == 0:
        return f"{_letters(rng, 1, 4)}-{_digits(rng, 2, 5)}{_letters(rng, 0, 2)}"
    if kind == 1:
        return f"{_letters(rng, 1, 3)}{_digits(rng, 2, 6)}"
    if kind == 2:
        return ".".join(_digits(rng, 1, 2) for _ in range(rng.randint(2, 4)))
    if kind == 3:
        return f"{_digits(rng, 1, 4)}{rng.choice(('', ' ', ''))}{rng.choice(_UNITS)}"
    if kind == 4:
        return _digits(rng, 1, 13)
    if kind == 5:
        return rng.choice(_LANGUAGES)
    if kind == 6:
        return "_".join(rng.sample(words, rng.randint(2, 3))).lower()
    if kind == 7:
        return ".".join(rng.sample(words, 2)).lower() + rng.choice(("", "()", ""))
    if kind == 8:
        return rng.choice(words).lower() + rng.choice(
            (".py", ".txt", ".json", ".dll", ".exe", ".csv")
        )
    if kind == 9:
        first, second = rng.sample(words, 2)
        return first.lower() + second.capitalize()
    if kind == 10:
        prefix = rng.choice(("0x", "#", ""))
        code = "".join(rng.choices(_HEX, k=rng.choice((4, 6, 8))))
        # Letters alone could be a word: "facade".
        return prefix + (f"0{code[1:]}" if code.isalpha() else code)
    return rng.choice(("error ", "E", "HTTP ", "code ", "v", "$", "RFC ")) + _digits(rng, 1, 4)
