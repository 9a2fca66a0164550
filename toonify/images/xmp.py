"""XMP packets: true of a drawing, with a word on what made it; joined from a JPEG's parts, and split into them again.

A packet stays as its program wrote it, but for what is changed.

Sources: XMP specification, part 1 (2012), 7.4 (packet and RDF); part 3 (2020), 1.1.3.1 (extended XMP in JPEG).
"""

import hashlib
import html
import re
from collections.abc import Iterable
from dataclasses import dataclass
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

_RDF = b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
_OURS = "urn:uuid:1b7e1d0c-6c0e-4f0a-9d55-3f2a4c8b7e61#"  # the name space of what toonify says of its drawings
_NOTE = b"toonify:ProcessingSoftware"
_HEAD = b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>'
_OPEN = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF %b>' % _RDF
_CLOSE = b"</rdf:RDF></x:xmpmeta>"
_TAIL = b'<?xpacket end="w"?>'
_ATTRIBUTE = rb"\s+[\w:.-]+\s*=\s*(?:\"[^\"]*\"|'[^']*')"
_RDF_START = re.compile(rb"<(?:\w+:)?RDF\b(?:%s)*\s*>" % _ATTRIBUTE)
_RDF_END = re.compile(rb"</(?:\w+:)?RDF\s*>")
_EMPTY_RDF = re.compile(rb"<(?:\w+:)?RDF\b(?:%s)*\s*/>" % _ATTRIBUTE)
_META_START = re.compile(rb"<x:x[am]pmeta\b(?:%s)*\s*>" % _ATTRIBUTE)
_DESCRIPTION = re.compile(rb"<(?:\w+:)?Description\b(?:%s)*\s*/?>" % _ATTRIBUTE)
_OUR_DESCRIPTION = re.compile(rb"<rdf:Description(?:%s)*\s+%s=(?:\"[^\"]*\"|'[^']*')\s*/>" % (_ATTRIBUTE, _NOTE))
_OUR_VALUE = re.compile(rb"\b%s\s*=\s*(?:\"([^\"]*)\"|'([^']*)')|<%s>([^<]*)<" % (_NOTE, _NOTE))
_NAMESPACE = re.compile(rb"\s(xmlns(?::[\w.-]+)?)\s*=\s*(\"[^\"]*\"|'[^']*')")
_ABOUT = re.compile(rb"\s((?:\w+:)?about)\s*=\s*(\"[^\"]*\"|'[^']*')")
_NOTHING = re.compile(  # a description without a property
    rb"<(?:\w+:)?Description(?:\s+(?:xmlns(?::[\w.-]+)?|(?:\w+:)?about)\s*=\s*(?:\"[^\"]*\"|'[^']*'))*\s*/>"
)
_EXTENDED = rb"xmpNote:HasExtendedXMP"
_GUID = re.compile(rb"\b%s\s*(?:=\s*[\"']|>)\s*([0-9A-Fa-f]{32})" % _EXTENDED)
_EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
_LONGEST_PART = 65_000  # bytes of extended XMP in a segment

# What XMP says of the file rather than of the picture: a drawing has no second picture, clip, or map in it.
_PARTS = rb"hdrgm|HDRGainMap|GCamera|GContainer|Container|Item|GDepth|GImage|GAudio|GPano|xmpNote"
_OF_THE_FILE = [
    re.compile(rb"\s(?:%s):\w+\s*=\s*(?:\"[^\"]*\"|'[^']*')" % _PARTS),
    re.compile(rb"<((?:%s):\w+)\b[^>]*?(?:/>|>.*?</\1\s*>)" % _PARTS, re.DOTALL),
    re.compile(rb"<((?:xmp|xap):Thumbnails)\b[^>]*?(?:/>|>.*?</\1\s*>)", re.DOTALL),
]


def true_of(packet: bytes, width: int, height: int) -> bytes:
    """A packet in UTF-8 whose orientation, size and color space are a drawing's."""
    values = {
        rb"tiff:Orientation": 1,
        rb"tiff:ImageWidth": width,
        rb"tiff:ImageLength": height,
        rb"exif:PixelXDimension": width,
        rb"exif:PixelYDimension": height,
        rb"exif:ColorSpace": 1,
    }
    for name, value in values.items():
        text = rb"\g<1>%d" % value
        packet = re.sub(rb"(\b%s\s*=\s*[\"'])[^\"']*" % name, text, packet)
        packet = re.sub(rb"(<%s\s*>)[^<]*" % name, text, packet)
    for pattern in [*_OF_THE_FILE, _NOTHING]:
        packet = pattern.sub(b"", packet)
    return packet


