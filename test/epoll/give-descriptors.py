"""Becomes the program in its arguments, with an eventfd, a timerfd and both ends of a terminal, whose numbers come last."""
import ctypes
import os
import pty
import sys

libc = ctypes.CDLL(None, use_errno=True)
O_NONBLOCK = os.O_NONBLOCK


def checked(descriptor):
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return descriptor


# A period of two milliseconds: interval and first time, each in seconds and nanoseconds.
period = (ctypes.c_long * 4)(0, 2_000_000, 0, 2_000_000)
event = checked(libc.eventfd(0, O_NONBLOCK))
timer = checked(libc.timerfd_create(1, O_NONBLOCK))
checked(libc.timerfd_settime(timer, 0, period, None))
master, terminal = pty.openpty()
os.set_blocking(master, False)
os.set_blocking(terminal, False)
given = [event, timer, master, terminal]
for descriptor in given:
    os.set_inheritable(descriptor, True)
os.execvp(sys.argv[1], sys.argv[1:] + [str(descriptor) for descriptor in given])
