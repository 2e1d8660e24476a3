"""The people, animals, things and places that the stories are about, and how English refers to them."""
from dataclasses import dataclass

PRONOUNS = {"she": ("she", "her", "her", "herself"), "he": ("he", "him", "his", "himself")}


def article(phrase):
    return ("an " if phrase[0].lower() in "aeiou" else "a ") + phrase


@dataclass(frozen=True)
class Character:
    """Somebody with a name; `he` stands for he or she, as in the templates: "{hero} lost {hero.his} hat"."""
    name: str
    kind: str       # "girl", "fox", ...
    adjective: str  # "little", ...
    gender: str

    def __str__(self):
        return self.name

    intro_short = property(lambda self: article(f"{self.adjective} {self.kind}"))
    Intro_short = property(lambda self: self.intro_short.capitalize())
    intro = property(lambda self: f"{self.intro_short} named {self.name}")
    he = property(lambda self: PRONOUNS[self.gender][0])
    him = property(lambda self: PRONOUNS[self.gender][1])
    his = property(lambda self: PRONOUNS[self.gender][2])
    himself = property(lambda self: PRONOUNS[self.gender][3])
    He = property(lambda self: self.he.capitalize())
    His = property(lambda self: self.his.capitalize())


@dataclass(frozen=True)
class Thing:
    """A thing that stays the same through a story: "a red kite", "the red kite", "kite"."""
    noun: str
    adjective: str

    def __str__(self):
        return self.noun

    full = property(lambda self: f"{self.adjective} {self.noun}")
    a = property(lambda self: article(self.full))
    the = property(lambda self: f"the {self.full}")
    The = property(lambda self: f"The {self.full}")


@dataclass(frozen=True)
class Place:
    """A place with the prepositions it takes: "by the river", "to the river", "the river"."""
    name: str
    where: str

    def __str__(self):
        return self.name

    at = property(lambda self: f"{self.where} {self.name}")
    to = property(lambda self: f"to {self.name}")


GIRLS = "Mia Lily Anna Rosa Nora Ella Zoe Ivy Ruby Clara Maya Sofia Hana Tess June Alice Emma Lena Sara Poppy Amy Lucy Molly Kate".split()
BOYS = "Tim Ben Sam Leo Max Jack Finn Noah Omar Theo Hugo Kai Luca Adam Milo Oscar Tom Will Anton Peter Felix Jonah Eli Hans".split()
CREATURE_NAMES = ("Pip Bramble Hazel Button Clover Nutmeg Pebble Tansy Moss Biscuit Fern Acorn Pepper Sorrel Thistle Barley Dot Patch "
                  "Tuft Whisker Maple Rusty Olive Plum").split()
CHILD_ADJECTIVES = "little young small cheerful kind curious quiet brave clever shy".split()

CREATURES = ("fox rabbit mouse hedgehog squirrel duckling otter badger kitten puppy frog bear lamb mole beaver goose pony hen "
             "owl deer raccoon turtle").split()
WILD_HELPERS = ("crow owl hare heron toad robin swan goat donkey snail wren magpie bee beetle bat stork crab seal otter turtle").split()
CREATURE_ADJECTIVES = "little small young brown grey shy curious cheerful sleepy fluffy clever gentle brave tiny".split()
HELPER_ADJECTIVES = "old wise kind friendly gentle funny quiet patient clever grey spotted tall".split()

COLOURS = "red blue green yellow orange purple white silver golden pink".split()
TOYS = "kite ball boat drum whistle wagon lantern scarf hat mitten bell marble basket button ribbon top puppet flute".split()
TREASURES = "shell stone feather key ring coin acorn map box bead".split()
TOOLS = {"a rope": "rope", "a long stick": "stick", "a ladder": "ladder", "a wooden plank": "plank", "a basket": "basket",
         "a warm blanket": "blanket",
         "an old sheet": "sheet", "a strong branch": "branch", "a spade": "spade"}
