"""The page to choose by: `toonify serve`.

`studio.py` draws previews and keeps what may be wanted again (`cache.py`), in the order in which people wait for it
(`queue.py`). `visitors.py` knows whose photos are whose, `folder.py` the folder that is served. `takes.py` draws
pictures at their full size with the code of `convert`; `choice.py` says what somebody chose. `app.py` is all of it over
HTTP (`requests.py`: what requests carry), `page/` what the browser shows.
"""
