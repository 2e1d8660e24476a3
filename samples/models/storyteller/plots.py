"""The plots: each tells the middle of a story through `say` (one of several wordings), `maybe` and `paragraph`.

A plot fills `story.cast` with whoever and whatever it needs first, so that every later sentence speaks of the same people and things,
and returns the wordings of its lesson.
"""
from words import (COLOURS, CRAFTS, DAYS, FAR_PLACES, FOODS, PLACES, TOOLS, TOYS, Thing, article)


def lost_and_found(story):
    say, maybe = story.say, story.maybe
    story.cast["thing"] = Thing(story.pick(TOYS), story.pick(COLOURS))
    here, first, second = story.sample(PLACES, 3)
    story.cast.update(here=here, first=first, second=second, helper=story.helper())
    say("{hero} had {thing.a} and loved it more than anything.", "For {hero.his} birthday, {hero} had been given {thing.a}.",
        "Every day {hero} played with {thing.a}.", "The thing {hero} loved most was {thing.a}.")
    maybe("It was a gift from {hero.his} {parent}.", "It was the only {thing} like it in the world.", "{hero} took it everywhere.")
    story.paragraph()
    say("One {weather} morning, the {thing} was gone.", "But one {weather} day, {hero} could not find the {thing}.",
        "On {day}, {hero} woke up and the {thing} was not there.")
    maybe('"Oh no!" said {hero}. "Where is my {thing}?"', '"My {thing}!" cried {hero}. "I have lost my {thing}!"')
    say("{hero} looked {first.at}, but there was no {thing}.", "First {hero} ran {first.to} and looked there. No {thing}!",
        "{hero.He} searched {first.at} until {hero.his} feet hurt.")
    say("Then {hero.he} looked {second.at}, but the {thing} was not there either.", "Next {hero.he} went {second.to}, but found only a few leaves.",
        "{hero.He} looked {second.at} too, and found nothing at all.")
    maybe("{hero} sat down and began to cry.", "{hero} felt very sad.", "A tear ran down {hero.his} cheek.")
    story.paragraph()
    say("Just then, {helper.intro} came by.", "{helper.Intro_short} named {helper} heard {hero.him} and stopped.", "Along came {helper.intro}.")
    say('"Why are you so sad?" asked {helper}.', '"What is wrong?" asked the {helper.kind}.', '"Can I help you?" asked {helper} softly.')
    say('"I lost my {thing.full}," said {hero}.', '"I cannot find my {thing.full}," {hero} answered.')
    say('"Think back," said {helper}. "Where were you yesterday?"', '"When did you see it last?" asked {helper}.',
        '"Let us think together," said {helper}. "Where did you play last?"')
    say('{hero} thought hard. "I was {here.at}!" {hero.he} said.', '"Yesterday I played {here.at}," said {hero} slowly.',
        "{hero} closed {hero.his} eyes and remembered. Yesterday {hero.he} had been {here.at}.")
    say("They ran {here.to} as fast as they could.", "Together they hurried {here.to}.", "So {hero} and {helper} went {here.to}.")
    say("And there, {here.at}, was {thing.the}!", "There it was! {thing.The} was lying {here.at}.",
        "Something {thing.adjective} shone {here.at}. It was the {thing}!")
    say('"Thank you, {helper}!" said {hero}, and hugged {helper.him}.', '"You are so clever, {helper}," said {hero}.',
        "{hero} laughed and danced around {helper}.")
    return ["{hero} had learned to stop and think.", "After that, {hero} always put the {thing} in the same place at night.",
            "{hero} had found the {thing}, and a new friend too."]


FEARS = {
    "the dark": ["the stars need the dark to shine", "a small light is enough", "the dark is only the world asleep"],
    "thunder": ["thunder is only the clouds talking", "thunder is loud but cannot hurt you", "you can count until it goes away"],
    "deep water": ["the water will carry you", "you can start where it is not deep", "you only need to breathe slowly"],
    "high places": ["you should look up and not down", "you only need to take one small step", "your hands know how to hold on"],
    "big dogs": ["most dogs are only big friends", "you should stand still and speak softly", "a dog is often shy too"],
    "the first day of school": ["everyone there is a little afraid", "you only need one friend to begin", "a smile opens every door"],
}


