"""Sniffs with Scapy and counts in dictionaries, as a detector does that looks at every packet in Python.

It counts the packets of each source to each port, and of each source, and starts anew each minute. When told to end, it
tells how many packets it has seen.
"""

import signal
import sys
import time

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether  # noqa: F401 - makes the sniffer know Ethernet
from scapy.sendrecv import AsyncSniffer

MINUTE = 60


class Loop:
    def __init__(self):
        self.seen = 0
        self.begin = time.monotonic()
        self.per_port, self.per_source = {}, {}

    def packet(self, packet):
        self.seen += 1
        now = time.monotonic()
        if now - self.begin >= MINUTE:
            self.begin = now
            self.per_port.clear()
            self.per_source.clear()
        if IP not in packet:
            return
        if TCP in packet:
            port = packet[TCP].dport
        elif UDP in packet:
            port = packet[UDP].dport
        else:
            return
        source = packet[IP].src
        self.per_port[source, port] = self.per_port.get((source, port), 0) + 1
        self.per_source[source] = self.per_source.get(source, 0) + 1


loop = Loop()
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
sniffer = AsyncSniffer(
    iface=sys.argv[1],
    prn=loop.packet,
    store=False,
    started_callback=lambda: print("listening on", sys.argv[1], file=sys.stderr, flush=True),
)
sniffer.start()
signal.sigwait([signal.SIGINT])
print(loop.seen, "packets captured", file=sys.stderr, flush=True)
