"""The text that comes with rnnjax: the front page of an invented repository of notes, written for this project.

`MARKDOWN` is what a network trains on and `MARKDOWN_VALIDATION` is held out. Together they are one text whose last
tenth is exactly the second, so the ordinary split of `text.py` gives back these two parts, and 32 streams with windows
of 16 characters make exactly 7 batches of the first. The sizes are tested: edit a word and balance it elsewhere.
"""

MARKDOWN = """\
# Field notes

A slow, plain collection of things worth keeping: recipes that worked, repairs that held, and small examples
that explain an idea better than a long page does. Everything here is Markdown, so it opens in any editor.

## Why this exists

- to write a thing down once, and find it again in under a minute
- to keep the reason next to the result
- to notice which notes are wrong, and mend them

Most pages start as three lines and a date. Some stay that way. A few grow until they need a folder of their own,
with notes, links and pictures.

## Where to look

- [Bread and dough](bread/README.md) — flour, water, salt, time
- [Bicycle care](bicycle/README.md) — chains, brakes, wheels, tools
- [Garden diary](garden/README.md) — what was sown, what came up
- [Night sky](sky/README.md) — charts for each month, clear nights only
- [Shell tricks](shell/README.md) — one command a page, with its output
- [Small statistics](statistics/README.md) — means, spreads, and how to doubt them
- [Woodwork](wood/README.md) — joints, glue, and a list of mistakes
- [Reading list](reading/README.md) — books, with one honest sentence each

## Bread and dough

The usual loaf takes 500 g of flour, 350 g of water, 10 g of salt and 2 g of dry yeast. Mix at night, fold twice,
sleep, bake in the morning at 240 degrees for 35 minutes. If the crumb is tight, wait longer; if the dough runs flat,
wait less. See [the table of times](bread/times.md).

1. Mix until no dry flour is left.
2. Rest for 20 minutes, then fold.
3. Cover and leave it alone until it has doubled.
4. Heat the pot first, then the bread.

## Bicycle care

A chain is worn when 12 links measure more than 308 mm. Replace it then, and the sprockets last for years. Keep a rag,
a pump and two levers in the bag. Brake pads: look at them in spring and again in autumn.

- [Wheel truing](bicycle/wheel.md) — quarter turns, both sides
- [Brakes](bicycle/brakes.md) — cable, pads, lever
- [Tool list](bicycle/tools.md) — what fits in one bag

## Garden diary

Every bed has a page, and every page has a table: date, what was done, what happened. Peas go in at the end of March,
beans in the middle of May, garlic in October. "Too early" is the most common remark in five years of notes.

> Water in the morning. Weed after rain. Write it down the same day.

## Shell tricks

Each note holds one command, the output it gave, and the question it answers. For example, to find the ten largest
files in a folder:

    du -a notes | sort -n -r | head -n 10

And to count the words of every page:

    wc -w notes/*.md

## Small statistics

- [Mean or median](statistics/mean.md) — which one, and when it matters
- [How many samples](statistics/samples.md) — a rule of thumb, with its limits
- [Plots](statistics/plots.md) — show the points, then the line

Data analysis examples use small tables that fit on a screen, so that every number can be checked by hand. If a result
looks too good, the first guess is a mistake in the table, and the second guess is another one.

## Woodwork

Measure twice, mark once, cut on the waste side. Glue needs pressure and a warm room, and then a whole day in peace.
The first stool leaned to the left; the third one did not. Drawings are in [the plans](wood/plans.md), mistakes in
[the other list](wood/mistakes.md), which is longer and more useful.

## Reading list

- Read in spring: a history of maps, a handbook of knots, two slender novels about the sea
- Read in autumn: a course on light and colour, and the letters of a lighthouse keeper
- Put aside: everything that was bought only because of its cover

## How a page is made

1. Give it a short title and a date.
2. Say what was tried, what came out, and what is still open.
3. Link it from the page above — a note without a link is a lost note.
4. Read it again after a month; cut what is not needed.

## House rules

- No secrets, no passwords, nothing that belongs to others.
- One idea for each page, one page for each idea.
- A broken link is a bug. So is a note that nobody can follow.
"""

MARKDOWN_VALIDATION = """\

## Night sky

Go out when the moon is down, and wait 20 minutes for the eyes. The charts in [this folder](sky/charts.md) show 12
months, one page for each. Note the hour, the wind and what was seen.

- [Planets](sky/planets.md) — where and when
- [Double stars](sky/double.md) — a list for small glasses

## Open questions

1. Which notes are read most often.
2. Does a shorter page stay true for longer.
3. What can be cut before the next winter.
"""
