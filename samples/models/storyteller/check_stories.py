"""Tells many stories and checks their English: python3 check_stories.py [COUNT]"""
import collections
import re
import sys

import words
from stories import Story, tell

SPEECH_TAGS = ("said", "asked", "cried", "called", "shouted", "whispered", "sighed", "thought", "answered", "added", "begged", "it went")
NAMES = set(words.GIRLS) | set(words.BOYS) | set(words.CREATURE_NAMES)
FLAWS = {
    "template left over": r"[{}_<>]",
    "a for an or an for a": r"\b[Aa] [aeiou]|\b[Aa]n [^aeiou]",
    "space": r"  | [.,!?]|\n\n\n|^\s|\s$",
    "punctuation": r"[.,!?][.,!]|[a-z]\n|[a-z]$",
    "word twice": r"\b(?!again|had)(\w+) \1\b",
    "small letter after a full stop": r"[.!?] [a-z]",
    "small letter at a paragraph's start": r"(?:^|\n)\"?[a-z]",
    "small letter after speech": r"[.!?]\" (?!(?:%s)\b|(?:he|she|somebody|the \w+|his \w+|her \w+) )[a-z]" % "|".join(SPEECH_TAGS),
    "full stop before a tag": r"\.\" (?:%s)\b" % "|".join(SPEECH_TAGS),
    "speech starting small": r"[.!?] \"[a-z]",
}


def flaws(story, told):
    found = [f"{name}: ...{told[max(0, m.start() - 40):m.end() + 30]!r}" for name, pattern in FLAWS.items() for m in re.finditer(pattern, told)]
    if any(paragraph.count('"') % 2 for paragraph in told.split("\n\n")):
        found.append("unbalanced quotes")
    cast = {str(c): c for c in story.cast.values() if isinstance(c, words.Character)}
    found += [f"stranger: {w}" for w in set(re.findall(r"[A-Z][a-z]+", told)) & NAMES - set(cast) if not re.search(rf"(?:[.!?\"] |^|\n|\"){w}", told)]
    for name, character in cast.items():
        wrong = {"she": "himself", "he": "herself"}[character.gender]
        if len({c.gender for c in cast.values()}) == 1 and re.search(rf"\b({wrong}|{'he|his|him' if character.gender == 'she' else 'she|her'})\b", told):
            found.append(f"pronoun: {name}")
    return found


def main(count):
    seen, lengths, vocabulary, bad = set(), [], collections.Counter(), collections.Counter()
    for seed in range(count):
        story = Story(seed)
        told = story.tell()
        assert told == tell(seed), "the same seed told another story"
        seen.add(hash(told))
        lengths.append(len(told.split()))
        vocabulary.update(re.findall(r"[a-z]+", told.lower()))
        for flaw in flaws(story, told):
            bad[flaw.split(":")[0]] += 1
            if bad[flaw.split(":")[0]] <= 3:
                print(f"seed {seed}, {flaw}")
    print(f"{count} stories, {len(seen)} distinct, {min(lengths)} to {max(lengths)} words (mean {sum(lengths) / count:.0f}), "
          f"{len(vocabulary)} different words; flaws: {dict(bad) or 'none'}")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main(int((sys.argv + ["5000"])[1])))
