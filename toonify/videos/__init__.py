"""Video files to frames and back, through PyAV.

`reader.py` gives frames as they are to be seen, `matroska.py` what FFmpeg leaves to others.
"""
