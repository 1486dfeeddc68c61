"""Templates of spoken and polite requests, for measuring; ``{}`` stands for the query.

All are whole sentences that were written for measuring. A test checks that no template can be
put together from the phrases that training data are made of.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

__all__ = ["CHATTY_TEMPLATES", "RAMBLING_TEMPLATES", "as_request"]

CHATTY_TEMPLATES = (
    "can someone point me in the direction of {}",
    "hi, I was hoping you could turn up something on {} for me, thank you",
    "hey could you maybe have a look whether there is anything about {}",
    "so basically what I am after is {} if that makes sense",
    "um yeah hi I would, uh, like to see {} please",
    "Would you be so kind as to search the catalogue for {}?",
    "Please be a dear and look {} up for me.",
    "do me a favour and run a search for {}",
    "what have you got when it comes to {}?",
    "My daughter asked me about {} and I have no clue, can you help?",
    "I've been trying to get hold of {} for ages now",
    "okay assistant, let's see what comes up for {}",
    "we were wondering if you might carry {}, many thanks in advance",
    "Good afternoon! Is it all right if I ask you for {}?",
    "any chance you could help me out with {}",
    "right so I kind of need to find out more about {} by tomorrow",
    "hello there, I'd really appreciate it if you showed me {}",
    "quickly get me everything there is on {} would you",
    "I don't suppose you know where one can find {}?",
    "erm, the thing I want to look at is, you know, {}",
    "For my work I have to collect whatever is available on {}.",
    "it would be lovely to get some results for {} thanks a bunch",
    "sorry to bother you but I'm in search of {}",
    "Could you please pull together a few hits about {}? Cheers!",
)

RAMBLING_TEMPLATES = (
    "hey can you find me something on {} please",
    "um yeah hi i'm looking for {} if you've got any",
    "Could you point me towards anything you have about {}?",
    "{} is what I'm after, if you could have a look for me.",
    "ok so my daughter has a project due tomorrow and she needs stuff on {}",
    "Kindly share some details regarding {} at the earliest.",
    "g'day mate, just wondering if you've got any info on {}",
    "Sorry to bother you, but do you know where I might find {}?",
    "show me the best results for {} you can get",
    "I was hoping you could help me track down {} before the weekend.",
    "My husband keeps going on about {} and I'd like to see what the fuss is. What have you got?",
    "please pull up {} for me real quick",
    "Would you mind awfully looking up {} for me?",
    "Do you happen to carry {} or should I try another store?",
    "Hello sir, I am wanting to know about {}, please guide me.",
    "Search for {} and read me the first couple of results.",
    "My professor mentioned {} in class and I didn't catch any of it. Can you find "
    "me a good place to start?",
    "what's out there on {} these days",
    "I'm writing a paper and could really use some sources on {}.",
    "Any chance you've got something decent on {}, love?",
    "uh can you look up hang on what was it oh yeah {}",
    "With reference to {}, please send whatever material is available.",
    "{} please, and nothing too complicated because it's for my nan",
    "I've been searching for {} all morning with no luck, can you help?",
    "Good morning, I'd like to ask whether the library holds anything on {}.",
    "my boss wants a summary of {} by friday so just give me whatever you can find",
    "Is there anywhere on this site I can see {}?",
    "Alright, next one: {}, and keep it short this time.",
    "can u pls help me with {} im so lost",
    "I'm trying to help my mum with {} and neither of us knows where to begin.",
    "A friend of mine swears by {}, so I figured I'd check it out. Could you bring "
    "up some options?",
    "no not that one i said {}",
    "Hi there! Just after some advice on {} if you've got a sec.",
    "Please do the needful and find {} for my son's school assignment.",
    "I don't really know how to put this, but I think I need {}.",
    "so like where would a person even go to find {}",
    "Got anything on {} that a complete beginner could follow?",
    "We're moving next month and {} has come up on our list, so could you search for that?",
    "When you get a minute, could you dig up {} and send it to my phone?",
    "i heard something on the radio about {} this morning can you find out more",
    "Excuse me, which aisle or section would {} be in?",
    "I would be grateful for any recommendations concerning {}.",
    "yeah nah just have a quick squiz for {} would ya",
    "{}, do you have that, or something close to it?",
    "Actually, before I forget, could you check {} for me?",
    "My sister is a nurse and she asked me to look into {} for her.",
    "tell me more about {} but in simple words please",
    "Ma'am, my exam is on Monday and I urgently require notes or anything similar on {}.",
    "Thanks for that. Now could you do the same for {}?",
    "i'm not sure if you can help but i was wondering about {}",
    "Can I get a list of pages covering {}, newest first if possible?",
    "Reckon you could find {} for my dad? He's hopeless with computers.",
    "give me everything you've got on {} and i'll sort through it myself",
    "I'm curious about {} because it came up at dinner last night and nobody could agree.",
    "okay google i mean sorry whatever you're called look for {}",
    "Our book club is discussing {} on Thursday, so I'd appreciate a few good links.",
)
"""Longer requests, with reasons, relatives, asides and second sentences.

They were written without looking at the rules by which the package tells a request from a
query. Most of their words occur in no other request, which makes them harder.
"""


def as_request(text: str, rng: random.Random, templates: Sequence[str]) -> str:
    """Return a random request for a text; only the text's closing dots and marks are removed."""
    return rng.choice(templates).format(text.rstrip(" .?!") or text)
