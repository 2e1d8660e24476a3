"""An endless supply of short stories for children, each told from its own seed.

    python3 stories.py [COUNT] [FIRST_SEED]     prints stories

`tell(seed)` always gives the same story for the same seed. A story has a hero with a home and a character, one of the plots of
plots.py, and an ending; whoever and whatever appears in it is drawn once and stays the same to the end.
"""
import random
import re
import sys

import plots
import words
from words import Character, Thing

# Plots that would be odd in some seasons: nobody sows or swims in the snow.
SEASONS_OF = {plots.patience: ["spring"], plots.contest: ["spring", "summer", "autumn"], plots.wish: ["spring", "summer", "autumn"],
              plots.facing_a_fear: ["spring", "summer"]}


class Story:
    def __init__(self, seed):
        self._random = random.Random(seed)
        self._paragraphs, self._sentences = [], []
        self._names = set()
        self._kinds = set()
        self.hero_is_child = self._random.random() < 0.55
        hero = self._child() if self.hero_is_child else self._creature(words.CREATURES, words.CREATURE_ADJECTIVES)
        self._plot = self.pick(plots.PLOTS)
        trait = self.pick([t for t in words.TRAITS if (t, self._plot) != ("brave", plots.facing_a_fear)])
        season = self.pick(SEASONS_OF.get(self._plot, list(words.SEASONS)))
        elder, gender = self.pick([("mother", "she"), ("father", "he"), ("grandmother", "she"), ("grandfather", "he"), ("aunt", "she"), ("uncle", "he")])
        self.cast = {
            "hero": hero, "trait": trait, "season": season,
            "parent": Character(elder, elder, "old", gender), "sibling": self.pick(["brother", "sister", "cousin"]),
            "pet": self.pick(["cat", "dog", "parrot", "goat"]),
            "home": self.pick(words.HOMES_CHILD if self.hero_is_child else words.HOMES_CREATURE),
            "weather": self.pick(words.MORNINGS), "night": self.pick(words.NIGHTS), "day": self.pick(words.DAYS),
            "food": Thing(self.pick(words.FOODS), self.pick(["warm", "fresh", "big", "small", "sweet", "fine"])),
            "treasure": Thing(self.pick(words.TREASURES), self.pick(words.COLOURS)),
        }
        self._season_lines, self._trait_lines = words.SEASONS[season], words.TRAITS[trait]

    def pick(self, options):
        return self._random.choice(options)

    def sample(self, options, count):
        return self._random.sample(options, count)

    def helper(self):
        """Somebody from the woods, of a kind and name not in the story yet."""
        return self._creature(words.WILD_HELPERS, words.HELPER_ADJECTIVES)

    def friend(self):
        return self._child() if self.hero_is_child else self._creature(words.CREATURES, words.CREATURE_ADJECTIVES)

    def _child(self):
        gender = self.pick(["she", "he"])
        kind = "girl" if gender == "she" else "boy"
        return Character(self._new(words.GIRLS if gender == "she" else words.BOYS, self._names), kind, self.pick(words.CHILD_ADJECTIVES), gender)

    def _creature(self, kinds, adjectives):
        return Character(self._new(words.CREATURE_NAMES, self._names), self._new(kinds, self._kinds), self.pick(adjectives), self.pick(["she", "he"]))

    def _new(self, options, taken):
        choice = self.pick([o for o in options if o not in taken])
        taken.add(choice)
        return choice

    def say(self, *wordings):
        self._sentences.append(self.pick(wordings).format(**self.cast))

    def maybe(self, *wordings):
        if self._random.random() < 0.6:
            self.say(*wordings)

    def paragraph(self):
        self._paragraphs.append(capitalised(" ".join(self._sentences)))
        self._sentences = []

    def _open(self):
        self.say("Once upon a time, there was {hero.intro}.", "Once upon a time, {hero.intro} lived {home}.", "There once was {hero.intro}.",
                 "{hero} was {hero.intro_short} who lived {home}.", "Once there lived {hero.intro} {home}.", "Long ago, {hero.intro} lived {home}.",
                 "This is the story of {hero}, {hero.intro_short}.", "In a land far away, there lived {hero.intro}.")
        self.maybe(*self._trait_lines)
        self.maybe("It was {season}.", "It was {season}. " + self.pick(self._season_lines), self.pick(self._season_lines))

    def _close(self, lessons):
        self.paragraph()
        self.say(*lessons)
        self.maybe("That night {hero} slept well and smiled in {hero.his} dreams.", "And they all lived happily ever after.",
                   "When the moon came up, {hero} was already asleep.", "And if you go there, you may still hear {hero} laugh.",
                   "{hero} went home and told {hero.his} {parent} all about it.", "It was the best day of the whole {season}.")
        self.maybe("The end.")
        self.paragraph()

    def tell(self):
        self._open()
        self._close(self._plot(self))
        return "\n\n".join(self._paragraphs)


def capitalised(text):
    """A capital letter at the start, after the end of a sentence, and where somebody begins to speak."""
    return re.sub(r'(^|[.!?] |(?:^|(?<!,) )")([a-z])', lambda m: m.group(1) + m.group(2).upper(), text)


def tell(seed):
    return Story(seed).tell()


if __name__ == "__main__":
    count, first = [int(n) for n in sys.argv[1:]] + [3, 0][len(sys.argv) - 1:]
    for seed in range(first, first + count):
        print(tell(seed), end="\n\n* * *\n\n")
