"""Training: folders of pictures to a style of one's own, in a run that survives a crash and shows itself in files."""
