"""Runs a command on a terminal of its own and plays keys to it: terminal.py ROWS COLUMNS STEPS COMMAND ARGUMENT...

STEPS is a JSON list: ["expect", text], ["type", text], ["size", rows, columns]. Prints what was shown; exits with the
command's status (128 + signal), or 99 where a step did not come.
"""

import fcntl
import json
import os
import pty
import select
import struct
import sys
import termios
import time

LIMIT = 20.0


def main():
    rows, columns, steps, command = int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3]), sys.argv[4:]
    pid, terminal = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        os.execvp(command[0], command)
    shown, seen = b"", 0

    def read(seconds):
        nonlocal shown
        if select.select([terminal], [], [], seconds)[0]:
            try:
                more = os.read(terminal, 65536)
            except OSError:
                return False
            shown += more
            return bool(more)
        return True

    for step in steps:
        if step[0] == "type":
            os.write(terminal, step[1].encode())
        elif step[0] == "size":
            fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", step[1], step[2], 0, 0))
        elif step[0] == "expect":
            end, wanted = time.monotonic() + LIMIT, step[1].encode()
            while (at := shown.find(wanted, seen)) < 0:
                if time.monotonic() > end or not read(0.05):
                    sys.stdout.buffer.write(shown)
                    print(f"\nMISSING {step[1]!r}")
                    os.kill(pid, 9)
                    sys.exit(99)
            seen = at + len(wanted)
    end = time.monotonic() + LIMIT
    while time.monotonic() < end and read(0.05):
        pass
    _, status = os.waitpid(pid, 0)
    sys.stdout.buffer.write(shown)
    sys.stdout.flush()
    sys.exit(128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))


main()