def facing_a_fear(story):
    say, maybe = story.say, story.maybe
    fear = story.pick(list(FEARS) if story.hero_is_child else [f for f in FEARS if "school" not in f])
    story.cast.update(fear=fear, wisdom=story.pick(FEARS[fear]), helper=story.helper())
    say("{hero} had one secret. {hero.He} was afraid of {fear}.", "There was only one thing that {hero} feared, and that was {fear}.",
        "But {hero} was afraid of {fear}.")
    maybe("When {hero.he} thought of it, {hero.his} knees began to shake.", "{hero} never told anybody.", "Just thinking about it made {hero} shiver.")
    story.paragraph()
    say("One {weather} day, {hero} met {helper.intro}.", "On {day}, {hero} told {helper.intro} about it.", "Then {helper.intro} came to visit.")
    say('"I wish I were brave like you," said {hero}.', '"Are you ever afraid?" {hero} asked.', '"I am afraid of {fear}," {hero} whispered.')
    say('"Everybody is afraid of something," said {helper}.', "{helper} did not laugh.", '"Being brave does not mean having no fear," said {helper}.')
    say('"Remember that {wisdom}," {helper} said.', '"I will tell you a secret," said {helper}. "I learned that {wisdom}."',
        '"When I was small, someone told me that {wisdom}," said {helper}.')
    say('"We can try it together," {helper} added.', '"And I will stay beside you," said {helper}.')
    story.paragraph()
    say(*{
        "the dark": ["That night {hero} blew out the candle.", "When the sun went down, {hero} went outside without a lamp."],
        "thunder": ["Soon the sky turned black and the thunder came.", "That evening a great storm rolled over the hills."],
        "deep water": ["The next day {hero} stepped into the lake.", "So {hero} put one foot in the water, and then the other."],
        "high places": ["The next day {hero} climbed the tall tree, step by step.", "So {hero} climbed up the hill to the very edge."],
        "big dogs": ["The next day a very big dog came down the road.", "Soon they met a huge brown dog at the gate."],
        "the first day of school": ["The next morning {hero} walked to school.", "At last the first day came, and {hero} opened the school door."],
    }[fear])
    say("{hero.His} heart beat fast.", "{hero} wanted to run away.", "At first {hero.he} could hardly breathe.")
    say("But {hero.he} remembered the words of the {helper.kind}.", "Then {hero.he} thought of {helper}.", "But {hero.he} told {hero.himself} that {wisdom}.")
    say("{hero} took a deep breath and counted to ten.", "{hero} stood still and waited.", "{hero} held on and did not run.")
    say("Slowly, the fear became smaller and smaller.", "And nothing bad happened at all.", "After a while {hero} even began to smile.")
    say('"I did it!" shouted {hero}.', '"Look, {helper}! I am not afraid!" said {hero}.', '"It is not so bad," said {hero}, surprised.')
    say('"I knew you could," said {helper}.', "{helper} was very proud of {hero.him}.", "{helper} smiled and nodded.")
    return ["{hero} was still a little afraid of {fear}, but now {hero.he} was brave too.", "Now {hero} knew that {wisdom}.",
            "From then on, {hero} helped others who were afraid."]


def sharing(story):
    say, maybe = story.say, story.maybe
    story.cast.update(friend=story.friend(), thing=Thing(story.pick(TOYS), story.pick(COLOURS)), here=story.pick(PLACES))
    say("{hero} had a good friend, {friend.intro}.", "{hero.His} best friend was {friend.intro}.", "Next door lived {friend.intro}, and the two were friends.")
    story.paragraph()
    say("One {weather} day, they found {thing.a} {here.at}.", "On {day}, the two friends were playing {here.at} when they saw {thing.a}.",
        "One morning they went {here.to}, and there lay {thing.a}.")
    say('"I saw it first!" said {hero}. "It is mine!"', '"It is mine!" cried {hero}, and took the {thing}.')
    say('"No, it is mine!" said {friend}.', '"That is not fair," said {friend}. "I want it too!"')
    say("{hero} pulled, and {friend} pulled, and neither let go.", "They pulled the {thing} this way and that way.")
    say("They both fell down in the mud.", "Then the {thing} fell into a puddle.", "At last {friend} went home without a word.")
    story.paragraph()
    say("Now {hero} had the {thing}, but it was no fun to play alone.", "{hero} looked at the {thing} and felt ashamed.",
        "{hero} sat with the {thing} in {hero.his} lap. {hero.He} was not happy.")
    maybe('"What good is a {thing} without a friend?" thought {hero}.', "Everything was very quiet.", "{hero.His} {parent} asked what was wrong.")
    say("So {hero} went to find {friend}.", "{hero} picked up the {thing} and walked to see {friend}.",
        "Soon {hero} was knocking at the door of {friend.his} home.")
    say('"I am sorry, {friend}," said {hero}. "You can have the {thing} first."', '"I was wrong," said {hero}. "Let us share the {thing}."',
        '"You are more important than any {thing}," said {hero}.')
    say('"I am sorry too," said {friend}.', '{friend} smiled. "I missed you," {friend.he} said.')
    say("They took turns with the {thing} until the sun went down.", "They played with {thing.the} all afternoon.",
        "{hero} had the {thing} in the morning, and {friend} had it in the evening.")
    return ["{hero} had learned that sharing makes a good thing better.", "They never fought over the {thing} again.",
            "A friend is worth more than any {thing}."]


