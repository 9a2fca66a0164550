"""Styles side by side: the same photos drawn in each, measured, with a table and a page to look at.

contents.py compares pictures with their photos, evaluation.py draws and makes the table's rows, report.py writes them
down, page.py (with page.html, page.css and page.js) shows them.
"""
