"""Make a PDF of Chromium smaller, and the same to the byte whenever it was printed.

Chromium writes each object of a PDF as text of its own, which is most of a file with tags. Here all
that is no stream goes into compressed streams of objects, as PDF 1.5 has them, with one compressed
table of places at the end. Times become that of the commit, and the file's mark a digest of it.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from datetime import datetime

TOGETHER = 500  # objects in one compressed stream
TIME = re.compile(rb"\(D:\d{14}[+-]\d\d'\d\d'\)")
ENTRY = (1, 4, 2)  # bytes of each column of the table of places
FREE, PLAIN, PACKED = 0, 1, 2  # kinds of entries in it


def objects(pdf: bytes) -> dict[int, bytes]:
    """Return the objects of a PDF with one plain table of places, by their numbers.

    Raises
    ------
    ValueError
        If the file has no such table, or is encrypted or changed after it was written.
    """
    start = int(re.findall(rb"startxref\s+(\d+)", pdf)[-1])
    head = re.compile(rb"xref\s+0 (\d+)\s+").match(pdf, start)
    trailer = pdf[start:]
    if head is None or b"/Encrypt" in trailer or b"/Prev" in trailer:
        raise ValueError(
            "the PDF must be one plain file with one table of places, as Chromium writes"
        )
    entries = re.findall(rb"(\d{10}) \d{5} n", trailer)
    places = sorted(map(int, entries))
    found = {}
    for begin, end in zip(places, [*places[1:], start], strict=True):
        told = re.match(rb"(\d+) 0 obj\s+(.*?)\s*endobj\s*$", pdf[begin:end], flags=re.S)
        if told is None:
            raise ValueError(f"at byte {begin} the PDF must have an object of generation 0")
        found[int(told[1])] = told[2]
    return found


def compact(pdf: bytes, moment: datetime) -> bytes:
    """Return the same document, smaller.

    Parameters
    ----------
    pdf : bytes
        As Chromium writes it.
    moment : datetime
        The time that the document states, in UTC.
    """
    pdf = TIME.sub(moment.strftime("(D:%Y%m%d%H%M%S+00'00')").encode(), pdf)
    found = objects(pdf)
    streams = {n: body for n, body in found.items() if body.endswith(b"endstream")}
    others = [n for n in sorted(found) if n not in streams]
    table = {0: (FREE, 0, 65535)}
    first = max(found) + 1
    for k in range(0, len(others), TOGETHER):
        group = others[k : k + TOGETHER]
        number = first + k // TOGETHER
        streams[number] = packed([(n, found[n]) for n in group])
        table |= {n: (PACKED, number, place) for place, n in enumerate(group)}
    out = bytearray(b"%PDF-1.5\n%\xd3\xeb\xe9\xe1\n")
    for number in sorted(streams):
        table[number] = (PLAIN, len(out), 0)
        out += b"%d 0 obj\n%b\nendobj\n" % (number, streams[number])
    return finished(
        out, table, re.findall(rb"/(Root|Info) (\d+ 0 R)", pdf[pdf.rfind(b"trailer") :])
    )


def packed(group: list[tuple[int, bytes]]) -> bytes:
    """Return a stream that holds some objects, given with their numbers."""
    places, at = [], 0
    for number, body in group:
        places.append(b"%d %d" % (number, at))
        at += len(body) + 1
    head = b" ".join(places) + b"\n"
    content = head + b"\n".join(body for _, body in group) + b"\n"
    return stream(b"/Type/ObjStm/N %d/First %d" % (len(group), len(head)), content)


def stream(about: bytes, content: bytes) -> bytes:
    """Return a compressed stream with what its dictionary says about it."""
    small = zlib.compress(content, 9)
    return b"<<%b/Filter/FlateDecode/Length %d>>stream\n%b\nendstream" % (about, len(small), small)


def finished(
    out: bytearray, table: dict[int, tuple[int, int, int]], roots: list[tuple[bytes, bytes]]
) -> bytes:
    """Return a file with the table of its places at the end, and a digest of it as its mark."""
    own = max(table) + 1
    table[own] = (PLAIN, len(out), 0)
    numbers = range(own + 1)
    rows = b"".join(
        value.to_bytes(size, "big")
        for n in numbers
        for value, size in zip(table.get(n, (FREE, 0, 65535)), ENTRY, strict=True)
    )
    mark = hashlib.sha256(out).hexdigest()[:32].encode()
    about = b"/Type/XRef/Size %d/W[%d %d %d]/ID[<%b><%b>]" % (own + 1, *ENTRY, mark, mark)
    about += b"".join(b"/%b %b" % root for root in roots)
    place = len(out)
    out += b"%d 0 obj\n%b\nendobj\nstartxref\n%d\n%%%%EOF\n" % (own, stream(about, rows), place)
    return bytes(out)