WISHES = {
    "to fly": ("the birds", ["{hero} ran down the hill with big paper wings, and for one moment the wind lifted {hero.him} up.",
                             "{hero} rode on the back of a great grey goose, high over the fields."]),
    "to sing": ("the lark", ["{hero} sang, and the whole valley became quiet to listen.", "{hero.His} song was soft and clear, and everyone clapped."]),
    "to swim": ("the fish", ["{hero} swam across the pond and back again.", "{hero} jumped into the water and swam like a fish."]),
    "to dance": ("the leaves", ["{hero} danced at the summer party, and nobody danced better.", "{hero} turned and jumped as lightly as a leaf."]),
    "to paint": ("the sunset", ["{hero} painted the whole village with all its colours.", "{hero.His} picture of the sea hung in the town hall."]),
    "to bake bread": ("the baker", ["{hero} baked a loaf so good that everyone asked for more.", "The bread came out golden and warm."]),
    "to juggle": ("the clowns", ["{hero} juggled five apples, and not one of them fell.", "{hero} threw the balls higher and higher, and caught them all."]),
}


def wish(story):
    say, maybe = story.say, story.maybe
    dream = story.pick(list(WISHES))
    model, outcome = WISHES[dream]
    story.cast.update(dream=dream, model=model, helper=story.helper())
    say("More than anything, {hero} wanted {dream}.", "{hero} had one big wish. {hero.He} wanted {dream}.", "Every night {hero} dreamed of one thing, {dream}.")
    maybe("{hero} watched {model} and sighed.", "When {hero.he} thought of {model}, {hero.his} eyes shone.")
    say('"You are too small," said the others.', '"That is impossible," said {hero.his} {sibling}.', "Everybody laughed at the idea.")
    story.paragraph()
    say("But {helper.intro} did not laugh.", "One {weather} day {hero} told {helper.intro} about it.", "Then one night {hero} met {helper.intro}.")
    say('"Can you make my wish come true?" asked {hero}.', '"I want {dream}," said {hero}. "But how?"')
    say('"I have no magic," said {helper}. "But I can show you how to begin."', '"There is no magic but work," said {helper}.',
        '"A wish is like a seed," said {helper}. "You must help it grow."')
    say("So {hero} tried every day.", "From that day on, {hero} practised every morning.", "{hero} began the very next morning.")
    say("On the first day it went badly.", "The first time was a great mess.", "At first everything went wrong.")
    say("On the second day it went a little better.", "But {hero} did not give up.", "{helper} only said, \"Try again.\"")
    maybe("{hero} worked in the rain and in the sun.", "Some days {hero.he} was tired, but {hero.he} went on.", "Weeks went by.")
    story.paragraph()
    say("And then one day it happened.", "At last the great day came.", "Then, on {day}, everything changed.")
    say(*outcome)
    say('"Look at me, {helper}!" called {hero}.', "{hero} had never been so happy.", "{hero.His} {parent} wiped away a tear.")
    say('"You see," said {helper}, "you had the magic all the time."', '"I never doubted you," said {helper}.', "{helper} clapped louder than anyone.")
    return ["Big wishes come true in small steps.", "{hero} knew now that a wish needs work.", "And nobody ever said to {hero} that it was impossible."]


STUCK = {"caught in a thorn bush": "the thorns", "stuck in the mud": "the mud", "trapped in a deep hole": "the hole",
         "caught in an old net": "the net", "stuck on a high branch": "the branch"}


