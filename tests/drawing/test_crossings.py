"""How many files a reader passes through between a style's name and its network.

Without faces: they have a network of their own, found in its own way. In float32: integers draw the check photo first,
which is read as all photos are.
"""

import subprocess
import sys

MOST = 15
# In a process of its own: what is imported and cached by then would hide what a first load takes.
COUNT = """
import os, sys
import toonify
from toonify import load_style

root = os.path.dirname(toonify.__file__) + os.sep
crossings = []

def nearest(frame):
    while frame is not None and not frame.f_code.co_filename.startswith(root):
        frame = frame.f_back
    return frame

def watch(frame, event, argument):
    here = frame.f_code
    if event == "call" and here.co_filename.startswith(root) and here.co_name != "<module>":
        caller = nearest(frame.f_back)
        if caller is not None and caller.f_code.co_filename != here.co_filename and caller.f_code.co_name != "<module>":
            caller_file, file = (code.co_filename[len(root):] for code in (caller.f_code, here))
            crossings.append(f"{caller_file} -> {file}:{here.co_name}")

sys.setprofile(watch)
style = load_style(sys.argv[1], device=sys.argv[2], faces="off", precision="fp32")
sys.setprofile(None)
assert style.engine.device == "cpu"
print("\\n".join(crossings))
"""


def test_few_calls_cross_from_one_file_to_another_between_a_name_and_its_network() -> None:
    done = subprocess.run([sys.executable, "-c", COUNT, "shinkai", "auto"], capture_output=True, text=True, check=True)
    crossings = done.stdout.split("\n")[:-1]
    assert 5 < len(crossings) <= MOST, done.stdout
