"""Listens to the handles of a topic's publishers: ZeroMQ, protobuf, and nothing of PoolBus but its schemas.

    listener.py SCHEMAS SOCKET PATTERN

SCHEMAS is the folder into which protoc wrote handle_pb2.py and node_pb2.py. It says `listening`, then for each handle
`handle STREAM SEQUENCE PAYLOAD-BYTES WIRE-BYTES`, until its standard input ends.
"""

import socket
import sys

sys.path.insert(0, sys.argv[1])

import handle_pb2
import node_pb2
import zmq

PACKET = 65536  # no message of the node's is larger


def say(*words):
    print(*words, flush=True)


def join(path, pattern):
    """Joins the node as an observer: it is told of every publisher, is promised nothing, and holds no memory."""
    node = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    node.connect(path)
    hello = node_pb2.Hello(protocol_version=3, name="listener.py")
    node.send(node_pb2.ClientMessage(hello=hello).SerializeToString())
    wish = node_pb2.Subscribe(request=1, pattern=pattern, observes=True)
    node.send(node_pb2.ClientMessage(subscribe=wish).SerializeToString())
    return node


def main():
    node = join(sys.argv[2], sys.argv[3])
    handles = zmq.Context.instance().socket(zmq.SUB)
    poller = zmq.Poller()
    for source in (node, handles, sys.stdin):
        poller.register(source, zmq.POLLIN)
    endpoints = set()
    while True:
        ready = dict(poller.poll())
        if sys.stdin.fileno() in ready and not sys.stdin.readline():
            return
        if node.fileno() in ready:
            message = node_pb2.NodeMessage.FromString(node.recv(PACKET))
            match message.WhichOneof("body"):
                case "subscribed":
                    say("listening")
                case "stream_introduced":
                    introduced = message.stream_introduced
                    # A handle's first nine bytes are its stream: what a SUB socket can ask for.
                    handles.subscribe(handle_pb2.Handle(stream=introduced.stream).SerializeToString())
                    if introduced.handle_endpoint and introduced.handle_endpoint not in endpoints:
                        endpoints.add(introduced.handle_endpoint)
                        handles.connect(introduced.handle_endpoint)
                case "refusal":
                    say("error", message.refusal.message)
        if handles in ready:
            wire = handles.recv()
            handle = handle_pb2.Handle.FromString(wire)
            say("handle", handle.stream, handle.sequence, handle.byte_count, len(wire))


main()