def rescue(story):
    say, maybe = story.say, story.maybe
    trouble = story.pick(list(STUCK))
    tools = story.sample(list(TOOLS), 2)
    story.cast.update(trouble=trouble, trap=STUCK[trouble], here=story.pick(PLACES), victim=story.helper(), wrong=tools[0], right=tools[1],
                      wrong_tool=TOOLS[tools[0]], right_tool=TOOLS[tools[1]])
    say("One {weather} morning, {hero} was walking {here.to}.", "On {day}, {hero} went {here.to} to play.", "One {weather} day, {hero} was alone {here.at}.")
    say("Suddenly {hero.he} heard a small voice. \"Help! Help!\"", '"Help!" somebody cried. {hero} stopped and listened.',
        "Then {hero.he} heard somebody crying.")
    say("It was {victim.intro}, {trouble}.", "There was {victim.intro}, {trouble}.", "{hero} ran to look and found {victim.intro}, {trouble}.")
    maybe('"I cannot get out," said {victim}.', '"I have been here all night," said {victim}. "I am so cold."', '"Please do not leave me," {victim} begged.')
    say('"Do not worry," said {hero}. "I will help you."', '"Stay calm," said {hero}. "I will get you out."')
    story.paragraph()
    say("First {hero} pulled with both arms, but it was no use.", "{hero} pulled and pulled, but {victim} did not move.")
    say("Then {hero} fetched {wrong}, but the {wrong_tool} was no use.", "{hero} ran home for {wrong}, but the {wrong_tool} was too small.",
        "Next {hero.he} tried {wrong}, but the {wrong_tool} did not help.")
    maybe('"It is no use," said {victim} sadly.', "{hero} was tired, but {hero.he} did not stop.", '"We must think," said {hero}.')
    say("Then {hero} had an idea. {hero.He} found {right}.", '"I know!" said {hero}, and ran to get {right}.', "At last {hero} saw {right} lying in the grass.")
    say("Carefully, {hero} used the {right_tool}, and little by little {victim} came free of {trap}.",
        "With the {right_tool}, {hero} freed {victim} from {trap}.", "One, two, three! With the help of the {right_tool}, {victim} was out of {trap}.")
    story.paragraph()
    say('"You saved me!" said {victim}.', '"Thank you, {hero}," said {victim}. "I will never forget this."')
    say("{hero} carried {victim} home and gave {victim.him} {food.a}.", "{hero} washed {victim.him} and dried {victim.him} by the fire.",
        "{hero} shared {food.the} with {victim.him}.")
    say("A few days later, {hero} lost the way in the fog, and {victim} led {hero.him} home.",
        "When {hero} was ill that winter, {victim} came every day with a story.", "After that, {victim} waited {here.at} every morning to walk with {hero}.")
    return ["One good deed brings another.", "And {hero} and {victim} stayed friends for ever.", "{hero} was glad that {hero.he} had not given up."]


def gift(story):
    say, maybe = story.say, story.maybe
    craft = story.pick(CRAFTS)
    story.cast.update(craft=craft, friend=story.friend(), other=story.pick([c for c in CRAFTS if c not in (craft, "song")]))
    say("Tomorrow was the birthday of {friend}, {friend.intro_short}.", "{hero.His} friend {friend}, {friend.intro_short}, had a birthday on {day}.",
        "In two days it would be the birthday of {friend}, {friend.intro_short}.")
    say("{hero} had no money for a present.", "{hero} wanted to give {friend.him} something special.", "{hero} did not know what to give {friend.him}.")
    maybe('"What can I give?" {hero} asked {hero.his} {parent}.', "{hero} looked in every corner of {hero.his} room.")
    say('"The best gifts are made by hand," said {hero.his} {parent}.', '"I will make something!" said {hero}.')
    story.paragraph()
    say("So {hero} made a {craft} for {friend}.", "All day long {hero} worked on a {craft}.", "{hero} decided to make a {craft}.")
    say(*(["{hero} sang it again and again until every word was right."] if craft == "song" else
          ["It was not perfect, but it was made with love.", "{hero} worked until {hero.his} fingers were sore.",
              "It was the finest {craft} that {hero} had ever made."]))
    say(*(["But in the morning {hero.his} voice was gone!", "But that night {hero} caught a cold and could not sing a note."] if craft == "song" else
          ["But on the way it began to rain, and the {craft} was spoiled.", "But on the way {hero} fell, and the {craft} broke in two.",
           "But in the night the {pet} knocked the {craft} off the table, and it broke."]))
    maybe('"Oh no," said {hero}. "Now I have nothing."', "{hero} almost cried.")
    story.paragraph()
    say("When {hero} came to the party, {hero.he} told {friend} everything.",
        "{hero} stood at the door and did not dare to come in. Then {hero.he} told {friend} what had happened.",
        '"I am sorry, {friend}," said {hero}. "I made you a {craft}, but I lost it on the way."')
    say('"You made it for me?" said {friend}. "That is the best present of all."', '"You worked all day for me?" asked {friend}, and {friend.his} eyes shone.')
    say("Then the two of them made a {other} together.", '"Come," said {friend}, "let us make a {other} together." And so they did.',
        "They sat down and made a {other} together, and laughed a lot.")
    say("They ate {food.a} and played until dark.", "Then everybody ate {food.a}.", "{hero.His} {parent} brought {food.a} for everyone.")
    return ["It is not the gift that counts, but the heart.", "{friend} kept the {other} by {friend.his} bed for many years.",
            "{hero} and {friend} remembered that birthday for a long time."]


