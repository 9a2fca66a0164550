"""From pictures and videos as they come to a folder that networks are trained on."""
