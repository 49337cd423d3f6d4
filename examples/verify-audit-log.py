#!/usr/bin/env python3
"""A second verifier of custody's audit log, of what docs/audit.md says, with nothing but Python.

    verify-audit-log.py DIRECTORY [FIRST-PUBLIC-KEY]

Chain, checksums, signatures, changes of key, files and head; not pruned logs, not clocks."""
import hashlib, json, os, re, struct, sys, zlib

P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def recover(data):  # a point from its encoding, RFC 8032, section 5.1.3
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    x2 = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    assert y < P and (x * x - x2) % P == 0, "no point of the curve"
    return (P - x if x & 1 != sign else x, y, 1, x * y % P if x & 1 == sign else (P - x) * y % P)


def add(a, b):
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    return ((f - e) * (h - g) % P, (h + g) * (f + e) % P, (h - g) * (h + g) % P, (f - e) * (f + e) % P)


def times(n, point):
    result = (0, 1, 1, 0)
    while n:
        result, point, n = add(result, point) if n & 1 else result, add(point, point), n >> 1
    return result


BASE = recover((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def signed(key, message, signature, what):
    s = int.from_bytes(signature[32:], "little")
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    a, b = times(s, BASE), add(recover(signature[:32]), times(k, recover(key)))
    same = (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0
    assert s < L and same, f"{what}: the signature does not hold"


def main(directory, pinned=None):
    names = sorted(name for name in os.listdir(directory) if re.fullmatch(r"audit-\d{20}\.log", name))
    sequence = events = 0
    log = previous = key = None
    end = kind = 0
    for name in names:
        with open(os.path.join(directory, name), "rb") as file:
            data = file.read()
        assert data[:8] == b"CUSTAUD1" and sha256(b"custody-audit/file/1\n", data[:64]) == data[64:96], f"{name}: header"
        if log is None:
            log, previous = data[8:24], sha256(b"custody-audit/log/1\n", data[8:24])
        assert data[8:24] == log and data[32:64] == previous and kind in (0, 7), f"{name} does not follow"
        assert struct.unpack("<Q", data[24:32])[0] == sequence + 1 == int(name[6:26]), f"{name}: first record"
        at = 96
        while at < len(data):
            header, sequence = data[at : at + 80], sequence + 1
            magic, length, number, wall, _, _, kind = struct.unpack("<4sIQqQQB", header[:41])
            assert magic == b"\xcaAR\x01" and zlib.crc32(header[:76]) == struct.unpack("<I", header[76:])[0], f"record {sequence}"
            payload, end = data[at + 80 : at + 80 + length], at + 80 + length + 32
            assert number == sequence and header[44:76] == previous, f"record {sequence} is not the next one"
            digest = sha256(b"custody-audit/record/1\n", header[:76], payload)
            assert data[end - 32 : end] == digest, f"record {sequence} was altered"
            said, place = json.loads(payload), log + struct.pack("<Q", sequence) + previous + struct.pack("<q", wall)
            what, raw = f"record {sequence}", lambda field: bytes.fromhex(said[field])
            if kind == 1:
                key = raw("key")
                assert raw("log") == log and pinned in (None, said["key"]), "the first key is another one"
            elif kind in (3, 7):
                assert raw("key") == key, f"{what}: another key signs"
                signed(key, b"custody-audit/%s/1\n" % (b"checkpoint" if kind == 3 else b"closed") + place, raw("signature"), what)
            elif kind == 4:
                assert raw("old") == key, f"{what}: another key hands over"
                message = b"custody-audit/key-rotated/1\n" + place + raw("old") + raw("new")
                signed(raw("old"), message, raw("old_signature"), what)
                signed(raw("new"), message, raw("new_signature"), what)
                key = raw("new")
            events += kind == 2
            at, previous = end, digest
    with open(os.path.join(directory, "head"), "rb") as file:
        slots = file.read()
    slot = max((slots[:240], slots[4096:4336]), key=lambda slot: struct.unpack("<Q", slot[24:32])[0])
    signed(key, b"custody-audit/head/1\n" + slot[:176], slot[176:], "head")
    assert (slot[8:24], slot[32:40], slot[40:72]) == (log, struct.pack("<Q", sequence), previous), "the head is another one"
    print(f"intact: {sequence} records, {events} events, {len(names)} files, head {previous.hex()}")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:3])
    except (AssertionError, OSError, ValueError, KeyError, struct.error) as error:
        sys.exit(f"NOT what was written: {error}")
