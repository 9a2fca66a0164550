"""Files of weights: from the hub (`hub.py`), from their makers (`published.py`), the tensors in them (`tensors.py`)."""