PLANTS = {"sunflower": "turned its golden face to the sun", "apple tree": "carried its first red apple", "pumpkin": "was as big as a wagon",
          "rose": "opened its first red flower", "bean plant": "climbed all the way to the window", "pear tree": "was white with blossoms",
          "strawberry plant": "was full of sweet red berries"}


def patience(story):
    say, maybe = story.say, story.maybe
    plant = story.pick(list(PLANTS))
    story.cast.update(plant=plant, plant_a=article(plant), growth=PLANTS[plant], helper=story.helper(),
                      bed=story.pick(["behind the barn", "in the garden", "in the meadow", "by the stone wall", "near the well", "beside the path"]))
    say("One day in spring, {hero} found a small seed.", "In spring, {helper.intro} gave {hero} a seed.",
        "One {weather} morning, a seed fell right in front of {hero}.")
    say('"What will it be?" asked {hero}.', "{hero} held it in {hero.his} hand. It was very small.", '"It is so tiny," said {hero}.')
    say("{hero} planted the seed {bed} and gave it water.", "{hero} dug a little hole {bed} and put the seed in it.")
    story.paragraph()
    say("The next day {hero} ran out to look, but there was nothing.", "{hero} looked the next morning. Nothing had grown.",
        "After one day {hero} wanted to see a plant, but there was only brown earth.")
    say("On the third day there was still nothing.", "A week went by, and still there was nothing.", "{hero} waited one day, and two days, and three.")
    say('"It will never grow!" said {hero}.', '"Maybe it is broken," {hero} sighed.', "{hero} wanted to dig it up.")
    say('"Wait," said {hero.his} {parent}. "Good things take time."', '"Be patient," said {hero.his} {parent}. "It is working under the ground."',
        '{hero.His} {parent} smiled. "You cannot hurry a seed," {parent.he} said.')
    say("So {hero} gave it water every day.", "So {hero} waited, and kept the birds away.", "Every evening {hero} sang to the seed.")
    maybe("The rain came, and then the sun.", "One night a storm came, and {hero} built a little wall of stones.", "The days grew longer and warmer.")
    story.paragraph()
    say("Then one morning there was a tiny green leaf!", "At last, two small green leaves came out of the earth.", "And one day something green was there.")
    say('"It is growing!" cried {hero}.', "{hero} jumped for joy.", "{hero} called everyone to come and see.")
    say("It grew and grew. It was {plant_a}.", "Week by week it grew taller. It became {plant_a}.", "Now {hero} could see what it was. It was {plant_a}!")
    say("By the end of summer, the {plant} {growth}.", "A long time later, the {plant} {growth}.", "And when the time was right, the {plant} {growth}.")
    return ["Good things take time.", "{hero} had learned to wait.", "And the next spring, {hero} gave a seed to a friend."]


