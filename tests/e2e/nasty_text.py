"""Random strings of what tokenizers stumble over: mixed scripts, marks, joiners, blanks of every kind, digits without end, pieces of special tokens."""

WORDS = ["the", "The", "THE", "hello", "world", "don't", "DON'T", "Don'T", "we'LL", "I'M", "they'Ve", "it's", "IT'S", "o'clock", "über", "naïve", "мама", "Привет", "ΣΊΣΥΦΟΣ", "Ἀθῆναι",
         "你好", "世界", "天气", "こんにちは", "カタカナ", "안녕하세요", "한국어", "שלום", "مرحبا", "नमस्ते", "ไทยแลนด์", "ქართული", "አማርኛ", "தமிழ்", "return", "def", "==", "!=", "->", "/*", "*/", "https://", "www.",
         "İstanbul", "ıI", "ß", "ẞ", "ﬁ", "ﬃ", "Ⅷ", "½", "²", "①", "㍿", "Å", "Å", "Ω", "K", "ǅ", "ĳ", "ŉ", "ʼn", "ſ", "'ſ", "’s", "ʹ", "ʾ"]
BLANKS = [" ", "  ", "   ", "    ", "\t", "\t\t", "\n", "\n\n", "\n\n\n", "\r", "\r\n", "\r\n\r\n", " \n", "\n ", "\n\t", "\v", "\f", "\x1c", "\x1f", "\x85", "\xa0", "\u1680", "\u2000", "\u2003", "\u2007",
          "\u2009", "\u200a", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000", "\u180e", "\u2800", "\u3164"]
INVISIBLE = ["\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u200e", "\u200f", "\u202a", "\u202e", "\u2066", "\u2069", "\u034f", "\u061c", "\ufe0e", "\ufe0f", "\U000e0001", "\U000e0067",
             "\U000e007f", "\U000e0100", "\u0000", "\u0001", "\u0007", "\b", "\x1b", "\x7f", "\x80", "\x9f"]
STRANGE = ["\ufffd", "\ufffc", "\ufffe", "\uffff", "\ufdd0", "\ue000", "\uf8ff", "\U000f0000", "\U0010fffd", "\U0010ffff", "\u0378", "\U0003fffe", "\U000e0fff"]
EMOJI = ["👨‍👩‍👧‍👦", "👩🏽‍🚀", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🇩🇪", "🇺", "1️⃣", "❤️", "🙂", "😶‍🌫️", "☺", "✍🏿", "🏳️‍🌈"]
MARKS = ["\u0301", "\u0308", "\u0323", "\u0327", "\u20dd", "\u0489", "\u3099", "\u309a", "\u093c", "\u0f71", "\u0f72", "\u0e33", "\u1161", "\u11a8", "\u05b0", "\u064b", "\u0345"]
PUNCTUATION = ["'", '"', "''", "--", "---", "...", "…", "?!", "«", "»", "、", "。", "「", "」", "，", "！", "（", "`", "```", "#", "##", "$", "€", "%", "‰", "&", "~", "^", "|", "\\", "\\n", "/", "//", "_", "__",
               "<", ">", "</", "<|", "|>", "[", "]", "{{", "}}", "=", "+", "±", "×", "∑", "≠", "→", "▁", "▁▁", "<0x0A>", "<0x", "<0xFF>", "Ġ", "Ċ", "##a"]
RANGES = [(0x20, 0x7E), (0xA0, 0xFF), (0x100, 0x24F), (0x250, 0x2FF), (0x300, 0x36F), (0x391, 0x3A1), (0x3B1, 0x3C9), (0x410, 0x44F), (0x531, 0x556), (0x5D0, 0x5EA), (0x621, 0x64A), (0x660, 0x669), (0x905, 0x94C),
          (0x966, 0x96F), (0xE01, 0xE3A), (0xE50, 0xE59), (0x1100, 0x11FF), (0x1E00, 0x1EFF), (0x2010, 0x2027), (0x20A0, 0x20BF), (0x2150, 0x2189), (0x2190, 0x21FF), (0x2460, 0x249B), (0x3001, 0x3011),
          (0x3041, 0x3096), (0x30A1, 0x30FA), (0x4E00, 0x9FA5), (0xAC00, 0xD7A3), (0xF900, 0xFA6D), (0xFB00, 0xFB06), (0xFE50, 0xFE52), (0xFF01, 0xFF5E), (0xFF10, 0xFF19), (0x10400, 0x1044F), (0x1D400, 0x1D454),
          (0x1D7CE, 0x1D7FF), (0x1F300, 0x1F5FF), (0x1F600, 0x1F64F), (0x20000, 0x20100), (0x2F800, 0x2FA1D)]


def nasty_text(rng, specials=()):
    """Up to a dozen such parts. `specials` are texts that the tokenizer knows as one token."""
    def characters():
        chosen = rng.choice(RANGES)
        return "".join(chr(rng.randint(*chosen)) for _ in range(rng.randint(1, 6)))

    def special():
        text = rng.choice(specials) if specials else "<|x|>"
        cut = rng.random()
        if cut < 0.15:
            return text[:rng.randint(1, len(text))]
        if cut < 0.25:
            return text[rng.randint(0, len(text) - 1):]
        return rng.choice(["", "", " ", "  ", "\n", "\n\n"]) + text + rng.choice(["", "", " ", "  ", "\n", " \n", text])

    makers = [
        lambda: rng.choice(WORDS), lambda: rng.choice(WORDS), lambda: " " + rng.choice(WORDS), lambda: rng.choice(BLANKS), lambda: rng.choice(BLANKS) * rng.randint(1, 9), lambda: " ", lambda: rng.choice(INVISIBLE),
        lambda: rng.choice(STRANGE), lambda: rng.choice(EMOJI), lambda: rng.choice(WORDS)[-1] + "".join(rng.choice(MARKS) for _ in range(rng.randint(1, 4))), lambda: rng.choice(PUNCTUATION) * rng.choice([1, 1, 2, 5]),
        lambda: "".join(rng.choice("0123456789") for _ in range(rng.choice([1, 2, 3, 4, 5, 7, 11, 40]))), lambda: rng.choice(["'", "’"]) + rng.choice(["s", "S", "t", "T", "re", "RE", "Ve", "vE", "ll", "LL", "lL", "d", "D", "m", "M", "x", "ſ"]),
        characters, characters, special, lambda: rng.choice("aeiouxyzAEIOUXYZ") * rng.randint(1, 30), lambda: "".join(rng.choice("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") for _ in range(rng.randint(1, 14))),
    ]
    return "".join(rng.choice(makers)() for _ in range(rng.randint(1, 12)))
