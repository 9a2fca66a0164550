"""Photos to pictures.

`local.py` draws them on this machine, `moving.py` those that move, `clips.py` videos, `cluster.py` on a cluster,
`batches.py` in several styles and looks; `report.py` writes down what happened, `options.py` says how pictures are
written. `peek.py` looks at the heads of files. `sheet.py` draws photos in every style and look for one picture to
choose from.
"""
