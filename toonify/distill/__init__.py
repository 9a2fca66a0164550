"""`toonify distill`: from a generator and a folder of photos to a small generator that draws the same."""
