"""Reads a capture with Scapy and counts in dictionaries, as a detector does that looks at every packet in Python.

It counts the packets of each source to each port, and of each source, within a minute of the capture's time, and tells
of the first one beyond a threshold.
"""

import sys

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether  # noqa: F401 - makes the reader know Ethernet
from scapy.utils import PcapReader

MINUTE = 60
PORT_THRESHOLD = 10
SOURCE_THRESHOLD = 100


def main(path):
    per_port, per_source = {}, {}
    begin = None
    with PcapReader(path) as packets:
        for packet in packets:
            now = float(packet.time)
            if begin is None or now - begin >= MINUTE:
                begin = now
                per_port.clear()
                per_source.clear()
            if IP not in packet:
                continue
            if TCP in packet:
                port = packet[TCP].dport
            elif UDP in packet:
                port = packet[UDP].dport
            else:
                continue
            source = packet[IP].src
            count = per_port[source, port] = per_port.get((source, port), 0) + 1
            if count == PORT_THRESHOLD + 1:
                print(f"{now:.6f} {source} sends much to port {port}")
            count = per_source[source] = per_source.get(source, 0) + 1
            if count == SOURCE_THRESHOLD + 1:
                print(f"{now:.6f} {source} sends much")


main(sys.argv[1])
