#!/usr/bin/env python3
"""A stand-in for the national gateway, written apart from Fenghuo: it verifies, keeps a ledger, and misbehaves on command.

It stands behind nginx, which has the client's certificate checked. What it verifies comes from the description of the
protocol (headers gjgxjhpt_rid, _sid, _rtime, _sign; sign = Base64(HMAC(secret, sid + rid + rtime))), with `cryptography` of
the Python world for HMAC-SHA256, HMAC-SM3, SM3 and AES. A request that is older or newer than ten minutes, or that comes a
second time with the same rtime, is refused.

    national.py PORT CONTROL_PORT LEDGER      serves on 127.0.0.1; the control port is for the suite, not behind nginx

The ledger is one JSON line for each effect: what the far end has acted on, in the order in which it did.
Faults are drawn by share for each POST: see FAULTS. `POST /` on the control port merges its JSON into the settings.
"""

import base64
import collections
import email.utils
import json
import random
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

from cryptography.hazmat.primitives import hashes, hmac, padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

WINDOW_MS = 600_000
# What can go wrong with a POST, and whether the far end has taken the message by then.
FAULTS = {
    "late": "takes it, answers after the client's patience is over",
    "late_before": "waits until the client's patience is over, then takes it",
    "twice": "takes it, and its answer comes twice in one body",
    "stale": "takes it, and answers with the receipt of another message",
    "lost": "takes it, and the connection ends without an answer",
    "forged": "takes it, and signs the receipt with another secret",
    "unsigned": "takes it, and answers without a receipt",
    "cut": "takes it, and sends half of the answer",
    "broken": "does not take it: 500",
    "busy": "does not take it: 503 with Retry-After",
    "reset": "does not take it, and the connection ends",
}