def in_utf8(packet: bytes) -> bytes:
    """A packet in UTF-8, and with an element to put more into. Raises ValueError for what is no packet."""
    for encoding, start in (("utf-16", (b"\xff\xfe", b"\xfe\xff")), ("utf-16-le", b"<\0"), ("utf-16-be", b"\0<")):
        if packet.startswith(start):
            packet = packet.decode(encoding, "replace").encode()  # UnicodeDecodeError is a ValueError
            break
    packet = _EMPTY_RDF.sub(b"<rdf:RDF %b></rdf:RDF>" % _RDF, packet)
    if not _RDF_START.search(packet) or not _RDF_END.search(packet):
        raise ValueError("no RDF in it")
    return packet


def with_note(packet: bytes, note: str | None) -> bytes:
    """A packet, or none, with a word on what made the drawing in the place of a former one.

    `packet` is one of `in_utf8`, or empty. Without a note, and without anything else in it, it is empty.
    """
    packet = _OUR_DESCRIPTION.sub(b"", packet)
    if note is None:
        return packet if _DESCRIPTION.search(packet) else b""
    said = b"%b=%b" % (_NOTE, quoteattr(note).encode())
    if not packet:
        return b"".join([_HEAD, _OPEN, _description(b"", b"toonify", _OURS.encode(), said), _CLOSE, _TAIL])
    return _added(packet, _description(packet, b"toonify", _OURS.encode(), said))


def note_of(packet: bytes) -> str | None:
    """What `with_note` has put into a packet; None where there is none."""
    found = _OUR_VALUE.search(packet)
    if found is None:
        return None
    value = next(filter(None, found.groups()), b"")
    return html.unescape(value.decode("utf-8", "replace"))


def joined(packet: bytes, segments: Iterable[bytes]) -> tuple[bytes, bool]:
    """A JPEG's packet together with its extended XMP, and whether all of that is there.

    `segments` are the bodies of APP1 segments, of which those that belong to the packet are taken.
    """
    guid = _GUID.search(packet)
    if guid is None:
        return packet, True
    head = _EXTENSION + guid[1]
    parts = {
        int.from_bytes(body[len(head) + 4 : len(head) + 8]): body[len(head) + 8 :]
        for body in segments
        if body.startswith(head)
    }
    wanted = {int.from_bytes(body[len(head) : len(head) + 4]) for body in segments if body.startswith(head)}
    whole = b"".join(parts[place] for place in sorted(parts))
    start, end = _RDF_START.search(whole), _last(_RDF_END, whole)
    if wanted != {len(whole)} or start is None or end is None or not _RDF_END.search(packet):
        return packet, False
    outer = _META_START.search(whole)
    names = dict(_NAMESPACE.findall((outer[0] if outer else b"") + start[0]))
    inner = _DESCRIPTION.sub(lambda found: _declaring(found[0], names), whole[start.end() : end.start()])
    return _added(packet, inner), True


def split(packet: bytes, limit: int) -> tuple[bytes, bytes]:
    """A packet of at most `limit` bytes, and the extended XMP that is the rest: nothing where all of it fits.

    The largest properties go, as few as need be, and never the word on what made the drawing. Raises ValueError if it
    is not well-formed, or cannot be split so.
    """
    if len(packet) <= limit:
        return packet, b""
    packet = _without_padding(packet)
    if len(packet) <= limit:
        return packet, b""
    descriptions = _parsed(packet)
    properties = sorted((part for each in descriptions for part in each.parts), key=_length, reverse=True)
    room = limit - len(_description(packet, b"xmpNote", b"", b"")) - 100
    size, moved = len(packet), set()
    for start, end in properties:
        if size <= room:
            break
        moved.add((start, end))
        size -= end - start
    if size > room:
        raise ValueError("its properties are too long")
    kept, taken, place = [], [], 0
    for each in descriptions:
        out = [part for part in each.parts if part in moved]
        content = b"".join(packet[start:end] for start, end in out)
        if out and len(out) == len(each.parts) and not each.has_attributes(packet):
            out, content = [(each.start, each.end)], packet[each.start : each.end]
        elif out:
            content = each.bare_tag(packet) + content + each.end_tag
        taken.append(content)
        for start, end in out:
            kept.append(packet[place:start])
            place = end
    outer = b"".join(b" %b=%b" % each for each in _outer_names(packet).items() if each[0] != b"xmlns:rdf")
    extended = _OPEN.replace(b">", outer + b">", 1) + b"".join(taken) + _CLOSE
    guid = hashlib.md5(extended, usedforsecurity=False).hexdigest().upper().encode()
    main = b"".join([*kept, packet[place:]])
    said = b'%b="%b"' % (_EXTENDED, guid)
    return _added(main, _description(packet, b"xmpNote", b"http://ns.adobe.com/xmp/note/", said)), extended


def extension_segments(extended: bytes) -> list[bytes]:
    """The bodies of the APP1 segments that hold extended XMP."""
    guid = hashlib.md5(extended, usedforsecurity=False).hexdigest().upper().encode()
    return [
        b"".join([_EXTENSION, guid, len(extended).to_bytes(4), place.to_bytes(4), extended[place:][:_LONGEST_PART]])
        for place in range(0, len(extended), _LONGEST_PART)
    ]


