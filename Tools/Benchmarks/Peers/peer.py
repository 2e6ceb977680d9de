"""What every Python peer shares, as peer.h for C: the arguments, the conversation, the two loops over a payload."""

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


def converse(peer, send, receive):
    """Does the role's work. `send(number)` sends the payload with that number, written as --touch says;
    `receive()` waits for a payload, reads it, returns (its sender's key, its number)."""
    {"source": source, "sink": sink, "ping": ping, "pong": pong}[peer.role](peer, send, receive)


def source(peer, send, receive):
    number = 0
    for count in orders():
        before, start = cpu(), time.monotonic_ns()
        for number in range(number + 1, number + count + 1):
            send(number)
        say(f"done start={start} cpu={cpu() - before}")


def sink(peer, send, receive):
    last = {}
    for count in orders():
        before, messages, lost, every = cpu(), 0, 0, count * peer.publishers
        say("armed")
        while messages + lost < every:
            sender, number = receive()
            messages += 1
            lost += number - last.get(sender, 0) - 1
            last[sender] = number
        end = time.monotonic_ns()
        say(f"done end={end} messages={messages} lost={lost} cpu={cpu() - before}")


def ping(peer, send, receive):
    number, path = 0, os.path.join(peer.place, "samples")
    for count in orders():
        before, samples = cpu(), array.array("Q", bytes(8 * count))
        for index in range(count):
            number += 1
            if peer.pause:
                time.sleep(peer.pause / 1e6)
            start = time.monotonic_ns()
            send(number)
            receive()
            samples[index] = (time.monotonic_ns() - start) // 2
        used = cpu() - before
        with open(path, "wb") as file:
            samples.tofile(file)
        say(f"done file={path} cpu={used}")


def pong(peer, send, receive):
    number = 0
    for count in orders():
        before = cpu()
        say("armed")
        for number in range(number + 1, number + count + 1):
            receive()
            send(number)
        say(f"done cpu={cpu() - before}")


def main(work):
    """Runs `work(peer)`, which sets up and converses."""
    try:
        work(arguments())
    except Exception as error:
        say(f"error {type(error).__name__}: {error}".replace("\n", " "))
        raise SystemExit(1)
