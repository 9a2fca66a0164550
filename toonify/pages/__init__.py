"""What HTML pages and reports are made of."""
