"""The command line, run in this process as a person runs it in a shell."""

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path


def convproof(*args, cwd=None):
    """The exit status and what is printed; what was imported from the folder is forgotten."""
    from convproof.cli import main

    out, err, before, folder = io.StringIO(), io.StringIO(), set(sys.modules), os.getcwd()
    argv, sys.argv = sys.argv, ["convproof", *args]
    os.chdir(cwd or folder)
    status = 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as left:
        status = left.code or 0
    finally:
        sys.argv = argv
        for name in set(sys.modules) - before:
            if Path(getattr(sys.modules[name], "__file__", None) or "/").is_relative_to(cwd or "/no such folder"):
                del sys.modules[name]
        os.chdir(folder)
    return subprocess.CompletedProcess(args, status, out.getvalue(), err.getvalue())
