"""zenoh, peer to peer over Unix sockets, payloads in a pool of shared memory unless they are small.

zenoh's Python API shows no payload in place: each is copied once into the pool and once out of it.
(A file zenoh.py would hide the package from itself.)"""

import contextlib
import ctypes
import json
import os
import time

import numpy
import peer as shared
import zenoh
from zenoh import shm

# Below this, zenoh's own threshold for it, shared memory costs more than it saves.
SMALLEST_SHARED = 3072


def pooled(size):
    """How many payloads a sender's pool holds: while all are unread it naps for milliseconds, so many small ones."""
    return min(1024, max(4, (64 << 20) // size))


def open_session(peer):
    """Receivers, which start first, listen on a socket each; senders connect to all of them."""
    listener = {"source": "sink", "ping": "pong"}.get(peer.role, peer.role)
    endpoint = lambda index: f"unixsock-stream/{peer.place}/{listener}{index}.sock"
    listens = listener == peer.role
    settings = {
        "mode": "peer",
        "listen/endpoints": [endpoint(peer.index)] if listens else [],
        "connect/endpoints": [] if listens else [endpoint(index) for index in range(peer.subscribers)],
        "scouting/multicast/enabled": False,
        "scouting/gossip/enabled": False,
        "transport/shared_memory/enabled": True,
        # By default a session whose other side has not read for five seconds is closed, and what was sent is lost.
        "transport/link/tx/queue/congestion_control/block/wait_before_close": 600_000_000,
    }
    if listener == "pong":
        # Sends without queues and batches; throughput would suffer from it.
        settings |= {"transport/unicast/lowlatency": True, "transport/unicast/qos/enabled": False}
    config = zenoh.Config()
    for key, value in settings.items():
        config.insert_json5(key, json.dumps(value))
    return zenoh.open(config)


def make_writer(peer, session):
    publisher = session.declare_publisher(
        f"{peer.sends}/{peer.index}",
        congestion_control=zenoh.CongestionControl.BLOCK,
        reliability=zenoh.Reliability.RELIABLE,
    )
    payload = bytearray(peer.size)
    words = numpy.frombuffer(payload, numpy.uint64)

    buffer = None

    def loan():
        nonlocal buffer
        buffer = provider.alloc(peer.size, policy)
        return words

    def send():
        if peer.touch:
            buffer[:] = payload
        else:
            buffer[:8] = payload[:8]
        publisher.put(buffer)

    if peer.size < SMALLEST_SHARED:
        return {"loan": lambda: words, "send": lambda: publisher.put(payload)}
    count = pooled(peer.size)
    # Some more than the payloads, for what the pool keeps of each.
    provider = shm.ShmProvider.default_backend(count * (peer.size + 64) + (1 << 16))
    policy = shm.BlockOn(shm.GarbageCollect())
    for buffer in [provider.alloc(peer.size) for _ in range(count)]:
        buffer[:] = payload
    return {"loan": loan, "send": send}


def make_reader(peer, session):
    subscriber = session.declare_subscriber(f"{peer.receives}/*")
    is_shared = peer.size >= SMALLEST_SHARED
    # M_MMAP_THRESHOLD and M_TRIM_THRESHOLD: the copies of the largest payloads shall reuse memory, like all others' do.
    for parameter in -3, -1:
        ctypes.CDLL(None).mallopt(parameter, 1 << 30)

    sample = data = None

    def receive():
        nonlocal sample, data
        sample = subscriber.recv()
        payload = sample.payload
        data = bytes(payload.as_shm()) if is_shared else payload.to_bytes()
        sender = str(sample.key_expr) if peer.publishers > 1 else 0
        return shared.read(peer, numpy.frombuffer(data, numpy.uint64)), sender

    def release():
        nonlocal sample, data
        sample = data = None

    return {"receive": receive, "release": release}


def remove_shared_memory():
    """zenoh leaves its own segments in /dev/shm to whoever starts next: removes those this process has mapped."""
    with open("/proc/self/maps") as maps:
        paths = {line.split()[5] for line in maps if line.rstrip().endswith(".zenoh")}
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def work(peer):
    with open_session(peer) as session:
        writer = make_writer(peer, session) if peer.sends else {}
        reader = make_reader(peer, session) if peer.receives else {}
        # Declarations arrive in their order: who sees a token knows that process's subscription too.
        token = session.liveliness().declare_token(f"ready/{peer.role}/{peer.index}")
        if peer.role in ("source", "ping"):
            others = {"source": "sink", "ping": "pong"}[peer.role]
            while len(list(session.liveliness().get(f"ready/{others}/*"))) < peer.subscribers:
                time.sleep(0.01)
        shared.converse(peer, **writer, **reader)
        token.undeclare()
    remove_shared_memory()


shared.main(work)
