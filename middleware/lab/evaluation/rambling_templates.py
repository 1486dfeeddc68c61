"""Requests that ramble around a query: with reasons, relations, asides and second sentences.

They were written without a look at the rules by which this package tells a request from a
query, and are harder than those of ``chatter``: most of their words are of no request.
"""

from __future__ import annotations

__all__ = ["RAMBLING_REQUESTS"]

RAMBLING_REQUESTS = (
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
"""Requests with ``{}`` in the place of the query."""