FOODS = ["berry pie", "honey cake", "apple tart", "pot of soup", "loaf of bread", "plum cake", "bowl of nuts", "pear pie", "carrot cake",
         "jar of jam"]
CRAFTS = ["card", "paper crown", "wooden boat", "clay cup", "woollen scarf", "little chair", "bird house", "string of beads", "paper star",
          "song"]

HOMES_CHILD = ["in a small house by the river", "in a yellow house at the edge of town", "on a farm near the hills", "in a village by the sea",
               "in a tall house with a red roof", "in a cottage near the woods", "above the bakery in a busy town", "on a quiet street with many trees",
               "on a little boat in the harbour", "in a village high in the mountains"]
HOMES_CREATURE = ["in a warm burrow under an oak tree", "in a green valley", "at the edge of a big forest", "near a clear pond",
                  "under the roots of an old tree", "in a quiet meadow", "by a stream full of round stones", "behind a barn on a hill",
                  "in a garden full of flowers", "among the reeds by a lake"]
PLACES = [Place("the river", "by"), Place("the old mill", "behind"), Place("the meadow", "in"), Place("the orchard", "in"),
          Place("the bridge", "under"), Place("the big oak tree", "under"), Place("the well", "beside"), Place("the garden", "in"),
          Place("the barn", "in"), Place("the pond", "near"), Place("the hill", "on"), Place("the market", "at"), Place("the beach", "on"),
          Place("the forest", "in"), Place("the stone wall", "behind"), Place("the field", "in"), Place("the old tower", "near"),
          Place("the cave", "inside"), Place("the rose bush", "under"), Place("the path", "beside")]
FAR_PLACES = [Place("the top of the mountain", "on"), Place("the island", "on"), Place("the lighthouse", "at"), Place("the waterfall", "near"),
              Place("the castle ruins", "at"), Place("the great lake", "by"), Place("the valley of flowers", "in"), Place("the old windmill", "by")]

SEASONS = {
    "spring": ["Small green leaves were opening on the trees.", "The air smelled of rain and new grass.", "The birds were building their nests."],
    "summer": ["The sun was warm and the grass was tall.", "Bees hummed in the flowers.", "The days were long and bright."],
    "autumn": ["The leaves were red and gold.", "A cool wind blew and the apples were ripe.", "The leaves danced in the wind."],
    "winter": ["Snow lay on every roof and branch.", "The pond was covered with ice.", "The air was cold and the snow was deep."],
}
MORNINGS = ["sunny", "cold", "windy", "misty", "bright", "grey", "quiet", "clear", "rainy", "warm"]
NIGHTS = "dark cold windy quiet rainy moonless stormy starry long".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()

TRAITS = {
    "curious": ["{hero} asked questions from morning till night.", "{hero} wanted to know how everything worked.",
                "If there was a door, {hero} wanted to look behind it."],
    "kind": ["{hero} liked to help everyone {hero.he} met.", "{hero} always had a kind word for others.",
             "When somebody was sad, {hero} came and sat beside them."],
    "brave": ["{hero} was not afraid of big dogs or tall trees.", "{hero} liked to climb and run and jump.",
              "{hero} was small, but {hero.his} heart was brave."],
    "shy": ["{hero} did not talk much, but {hero.he} saw everything.", "{hero} spoke in a very soft voice.",
            "{hero} often hid behind {hero.his} {parent} when guests came."],
    "cheerful": ["{hero} sang all day long.", "{hero} laughed so loudly that the birds looked up.", "{hero} woke up every day with a smile."],
    "clever": ["{hero} could solve any riddle.", "{hero} was good at making plans.", "{hero} always had a new idea."],
    "stubborn": ["When {hero} wanted something, {hero.he} did not give up.", "{hero} did not like to ask for help.",
                 "{hero} always wanted to do everything alone."],
    "dreamy": ["{hero} liked to look at the clouds and dream.", "{hero} often forgot what {hero.he} was doing.",
               "At night {hero} counted the stars until {hero.he} fell asleep."],
}