def journey(story):
    say, maybe = story.say, story.maybe
    story.cast.update(goal=story.pick(FAR_PLACES), helper=story.helper(), friend=story.friend(), first=story.pick(PLACES),
                      reason=story.pick(["to see the sun rise from there", "to bring a letter to an old friend", "to find {treasure.a}",
                                         "because nobody had ever gone so far", "to hear the echo"]).format(**story.cast))
    say("One day {hero} decided to go {goal.to}, {reason}.", "{hero} had always wanted to go {goal.to}, {reason}.",
        "On {day}, {hero} set out {goal.to}, {reason}.")
    say('"It is a long way," said {hero.his} {parent}. "Take {food.a} with you."', "{hero.His} {parent} packed {food.a} for the road.")
    say("{friend}, {friend.intro_short}, wanted to come too.", "{hero} asked {friend}, {friend.intro_short}, to come along.")
    story.paragraph()
    say("They walked past {first} and over the hills.", "They left early and walked past {first}.", "First they came to {first}, where they rested.")
    obstacle = story.pick(["river", "fog", "fork", "wind"])
    say(*{
        "river": ["Then they came to a wide river without a bridge.", "Soon a deep river was in front of them."],
        "fog": ["Then a thick fog came down, and they could not see their own feet.", "Soon the fog was everywhere, white and cold."],
        "fork": ["Then the road went two ways, and they did not know which one to take.", "Soon they came to a place where the road split in two."],
        "wind": ["Then a great wind began to blow, and they could hardly stand.", "Soon the wind was so strong that it pushed them back."],
    }[obstacle])
    say('"We have to go back," said {friend}.', '"What shall we do now?" asked {friend}.', '"I am scared," said {friend}.')
    say('"Not yet," said {hero}.', "{hero} took {friend} by the hand.", '"There must be a way," said {hero}.')
    say("By the road sat {helper.intro}.", "Then they saw {helper.intro}, who was hungry and alone.", "Just then they met {helper.intro}.")
    say('"Please, have you anything to eat?" asked {helper}.', '"I have not eaten all day," said {helper}.')
    say("{hero} gave {helper.him} half of {food.the}.", "{hero} and {friend} shared {food.the} with {helper.him}.")
    say(*{
        "river": ['"You are kind," said {helper}. "I will show you the stones under the water." And they crossed with dry knees.',
                  "Then {helper} showed them a fallen tree, and they walked across."],
        "fog": ['"You are kind," said {helper}. "I know this road even in the fog." And {helper.he} led the way.',
            "Then {helper} walked in front of them and sang, so that they could follow."],
        "fork": ['"You are kind," said {helper}. "Take the left road. The right one goes into the swamp."', "Then {helper} showed them the right way."],
        "wind": ['"You are kind," said {helper}. "Come, there is a path behind the rocks where no wind blows."',
            "Then {helper} led them to a cave, where they waited until the wind was still."],
    }[obstacle])
    story.paragraph()
    say("In the evening they stood {goal.at}.", "And so they came {goal.to} at last.", "At last they were {goal.at}.")
    say("The whole world lay before them, gold and blue.", "It was more beautiful than they had dreamed.", "For a long time nobody said a word.")
    say('"We did it," said {friend}.', '"I am glad we did not go back," said {friend}.')
    return ["Whoever shares on the road never walks alone.", "{hero} told everyone about the {helper.kind} who had helped them.",
            "It had been a long way, but it was worth every step."]


def honesty(story):
    say, maybe = story.say, story.maybe
    story.cast.update(thing=Thing(story.pick("vase cup bowl lamp clock jar plate mirror teapot picture".split()), story.pick(COLOURS)), friend=story.friend())
    say("In the house there was {thing.a} that {hero.his} {parent} loved.", "{hero.His} {parent} had {thing.a}, and {parent.he} was very proud of it.",
        "{hero.His} {parent} always said, \"Be careful with {thing.the}.\"")
    story.paragraph()
    say("One {weather} day, {hero} was playing with a ball inside.", "On {day}, {hero} and {friend}, {friend.intro_short}, ran through the rooms.",
        "One {weather} day, {hero} was dancing around the table.")
    say("Crash! {thing.The} was broken.", "Bump! Crash! The {thing} lay in a hundred pieces.", "There was a loud crash, and the {thing} was broken.")
    say("{hero} went pale.", "For a moment {hero} could not move.", '"Oh no," whispered {hero}.')
    say("{hero} hid the pieces under the bed.", "Quickly {hero} swept the pieces behind the door.", "{hero} put the pieces in a box and closed it.")
    say('In the evening {hero.his} {parent} asked, "Where is my {thing}?"', '"Has anybody seen my {thing}?" asked {hero.his} {parent} at dinner.')
    say('"Maybe the {pet} broke it," said {hero}.', '"I do not know," said {hero}, and looked at the floor.', '"It was the wind," said {hero} quickly.')
    story.paragraph()
    say("That night {hero} could not sleep.", "At night {hero} lay awake and looked at the moon.")
    say("The lie felt like a stone in {hero.his} belly.", "{hero.He} thought and thought, and {hero.his} heart was heavy.")
    say("At last {hero} got up and went to {hero.his} {parent}.", "In the morning {hero} took a deep breath and went to {hero.his} {parent}.")
    say('"I broke the {thing}," said {hero}. "I am sorry that I lied."', '"It was me," {hero} said. "I broke {thing.the} and hid the pieces."')
    say('{hero.His} {parent} was quiet for a moment. "Thank you for telling me the truth," {parent.he} said.',
        '"I am sad about the {thing}," said {hero.his} {parent}, "but I am proud of you."')
    say("They glued the pieces together, one by one.", "Together they put the pieces back with glue.", "They mended it as well as they could.")
    maybe("One could still see the cracks, but they did not mind.", "It was not the same, but in a way it was better.")
    return ["The truth made {hero.his} heart light again.", "{hero} never hid the truth again.", "A {thing} can break, but trust can be mended with the truth."]


