"""A small HTTP/2 server over TLS: it answers each request with the number of bytes of its body."""

from __future__ import annotations

import socket
import ssl

import h2.config
import h2.connection
import h2.events

from servers.threaded import ThreadedServer


class Http2Server(ThreadedServer):
    """An HTTP/2 server that after a request for `/close` sends GOAWAY and closes the connection."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        super().__init__(tls)

    def serve(self, sock: socket.socket, number: int) -> None:
        assert isinstance(sock, ssl.SSLSocket)
        assert sock.selected_alpn_protocol() == "h2"
        state = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        state.initiate_connection()
        sizes: dict[int, int] = {}
        paths: dict[int, str] = {}
        leaving = False
        while not leaving:
            sock.sendall(state.data_to_send())
            data = sock.recv(65536)
            if not data:
                return
            for event in state.receive_data(data):
                match event:
                    case h2.events.RequestReceived():
                        sizes[event.stream_id] = 0
                        paths[event.stream_id] = dict(event.headers)[b":path"].decode()
                    case h2.events.DataReceived():
                        sizes[event.stream_id] += len(event.data)
                        state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    case h2.events.StreamEnded():
                        state.send_headers(event.stream_id, [(":status", "200")])
                        state.send_data(event.stream_id, b"%d" % sizes.pop(event.stream_id), end_stream=True)
                        leaving = paths.pop(event.stream_id) == "/close"
        state.close_connection()
        sock.sendall(state.data_to_send())
