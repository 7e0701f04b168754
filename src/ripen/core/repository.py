"""The git repository that ripen runs in, if it is one."""

import subprocess


def git(*arguments: str) -> str:
    """Return git's output; "" where it fails, such as outside a repository or without git."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.rstrip() if done.returncode == 0 else ""
