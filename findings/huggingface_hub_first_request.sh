#!/usr/bin/env bash
# The first request of huggingface-hub's hf_hub_download is not for the file: once a day it asks the hub for a list of
# coding agents (GET /api/agent-harnesses), to name the one at work in its User-Agent. A mirror that serves only the
# repositories' files sees a request that it does not know. The download goes on when the answer is 404.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check huggingface-hub==2.4.0
HF_HOME=$folder/home HF_HUB_DISABLE_XET=1 NO_PROXY=127.0.0.1 no_proxy=127.0.0.1 venv/bin/python - <<'PYTHON'
import http.server
import os
import threading

CONTENT = b"weights"
asked = []


class Hub(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        asked.append(f"{self.command} {self.path}")
        found = "/resolve/" in self.path
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(CONTENT) if found else 0))
        if found:
            self.send_header("ETag", '"etag-of-the-file"')
            self.send_header("X-Repo-Commit", "0" * 40)
        self.end_headers()
        if found and self.command == "GET":
            self.wfile.write(CONTENT)

    do_GET = do_HEAD

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["HF_ENDPOINT"] = f"http://127.0.0.1:{server.server_port}"
import huggingface_hub

print("huggingface-hub", huggingface_hub.__version__)
with open(huggingface_hub.hf_hub_download("someone/network", "network.bin"), "rb") as file:
    arrived = file.read()
print("requests:", *asked, sep="\n  ")
if asked[0] != "GET /api/agent-harnesses" or arrived != CONTENT:
    raise SystemExit("changed: the first request is for the file")
PYTHON
