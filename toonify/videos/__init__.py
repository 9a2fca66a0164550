"""Video files to frames and back, through PyAV.

`reader.py` gives frames as they are to be seen; `progress.py` follows time and damage, `matroska.py` and `cut_off.py`
read what FFmpeg leaves to others. `encoder.py` compresses pictures, `mux.py` puts them together with what else the
source has, `subtitles.py` rewrites text, `formats.py` says what each container holds.
"""
