"""A small byte-pair encoder with byte fallback, in the form of tokenizer.json that Llama's tokenizers have.

Text is written with a ▁ for every space and one in front; pairs are merged inside words, inside runs of punctuation and inside runs of
line breaks only, so that no merge ever reaches over such a border and whole texts need no splitting first. A character that is not in
the vocabulary becomes its UTF-8 bytes, each a token of its own, so that every text can be encoded.
"""
import collections
import json
import re

UNKNOWN, BEGIN, END = "<unk>", "<s>", "</s>"
SPACE = "\u2581"
PIECE = re.compile(rf"{SPACE}?[A-Za-z]+|{SPACE}?[^{SPACE}A-Za-z\n]+|\n+|{SPACE}")
ALPHABET = [SPACE, "\n"] + [chr(c) for c in range(33, 127)]


def normalised(text):
    return SPACE + text.replace(" ", SPACE)


def learn_merges(texts, count):
    """The `count` most frequent pairs, each counted after the merges before it; ties fall to the pair that sorts first."""
    pieces = collections.Counter(p for text in texts for p in PIECE.findall(normalised(text)))
    words = [(list(piece), number) for piece, number in pieces.items()]
    merges = []
    while len(merges) < count:
        pairs = collections.Counter()
        for symbols, number in words:
            for pair in zip(symbols, symbols[1:]):
                pairs[pair] += number
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        for symbols, _ in words:
            merge_in_place(symbols, best)
    return merges


def merge_in_place(symbols, pair):
    i = 0
    while i < len(symbols) - 1:
        if (symbols[i], symbols[i + 1]) == pair:
            symbols[i:i + 2] = [symbols[i] + symbols[i + 1]]
        i += 1


class Tokenizer:
    def __init__(self, merges):
        self.merges = merges
        tokens = [UNKNOWN, BEGIN, END] + [f"<0x{b:02X}>" for b in range(256)] + ALPHABET
        tokens += [token for token in dict.fromkeys(a + b for a, b in merges) if token not in set(tokens)]
        self.tokens = tokens
        self.ids = {token: i for i, token in enumerate(tokens)}
        self.begin, self.end = self.ids[BEGIN], self.ids[END]
        self._ranks = {pair: rank for rank, pair in enumerate(merges)}
        self._pieces = {}

    @staticmethod
    def train(texts, vocabulary_size):
        base = 3 + 256 + len(ALPHABET)
        merges = learn_merges(texts, vocabulary_size - base)
        tokenizer = Tokenizer(merges)
        for i in range(vocabulary_size - len(tokenizer.tokens)):  # two merges may spell the same token, or words run out
            tokenizer.ids[f"<reserved_{i}>"] = len(tokenizer.tokens)
            tokenizer.tokens.append(f"<reserved_{i}>")
        return tokenizer

    def encode(self, text):
        """Ids with the begin token in front."""
        ids = [self.begin]
        for piece in PIECE.findall(normalised(text)):
            known = self._pieces.get(piece)
            if known is None:
                known = self._pieces[piece] = self.encode_symbols(piece)
            ids += known
        return ids

    def encode_symbols(self, piece):
        symbols = list(piece)
        while True:
            ranked = [self._ranks[pair] for pair in zip(symbols, symbols[1:]) if pair in self._ranks]
            if not ranked:
                break
            merge_in_place(symbols, self.merges[min(ranked)])
        return [i for symbol in symbols
                for i in ([self.ids[symbol]] if symbol in self.ids else [self.ids[f"<0x{b:02X}>"] for b in symbol.encode()])]

    def decode(self, ids):
        data = b"".join(bytes([i - 3]) if 3 <= i < 259 else self.tokens[i].replace(SPACE, " ").encode()
                        for i in ids if i not in (0, self.begin, self.end))
        text = data.decode(errors="replace")
        return text[1:] if text.startswith(" ") else text

    def save(self, folder, context):
        special = [{"id": i, "content": t, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
                   for i, t in enumerate((UNKNOWN, BEGIN, END))]
        begin, first = {"SpecialToken": {"id": BEGIN, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}
        second = [{"SpecialToken": {"id": BEGIN, "type_id": 1}}, {"Sequence": {"id": "B", "type_id": 1}}]
        document = {
            "version": "1.0", "truncation": None, "padding": None, "added_tokens": special,
            "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": SPACE},
                                                               {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}]},
            "pre_tokenizer": None,
            "post_processor": {"type": "TemplateProcessing", "single": [begin, first], "pair": [begin, first, *second],
                               "special_tokens": {BEGIN: {"id": BEGIN, "ids": [self.begin], "tokens": [BEGIN]}}},
            "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
                                                         {"type": "ByteFallback"}, {"type": "Fuse"},
                                                         {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
            "model": {"type": "BPE", "dropout": None, "unk_token": UNKNOWN, "continuing_subword_prefix": None, "end_of_word_suffix": None,
                      "fuse_unk": True, "byte_fallback": True, "ignore_merges": False, "vocab": self.ids,
                      "merges": [f"{a} {b}" for a, b in self.merges]},
        }
        settings = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": BEGIN, "eos_token": END, "unk_token": UNKNOWN,
                    "add_bos_token": True, "add_eos_token": False, "clean_up_tokenization_spaces": False, "model_max_length": context}
        for name, content in (("tokenizer.json", document), ("tokenizer_config.json", settings)):
            with open(f"{folder}/{name}", "w", encoding="utf-8") as file:
                json.dump(content, file, ensure_ascii=False, indent=1)
