"""How near are pictures to a style, and to the photo they were drawn from: FID and its kin, SSIM, LPIPS.

Nothing here imports PyTorch but the export of a network, once: what is in the cache is measured again in a second.
"""