NOISES = {"tap, tap, tap": ("tapping on the window", "with {guest.his} nose"), "scratch, scratch": ("scratching at the door", "with one foot"),
          "rustle, rustle": ("moving in the dry leaves", "all alone"), "hoo, hoo": ("calling in the dark", "very softly"),
          "bump, bump": ("bumping against the wall", "in the wind")}


def strange_noise(story):
    say, maybe = story.say, story.maybe
    noise = story.pick(list(NOISES))
    act, manner = NOISES[noise]
    guest = story.helper()
    story.cast.update(noise=noise, Noise=noise.capitalize(), act=act, guest=guest, manner=manner.format(guest=guest),
                      guess=story.pick(["a ghost", "a giant", "a dragon", "a robber", "a monster"]),
                      trouble=story.pick(["was lost and far from home", "was cold and had no bed", "was hungry and tired", "was looking for a friend",
                                          "had hurt one foot"]))
    say("One {night} night, {hero} heard a strange noise.", "On {day} night, a sound woke {hero}.",
        "It was late, and {hero} was almost asleep. Then there was a noise.")
    say('"{Noise}," it went. "{Noise}."', "It went {noise}, and then it was quiet, and then again, {noise}.")
    say('"What is that?" whispered {hero}.', "{hero} pulled the blanket over {hero.his} head.", "{hero} sat up and listened.")
    say('"Maybe it is {guess}," {hero} thought.', '"It must be {guess}!" said {hero.his} {sibling}.')
    story.paragraph()
    say("The next night it came again. {Noise}.", "Then it came once more, louder than before.", "The sound did not stop.")
    say("{hero} took a lamp and went to look.", "{hero} made {hero.himself} brave and opened the door.",
        "Step by step, {hero} went closer, with a candle in {hero.his} hand.")
    maybe("The floor was cold under {hero.his} feet.", "The shadows on the wall were long.", "{hero.His} hand was shaking a little.")
    say('"Who is there?" {hero} called.', '"Hello?" said {hero} in a small voice.')
    say("It was not {guess} at all. It was {guest.intro}!", "Was it {guess}? No! It was {guest.intro}.")
    say("{guest} was {act} {manner}.", "It was {guest} who had been {act} {manner}.")
    story.paragraph()
    say('"I did not want to scare you," said {guest}.', '"Please do not be angry," said {guest}.', '"I saw your light," said {guest}.')
    say("The poor {guest.kind} {trouble}.", "{guest} told {hero} that {guest.he} {trouble}.")
    say("{hero} had to laugh. \"And I thought you were {guess}!\"", '"I was so afraid of you," said {hero}, and laughed.')
    say("{hero} gave {guest.him} {food.a} and a warm place to sleep.", '"Come in," said {hero}. "You can sleep by the fire."',
        "They sat by the fire together and ate {food.a}.")
    say("In the morning they were friends.", "They talked until the sun came up.", "The next day {hero} helped {guest} with everything.")
    return ["Sometimes the thing we fear is only a friend we do not know yet.", "After that, {hero} looked first and was afraid later.",
            "And whenever it went {noise}, {hero} ran to open the door."]


