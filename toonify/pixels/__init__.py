"""Pictures as arrays: kinds and conversions, boxes and crops, colors, edges, sizes."""
