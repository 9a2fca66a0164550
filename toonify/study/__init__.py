"""A survey that asks people which candidate comes nearest to a style: built, answered in a browser, collected, tallied.

plan.py      what every visitor is shown, balanced by construction; the key that tells whose picture is whose
page.py      the one HTML file of a survey (page.html, page.css, page.js)
build.py     photos, references and candidates' pictures to a survey and its key
answers.py   a visitor's answers: read, and refused if anything about them is wrong
tally.py     answers to votes, strengths, agreement, attention
report.py    a tally as Markdown, JSON, CSV and a plot
serve.py     the page and a collector of answers on a machine of one's own
"""