def contest(story):
    say, maybe = story.say, story.maybe
    game = story.pick(["race", "swimming race", "boat race", "kite contest", "baking contest", "singing contest"])
    story.cast.update(game=game, friend=story.friend(),
                      prize=Thing(story.pick(["cup", "ribbon", "medal", "bell"]), story.pick(["golden", "silver", "blue", "red"])),
                      here=story.pick(PLACES))
    say("Every year there was a {game} {here.at}.", "On {day} there was going to be a {game}.", "The whole valley was talking about the big {game}.")
    say("The winner would get {prize.a}.", "The prize was {prize.a}.", "Whoever won would be given {prize.a}.")
    say("{hero} wanted to win.", "{hero} practised every day.", "This year {hero} wanted to be the best.")
    say("So did {friend}, {friend.intro_short}.", "But {friend}, {friend.intro_short}, wanted to win as well.")
    say('"I will win for sure," said {friend}.', '"You have no chance," said {friend}.', '"May the best one win," said {friend}.')
    story.paragraph()
    say("The day came, and it was {weather}.", "At last the {game} began.", "Everybody came to watch.")
    say("Soon {hero} and {friend} were far ahead of the others.", "{hero} was in front, and {friend} was close behind.",
        "{hero} did very well, and so did {friend}.")
    say("But then {friend} fell and hurt {friend.his} foot.", "Then {friend} cried out. {friend.He} had hurt {friend.his} arm.",
        "Suddenly {friend} felt ill and had to sit down.")
    say("{hero} could see {prize.the}. It was so close!", "Now {hero} only had to go on, and {prize.the} would be {hero.his} own.")
    say("But {hero} stopped and went back.", "{hero} thought for one moment, and turned around.", "But {hero} could not leave {friend} alone.")
    say('"Lean on me," said {hero}.', '"Come, I will help you," said {hero}.')
    say("Together they came in last.", "They came to the end together, long after everybody else.", "Somebody else won, and the two came last, arm in arm.")
    story.paragraph()
    say('"Why did you do that?" asked {friend}. "You could have won."', '"You gave up {prize.the} for me," said {friend}.')
    say('"You are my friend," said {hero}.', '"There will be another {game} next year," said {hero}.', '"It is only {prize.a}," said {hero}.')
    say("Then everybody began to clap.", "Everybody cheered for {hero}.", "The oldest of them all stood up and clapped for {hero}.")
    say("The winner came and gave {prize.the} to {hero}.", "And the next day {friend} brought {hero} {prize.a} made of paper.", "{friend} never forgot it.")
    return ["There are things that are better than winning.", "{hero} had lost the {game} and won a friend.", "Kindness is the best prize of all."]


def moving_star(story):
    say, maybe = story.say, story.maybe
    story.cast.update(light=story.pick(["star", "firefly", "moonbeam", "snowflake", "cloud", "rainbow"]), here=story.pick(PLACES), helper=story.helper())
    say("One {weather} evening, a little {light} came down {here.at}.", "On {day} evening, {hero} saw a tiny {light} {here.at}.",
        "Once, when {hero} was {here.at}, a small {light} sat on {hero.his} hand.")
    say('"Where do you come from?" asked {hero}.', '"You are beautiful," said {hero}.', '"Hello, little {light}," said {hero}.')
    say('"I have lost my way," said the {light}. "I want to go home."', '"I fell from the sky," said the {light} sadly.',
        '"I am so lonely down here," the {light} said.')
    maybe("{hero} wanted to keep it in a jar.", "{hero} had never seen anything so lovely.", '"Stay with me," said {hero}.')
    say("But the {light} grew paler and paler.", "But the {light} looked up at the sky and trembled.",
        "But when {hero} held the {light} close, it became weak.")
    story.paragraph()
    say("So {hero} went to ask {helper.intro}.", "{hero} ran to {helper.intro} for help.", "{hero} knew only one who could help, {helper.intro}.")
    say('"You cannot keep what wants to be free," said {helper}.', '"If you love it, you must let it go," said {helper}.')
    say('"But how can it get home?" asked {hero}.', '"How can I bring it back to the sky?" asked {hero}.')
    say('"Climb to the highest place you know," said {helper}, "and wait for the wind."', '"Go up the hill at midnight," said {helper}, "and open your hands."')
    say("{hero} climbed and climbed, with the {light} in {hero.his} hands.", "It was a long and dark climb, but the {light} showed the way.")
    say("At the top, {hero} opened {hero.his} hands.", "On the very top {hero} held the {light} up high.")
    say('"Thank you," said the {light}, and flew away.', "The wind came, and up went the {light}, higher and higher.",
        "The {light} rose slowly and shone brighter than ever.")
    story.paragraph()
    say("{hero} was a little sad, but also glad.", "{hero} waved until it was gone.", "{hero.His} hands were empty, but {hero.his} heart was full.")
    say("The next evening the {light} was in the sky and seemed to wave.",
        "Sometimes, when {hero} looks up, the {light} is there and shines just for {hero.him}.")
    return ["To love something is to let it be free.", "And {hero} was never lonely at night again.", "{hero} never forgot the little {light}."]


PLOTS = [lost_and_found, facing_a_fear, sharing, wish, rescue, gift, patience, journey, honesty, strange_noise, contest, moving_star]