@dataclass(frozen=True)
class _Description:
    """A description of a packet by its places."""

    start: int
    end: int
    parts: tuple[tuple[int, int], ...]  # its properties; itself, if it has none in elements of their own
    end_tag: bytes

    def _attributes(self, packet: bytes) -> list[bytes]:
        return re.findall(_ATTRIBUTE, packet[self.start : self.parts[0][0]])

    def has_attributes(self, packet: bytes) -> bool:
        """Whether it has properties that are attributes beside those in elements."""
        return any(not _is_frame(each) for each in self._attributes(packet))

    def bare_tag(self, packet: bytes) -> bytes:
        """Its start without the properties that are attributes."""
        name = packet[self.start : self.end].split(None, 1)[0].rstrip(b">")
        return name + b"".join(each for each in self._attributes(packet) if _is_frame(each)) + b">"


def _is_frame(attribute: bytes) -> bool:
    """Whether an attribute is no property: a name space, or what is described."""
    return attribute.lstrip().startswith(b"xmlns") or _ABOUT.match(attribute) is not None


def _parsed(packet: bytes) -> list[_Description]:
    """The descriptions of a packet, without ours. Raises ValueError if it is not well-formed."""
    parser = expat.ParserCreate()
    depths: list[str] = []
    places: list[tuple[int, str, int]] = []  # depth below RDF (1: descriptions, 2: properties), start or end, place

    def below() -> int:
        return next((len(depths) - 1 - at for at, name in enumerate(depths) if name.rpartition(":")[2] == "RDF"), -1)

    def start(name: str, attributes: dict[str, str]) -> None:
        depths.append(name)
        if below() in (1, 2):
            ours = _NOTE.decode() in attributes
            places.append((below(), "ours" if ours else "start", parser.CurrentByteIndex))

    def end(name: str) -> None:
        if below() in (0, 1):
            places.append((below(), "end", parser.CurrentByteIndex))
        depths.pop()

    parser.StartElementHandler, parser.EndElementHandler = start, end
    try:
        parser.Parse(packet.strip(b"\0"), True)
    except expat.ExpatError as error:
        raise ValueError(str(error)) from error
    found = []
    starts = [number for number, (depth, kind, _) in enumerate(places) if depth == 1 and kind == "start"]
    for number in starts:
        place = places[number][2]
        inner = []
        at = number + 1
        while places[at][0] == 2:
            inner.append(places[at][2])
            at += 1
        end_at, following = places[at][2], places[at + 1][2]
        if inner:
            parts = tuple(zip(inner, [*inner[1:], end_at], strict=True))
            end_place = packet.index(b">", end_at) + 1
            found.append(_Description(place, end_place, parts, packet[end_at:end_place]))
        else:
            found.append(_Description(place, following, ((place, following),), b""))
    return found


def _length(part: tuple[int, int]) -> int:
    return part[1] - part[0]


def _last(pattern: re.Pattern[bytes], data: bytes) -> re.Match[bytes] | None:
    return next(iter(reversed([*pattern.finditer(data)])), None)


def _added(packet: bytes, description: bytes) -> bytes:
    """A packet with one description more, behind the others."""
    found = _last(_RDF_END, packet)
    place = len(packet) if found is None else found.start()
    return packet[:place] + description + packet[place:]


def _description(packet: bytes, prefix: bytes, namespace: bytes, said: bytes) -> bytes:
    """A description with one property, of the same thing as the others of a packet (part 1, 7.4)."""
    about = _ABOUT.search(packet)
    value = b'""' if about is None else about[2]
    return b'<rdf:Description %b rdf:about=%b xmlns:%b="%b" %b/>' % (_RDF, value, prefix, namespace, said)


def _outer_names(packet: bytes) -> dict[bytes, bytes]:
    """The name spaces that are declared around a packet's descriptions."""
    tags = (pattern.search(packet) for pattern in (_META_START, _RDF_START))
    return {name: value for tag in tags if tag for name, value in _NAMESPACE.findall(tag[0]) if name != b"xmlns:x"}


def _declaring(tag: bytes, names: dict[bytes, bytes]) -> bytes:
    """A start tag that declares name spaces itself."""
    there = {name for name, _ in _NAMESPACE.findall(tag)}
    added = b"".join(b" %b=%b" % each for each in names.items() if each[0] not in there | {b"xmlns:x"})
    end = len(tag) - (2 if tag.endswith(b"/>") else 1)
    return tag[:end] + added + tag[end:]


def _without_padding(packet: bytes) -> bytes:
    """A packet without the room that programs leave at its end."""
    return re.sub(rb"\s{16,}(<\?xpacket end)", rb"\n\1", packet)
