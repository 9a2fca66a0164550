"""What HTML pages and reports are made of, and the server of those that are served (`server.py`)."""
