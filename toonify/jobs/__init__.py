"""Batches of files.

`find.py` lists what is in the folders that a user names, `plan.py` says where each result goes, `shards.py` which of
them this machine takes, `outcome.py` what became of each.
"""