class National:
    """What the far end knows; one lock for all of it."""

    def __init__(self, ledger_path):
        self.lock = threading.Lock()
        self.ledger = open(ledger_path, "a", encoding="utf-8")
        self.effects = collections.OrderedDict()  # id -> (sm3, number, accepted_at)
        self.copies = []  # (id, sm3) of copies that were taken as something new
        self.last_no = {}  # subject -> lane_no
        self.seen = set()  # (rid, sid, rtime)
        self.counts = collections.Counter()
        self.violations = []
        self.chance = random.Random(2026)
        self.secret = b"the-first-secret-of-the-gateway"
        self.rotations = 0
        self.settings = {
            "algorithm": "sm3",
            "app_key": "0123456789abcdef",
            "faults": {},
            "patience_s": 2.0,
            "down": False,
            "ignore_keys": False,
            "refused_subjects": [],
            "clock_ms": 0,
            "secret_lives_ms": 3_600_000,
        }

    def now_ms(self):
        return int(time.time() * 1000) + self.settings["clock_ms"]

    def mac(self, secret, text, algorithm=None):
        kind = hashes.SM3() if (algorithm or self.settings["algorithm"]) == "sm3" else hashes.SHA256()
        h = hmac.HMAC(secret, kind)
        h.update(text.encode())
        return base64.b64encode(h.finalize()).decode()

    def seal(self):
        pad = padding.PKCS7(128).padder()
        text = pad.update(self.secret) + pad.finalize()
        enc = Cipher(algorithms.AES(self.settings["app_key"].encode()), modes.ECB()).encryptor()
        return base64.b64encode(enc.update(text) + enc.finalize()).decode()

    def verify(self, headers, secret):
        """Why a request is refused, or nothing."""
        rid, sid = headers.get("gjgxjhpt_rid", ""), headers.get("gjgxjhpt_sid", "")
        rtime, sign = headers.get("gjgxjhpt_rtime", ""), headers.get("gjgxjhpt_sign", "")
        if not (rid and sid and rtime.isdigit() and sign):
            return "header missing"
        if WINDOW_MS < abs(self.now_ms() - int(rtime)):
            return "rtime outside of ten minutes"
        if sign != self.mac(secret, sid + rid + rtime):
            return "bad sign"
        with self.lock:
            if (rid, sid, rtime) in self.seen:
                return "replay"
            self.seen.add((rid, sid, rtime))
        return None

    def take(self, key, body):
        """The effect of a message: once for a key, unless keys are ignored. Returns the slip, or None for other bytes."""
        digest = hashes.Hash(hashes.SM3())
        digest.update(body)
        sm3 = digest.finalize().hex()
        message = json.loads(body)
        subject, lane_no = message["subject"], message["lane_no"]
        with self.lock:
            known = self.effects.get(key)
            if known and not self.settings["ignore_keys"]:
                self.counts["copies"] += 1
                if known[0] != sm3:
                    self.violations.append(f"{key}: other bytes under the same key")
                    return None
                return known
            if message["id"] != key:
                self.violations.append(f"{key}: another id in the body")
            if known:
                self.copies.append((key, sm3))
            else:
                if lane_no != self.last_no.get(subject, 0) + 1:
                    self.violations.append(f"{subject}: {lane_no} after {self.last_no.get(subject, 0)}")
                self.last_no[subject] = lane_no
                stamp = time.strftime("%Y-%m-%dT%H:%M:%S+08:00")
                known = self.effects[key] = (sm3, f"GJ{len(self.effects) + 1:08}", stamp)
            line = {"id": key, "sm3": sm3, "subject": subject, "lane_no": lane_no}
            line |= {name: message[name] for name in ("kind", "record", "operation")}
            self.ledger.write(json.dumps(line) + "\n")
            self.ledger.flush()
            return known

    def slip(self, key, known, secret=None):
        sm3, number, stamp = known
        sign = self.mac(secret or self.secret, key + sm3 + number + stamp)
        return {"id": key, "sm3": sm3, "number": number, "accepted_at": stamp, "sign": sign}

    def drawn(self):
        """A fault for this request, or nothing."""
        with self.lock:
            at = self.chance.random()
        for name, share in self.settings["faults"].items():
            if at < share:
                return name
            at -= share
        return None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    national = None

    def log_message(self, *_):
        pass

    def date_time_string(self, timestamp=None):
        return email.utils.formatdate(self.national.now_ms() / 1000, usegmt=True)

    def answer(self, status, value, extra=(), raw=None):
        body = raw if raw is not None else json.dumps(value, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        for name, text in extra:
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def hang_up(self):
        self.close_connection = True
        self.connection.close()

    def is_known(self, secret):
        why = self.national.verify(self.headers, secret)
        if why:
            self.national.counts[f"denied: {why}"] += 1
            self.answer(401, {"code": "401", "message": why})
        return not why

    def do_GET(self):
        national = self.national
        url = urlparse(self.path)
        if url.path == "/secret":
            if self.is_known(national.settings["app_key"].encode()):
                end = national.now_ms() + national.settings["secret_lives_ms"]
                self.answer(200, {"code": "0", "secret": national.seal(), "secretEndTime": end})
            return
        if not self.is_known(national.secret):
            return
        if national.settings["down"]:
            self.answer(503, {"code": "503", "message": "maintenance"}, [("retry-after", "1")])
            return
        if url.path == "/fxyj/list":
            with national.lock:
                held = [(key, known[0]) for key, known in national.effects.items()] + national.copies
            text = "".join(json.dumps({"id": key, "sm3": sm3}) + "\n" for key, sm3 in held)
            self.answer(200, None, raw=text.encode())
            return
        key = parse_qs(url.query).get("id", [""])[0]
        known = national.effects.get(key)
        national.counts["asked"] += 1
        if not known:
            self.answer(404, {"code": "404", "message": "unknown id"})
        else:
            self.answer(200, {"code": "0", "receipt": national.slip(key, known)})

    def do_POST(self):
        national = self.national
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        if not self.is_known(national.secret):
            return
        national.counts["posted"] += 1
        settings = national.settings
        if settings["down"]:
            self.answer(503, {"code": "503", "message": "maintenance"}, [("retry-after", "1")])
            return
        key = self.headers.get("idempotency-key", "")
        if json.loads(body)["subject"] in settings["refused_subjects"]:
            national.counts["refused"] += 1
            self.answer(422, {"code": "422", "message": "查无此主体"})
            return
        fault = national.drawn()
        if fault:
            national.counts[f"fault: {fault}"] += 1
        if fault == "broken":
            self.answer(500, {"code": "500", "message": "oops"})
        elif fault == "busy":
            self.answer(503, {"code": "503", "message": "busy"}, [("retry-after", "1")])
        elif fault == "reset":
            self.hang_up()
        else:
            self.take(key, body, fault)

    def take(self, key, body, fault):
        national = self.national
        if fault == "late_before":
            time.sleep(national.settings["patience_s"])
        known = national.take(key, body)
        if not known:
            self.answer(409, {"code": "409", "message": "other bytes under this key"})
            return
        good = {"code": "0", "receipt": national.slip(key, known)}
        text = json.dumps(good).encode()
        if fault == "lost":
            self.hang_up()
        elif fault == "late":
            time.sleep(national.settings["patience_s"])
            self.answer(200, good)
        elif fault == "twice":
            self.answer(200, None, raw=text + text)
        elif fault == "stale":
            with national.lock:
                other = next(iter(national.effects))
            self.answer(200, {"code": "0", "receipt": national.slip(other, national.effects[other])})
        elif fault == "forged":
            self.answer(200, {"code": "0", "receipt": national.slip(key, known, b"not the secret")})
        elif fault == "unsigned":
            self.answer(200, {"code": "0"})
        elif fault == "cut":
            self.send_response(200)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text[: len(text) // 2])
            self.hang_up()
        else:
            self.answer(200, good)


class Control(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    national = None

    def log_message(self, *_):
        pass

    def do_POST(self):
        national = self.national
        order = json.loads(self.rfile.read(int(self.headers.get("content-length", "0"))))
        if order.pop("rotate", False):
            national.rotations += 1
            national.secret = f"secret-number-{national.rotations}-of-the-gateway".encode()
        forget = order.pop("forget", None)
        if forget:
            with national.lock:
                national.effects.pop(forget)
        national.settings.update(order)
        self.do_GET()

    def do_GET(self):
        national = self.national
        with national.lock:
            state = {
                "effects": len(national.effects),
                "copies": len(national.copies),
                "counts": dict(national.counts),
                "violations": national.violations[:20],
                "rotations": national.rotations,
            }
        body = json.dumps(state, ensure_ascii=False).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        pass  # a connection that a fault has ended


def main():
    port, control_port, ledger = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    Handler.national = Control.national = National(ledger)
    control = Server(("127.0.0.1", control_port), Control)
    threading.Thread(target=control.serve_forever, daemon=True).start()
    Server(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main()
