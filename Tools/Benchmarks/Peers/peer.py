"""What every Python peer shares, as peer.h and rounds.h for C: the arguments, the two loops over a payload, the
conversation, the rounds."""

import argparse
import array
import os
import resource
import sys
import time

import numpy


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["ping", "pong", "source", "sink"])
    for option in "size", "touch", "publishers", "subscribers", "index", "topics":
        parser.add_argument("--" + option, type=int, default=1)
    parser.add_argument("--pause", type=int, default=0)
    parser.add_argument("--mode", choices=["block", "spin", "adaptive"], default="block")
    parser.add_argument("--place", required=True)
    peer = parser.parse_args()
    peer.name = os.path.basename(peer.place)  # unique to the run
    # The topics: sources and pings send on "in", pongs answer on "out".
    peer.sends = {"source": "in", "ping": "in", "pong": "out"}.get(peer.role)
    peer.receives = {"sink": "in", "pong": "in", "ping": "out"}.get(peer.role)
    return peer


# ---- the payload, as a numpy array of 64-bit words

SMALL = 64  # words


def fill(peer, words, number):
    """Writes the message's number over the whole payload, or into its first 8 bytes."""
    if peer.touch:
        words.fill(number)
    else:
        words[0] = number


def total(words):
    """The sum of the words. numpy takes microseconds to begin, so a few words are summed without it."""
    return sum(words.tolist()) if len(words) <= SMALL else int(words.sum())


def read(peer, words):
    """Reads the whole payload, or its first 8 bytes; returns the message's number."""
    number = int(words[0])
    if peer.touch and total(words) != number * len(words):
        raise ValueError("a payload is not what was written")
    return number


# ---- the conversation


def say(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return int((usage.ru_utime + usage.ru_stime) * 1e9)


def orders():
    """Says ready; yields N of each `run N` until the end."""
    say("ready")
    for line in iter(sys.stdin.readline, ""):
        order, _, count = line.partition(" ")
        if order != "run":
            return
        yield int(count)


# ---- the roles' rounds, as rounds.h says them: each takes the verbs that it needs
#
#   loan()     memory for one payload; waits while the system has no room
#   send()     sends what was loaned
#   receive()  waits for the next payload and reads it; returns its number, and a key of its sender
#   release()  gives back what was received


def converse(peer, loan=None, send=None, receive=None, release=None):
    """Does the role's work."""
    if peer.role == "source":
        source(peer, loan, send)
    elif peer.role == "sink":
        sink(peer, receive, release)
    elif peer.role == "ping":
        ping(peer, loan, send, receive, release)
    else:
        pong(peer, loan, send, receive, release)


def source(peer, loan, send):
    number = 0
    for count in orders():
        before, start = cpu(), time.monotonic_ns()
        for number in range(number + 1, number + 1 + count):
            fill(peer, loan(), number)
            send()
        say(f"done start={start} cpu={cpu() - before}")


def sink(peer, receive, release):
    last = {}
    for count in orders():
        before, received, lost, every = cpu(), 0, 0, count * peer.publishers
        say("armed")
        while received + lost < every:
            number, sender = receive()
            release()
            lost += number - last.get(sender, 0) - 1
            last[sender] = number
            received += 1
        end = time.monotonic_ns()
        say(f"done end={end} lost={lost} cpu={cpu() - before}")


def ping(peer, loan, send, receive, release):
    number, path = 0, os.path.join(peer.place, "samples")
    for count in orders():
        before, samples = cpu(), array.array("Q", bytes(8 * count))
        for index in range(count):
            number += 1
            words = loan()
            if peer.pause:
                time.sleep(peer.pause / 1e6)
            start = time.monotonic_ns()
            fill(peer, words, number)
            send()
            answer, _ = receive()
            samples[index] = (time.monotonic_ns() - start) // 2
            release()
            if answer != number:
                raise ValueError(f"the answer to another ping than {number}")
        used = cpu() - before
        with open(path, "wb") as file:
            samples.tofile(file)
        say(f"done file={path} cpu={used}")


def pong(peer, loan, send, receive, release):
    for count in orders():
        before = cpu()
        say("armed")
        for _ in range(count):
            number, _ = receive()
            # The answer first: giving back what was received isn't on its way.
            fill(peer, loan(), number)
            send()
            release()
        say(f"done cpu={cpu() - before}")


def main(work):
    """Runs `work(peer)`, which sets up and converses."""
    try:
        work(arguments())
    except Exception as error:
        say(f"error {type(error).__name__}: {error}".replace("\n", " "))
        raise SystemExit(1)
