"""Photos to pictures.

`local.py` draws them on this machine, `cluster.py` on a cluster, `report.py` writes down what happened.
"""
