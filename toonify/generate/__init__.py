"""Pictures from noise, with the generators of `train --arch dcgan`, progan and stylegan.

`seeds.py` makes latents of seeds, `draw.py` pictures of latents, `open.py` finds the generator of a run. `walk.py` goes
through the latent space, `mix.py` gives layers styles of their own, `swap.py` exchanges the layers of two generators,
`project.py` looks for the latent of a photo, `export.py` writes ONNX. `files.py` is where all of them write.
"""
