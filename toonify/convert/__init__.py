"""Photos to pictures.

`local.py` draws them on this machine, `cluster.py` on a cluster, `batches.py` in several styles and looks; `report.py`
writes down what happened. `sheet.py` draws photos in every style and look for one picture to choose from.
"""
