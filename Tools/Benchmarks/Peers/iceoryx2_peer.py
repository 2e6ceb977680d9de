"""iceoryx2: zero-copy, subscribers map a publisher's memory. Mode spin polls; in mode block an event follows each
message, for which a listener waits: a subscriber alone can't wait.
(A file iceoryx2.py would hide the package from itself.)"""

import contextlib
import ctypes
import glob
import os
import time

import iceoryx2
import numpy
import peer as shared


def queued(size):
    """How many messages wait for a subscriber before its publisher does."""
    return min(1024, max(2, (64 << 20) // size))


def open_node(peer):
    """A node of this run's own: its files are in `--place`, its shared memory has a name of the run."""
    config = iceoryx2.config.default()
    config.global_cfg.root_path = iceoryx2.Path.new(peer.place + "/iceoryx2/")
    config.global_cfg.prefix = iceoryx2.FileName.new(peer.name + "_")
    return iceoryx2.NodeBuilder.new().config(config).create(iceoryx2.ServiceType.Ipc)


def open_service(peer, node, name):
    ends = max(peer.publishers, peer.subscribers)
    return (
        node.service_builder(iceoryx2.ServiceName.new(name))
        .publish_subscribe(iceoryx2.Slice[ctypes.c_uint64])
        .payload_alignment(iceoryx2.Alignment.new(64))
        # Else the oldest is dropped.
        .enable_safe_overflow(False)
        .history_size(0)
        .subscriber_max_buffer_size(queued(peer.size))
        .subscriber_max_borrowed_samples(1)
        .max_publishers(ends)
        .max_subscribers(ends)
        .max_nodes(2 * ends)
        .open_or_create()
    )


def open_event(peer, node, name):
    ends = max(peer.publishers, peer.subscribers)
    builder = node.service_builder(iceoryx2.ServiceName.new(name)).event()
    return builder.max_listeners(ends).max_notifiers(ends).max_nodes(2 * ends).open_or_create()


class Payloads:
    """numpy's view of each place in the shared memory, made once: there are few, and making one costs as much as
    reading a small payload."""

    def __init__(self, peer):
        self.words = peer.size // 8
        self.views = {}

    def at(self, address):
        view = self.views.get(address)
        if view is None:
            memory = (ctypes.c_uint64 * self.words).from_address(address)
            view = self.views[address] = numpy.frombuffer(memory, numpy.uint64)
        return view


def make_writer(peer, node):
    # All that can be unread, one being read, one being written, one not yet taken back.
    samples = queued(peer.size) + 3
    words = peer.size // 8
    service = open_service(peer, node, peer.sends)
    publisher = (
        service.publisher_builder()
        .backpressure_strategy(iceoryx2.BackpressureStrategy.RetryUntilDelivered)
        .initial_max_slice_len(words)
        .max_loaned_samples(samples)
        .override_sample_preallocation(samples)
        .create()
    )
    notifier = open_event(peer, node, peer.sends).notifier_builder().create() if peer.mode == "block" else None
    payloads = Payloads(peer)
    loaned = None

    def loan():
        nonlocal loaned
        loaned = publisher.loan_slice_uninit(words)
        return payloads.at(loaned.payload_ptr)

    def send():
        loaned.assume_init().send()
        if notifier:
            notifier.notify()

    loans = [publisher.loan_slice_uninit(words) for _ in range(samples)]
    for sample in loans:
        payloads.at(sample.payload_ptr)[:] = 0
        sample.delete()
    if peer.role == "source":
        while service.dynamic_config.number_of_subscribers < peer.subscribers:
            time.sleep(0.01)
        publisher.update_connections()
    return {"loan": loan, "send": send}


def make_reader(peer, node):
    subscriber = open_service(peer, node, peer.receives).subscriber_builder().create()
    listener = open_event(peer, node, peer.receives).listener_builder().create() if peer.mode == "block" else None
    payloads = Payloads(peer)
    # An event was once seen missing at a round's end, and its message waited for the next: so no wait is without end.
    longest_wait = iceoryx2.Duration.from_millis(10)
    received = None

    def receive():
        nonlocal received
        while (received := subscriber.receive()) is None:
            if listener:
                listener.timed_wait(longest_wait)
        sender = received.header.publisher_id.value if peer.publishers > 1 else 0
        return shared.read(peer, payloads.at(received.payload_ptr)), sender

    def release():
        received.delete()

    return {"receive": receive, "release": release}


def converse(peer):
    """All that is opened here is closed when this returns."""
    node = open_node(peer)
    reader = make_reader(peer, node) if peer.receives else {}
    writer = make_writer(peer, node) if peer.sends else {}
    shared.converse(peer, **writer, **reader)


def work(peer):
    iceoryx2.set_log_level(iceoryx2.LogLevel.Error)
    converse(peer)
    # iceoryx2 keeps its folders, and one small thing in shared memory, for whoever comes next. The last to leave finds
    # no other's node; an earlier one's removing harms nobody, it is made again where it is missed.
    for path in glob.glob(f"/dev/shm/{peer.name}_*.global_mgmt"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
    for folder, _, _ in os.walk(peer.place + "/iceoryx2", topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(folder)


shared.main(work)
