"""What Python itself costs: each message as a source and a sink of the other Python peers have it, one after the other,
but with no system between them. A source that sends to nobody."""

import time

import numpy
import peer as shared


def work(peer):
    if peer.role != "source":
        raise ValueError(f"unknown role {peer.role}")
    words = numpy.ones(peer.size // 8, numpy.uint64)

    # The calls count: every system's verbs are Python functions.
    def loan():
        return words

    def send():
        pass

    def receive():
        return shared.read(peer, words), 0

    def release():
        pass

    number, last = 0, {}
    for count in shared.orders():
        before, start = shared.cpu(), time.monotonic_ns()
        received = lost = 0
        for number in range(number + 1, number + 1 + count):
            shared.fill(peer, loan(), number)
            send()
            # The sink's.
            got, sender = receive()
            release()
            lost += got - last.get(sender, 0) - 1
            last[sender] = got
            received += 1
        end = time.monotonic_ns()
        shared.say(f"done start={start} end={end} cpu={shared.cpu() - before}")


shared.main(work)
