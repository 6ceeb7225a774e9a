#!/usr/bin/env python3
"""Fenghuo against far ends that are not Fenghuo's: nginx in front of national.py, OpenSSL, PostgreSQL. Called by `.ci/gateway`.

    suite.py FENGHUO [SCENE...]     scenes: see SCENES; all when none is named

Each scene starts from nothing, on loopback, in a directory of its own, and ends what it started. It stops at the first
thing that is not as it should be.

FENGHUO_GATEWAY_WARNINGS (10000), FENGHUO_GATEWAY_KILLS (50) and FENGHUO_GATEWAY_SEED (2026) size the scene `killed`.
"""

import collections
import base64
import contextlib
import csv
import datetime
import ipaddress
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

HERE = pathlib.Path(__file__).resolve().parent
WARNINGS = int(os.environ.get("FENGHUO_GATEWAY_WARNINGS", "10000"))
KILLS = int(os.environ.get("FENGHUO_GATEWAY_KILLS", "50"))
SEED = int(os.environ.get("FENGHUO_GATEWAY_SEED", "2026"))
TIMEOUT_MS = 800


def say(text):
    print(f"    {text}", flush=True)


def check(holds, text):
    if not holds:
        raise SystemExit(f"error: {text}")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def within(seconds, holds):
    """Waits for something, and not forever; what it was, or nothing."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        got = holds()
        if got:
            return got
        time.sleep(0.03)
    return None


def until(what, seconds, holds):
    """Waits for something that has to come."""
    return within(seconds, holds) or sys.exit(f"error: {what} did not come within {seconds} s")


class Certificates:
    """An authority, and what it vouches for: valid and expired, for both sides."""

    def __init__(self, folder):
        self.folder = folder
        self.key, self.cert = self.make("ca", None)
        for name in ("server", "client"):
            self.make(name, self, days=(-2, 30))
            self.make(f"{name}-expired", self, days=(-30, -1))

    def make(self, name, issuer, days=(-2, 30)):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"exchange {name}")])
        now = datetime.datetime.utcnow()
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.cert.subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + datetime.timedelta(days=days[0]))
            .not_valid_after(now + datetime.timedelta(days=days[1]))
            .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        )
        if issuer:
            usage = ExtendedKeyUsageOID.SERVER_AUTH if "server" in name else ExtendedKeyUsageOID.CLIENT_AUTH
            address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
        cert = builder.sign(issuer.key if issuer else key, hashes.SHA256())
        (self.folder / f"{name}.crt").write_bytes(cert.public_bytes(serialization.Encoding.PEM))
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        private(self.folder / f"{name}.key", pem)
        return key, cert


def private(path, data):
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    path.chmod(0o600)


NGINX = """
user root;
worker_processes 1;
pid {work}/nginx.pid;
error_log {work}/nginx.log warn;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {work}/nginx-body;
    proxy_temp_path {work}/nginx-proxy;
    fastcgi_temp_path {work}/nginx-fastcgi;
    scgi_temp_path {work}/nginx-scgi;
    uwsgi_temp_path {work}/nginx-uwsgi;
    underscores_in_headers on;
    upstream verifier {{ server 127.0.0.1:{verifier}; keepalive 32; }}
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {work}/{server}.crt;
        ssl_certificate_key {work}/{server}.key;
        ssl_client_certificate {work}/ca.crt;
        ssl_verify_client on;
        location / {{
            proxy_pass http://verifier;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_pass_header Date;
            proxy_next_upstream off;
        }}
    }}
}}
"""

CONFIG = """
[engine]
state = "state"
shards = 4
clock = "events"

[rules]
dir = "rules"

[connectors]
dir = "connectors"

[[source]]
kind = "directory"
connector = "orders"
path = "feed"

[[source]]
kind = "directory"
connector = "acts"
path = "acts"

[sinks.file]
dir = "out"

[exchange]
parallel = 16
sends = {sends}

{way}
"""

GATEWAY = """
[exchange.gateway]
url = "https://127.0.0.1:{port}/fxyj"
rid = "js-fenghuo"
sid = "s_3200000000000_0001"
algorithm = "{algorithm}"
{secret}
tls_cert = "{client}.crt"
tls_key = "{client}.key"
ca = "ca.crt"
timeout_ms = {timeout}
"""


class Far:
    """nginx and the verifier behind it."""

    def __init__(self, work):
        self.work = work
        self.port, self.verifier, self.control_port = free_port(), free_port(), free_port()
        self.command = [sys.executable, str(HERE / "national.py")]
        arguments = [str(self.verifier), str(self.control_port), str(work / "ledger.jsonl")]
        self.python = subprocess.Popen(self.command + arguments, stderr=open(work / "national.log", "w"))
        self.configure("server")
        self.nginx = subprocess.Popen(["nginx", "-c", str(work / "nginx.conf"), "-g", "daemon off;"])
        until("the gateway", 20, self.answers)

    def configure(self, server):
        text = NGINX.format(work=self.work, port=self.port, verifier=self.verifier, server=server)
        (self.work / "nginx.conf").write_text(text)

    def answers(self):
        try:
            self.state()
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def certificate(self, server):
        """Shows another certificate from now on."""
        self.configure(server)
        self.nginx.send_signal(signal.SIGHUP)

    def set(self, **order):
        url = f"http://127.0.0.1:{self.control_port}/"
        request = urllib.request.Request(url, json.dumps(order).encode(), method="POST")
        return json.load(urllib.request.urlopen(request, timeout=10))

    def state(self):
        return json.load(urllib.request.urlopen(f"http://127.0.0.1:{self.control_port}/", timeout=10))

    def close(self):
        for process in (self.nginx, self.python):
            process.terminate()
            process.wait(20)

    def ledger(self):
        return [json.loads(line) for line in (self.work / "ledger.jsonl").read_text().splitlines()]


class Engine:
    """The command under test, in a directory of its own."""

    def __init__(self, fenghuo, work):
        self.fenghuo, self.work, self.process = fenghuo, work, None
        self.log = work / "fenghuo.log"
        self.day = 0
        for name in ("feed", "acts", "connectors", "rules"):
            (work / name).mkdir()
        (work / "rules" / "complaint").mkdir()
        copies = {path: work / "rules" / path.name for path in (HERE.parents[1] / "rules").glob("*.toml")}
        copies[HERE / "every.rhai"] = work / "rules" / "complaint" / "every.rhai"
        for name in ("orders.toml", "acts.toml"):
            copies[HERE / name] = work / "connectors" / name
        for path, copy in copies.items():
            copy.write_bytes(path.read_bytes())

    def configure(self, port, algorithm="hmac-sm3", client="client", secret=None):
        refresh = f'secret_url = "https://127.0.0.1:{port}/secret"\napp_key_file = "app.key"'
        private(self.work / "app.key", "0123456789abcdef")
        self.go_by(GATEWAY.format(
            port=port, algorithm=algorithm, client=client, secret=secret or refresh, timeout=TIMEOUT_MS
        ), ["warning"])

    def go_by(self, way, sends=("warning", "task", "measure", "record")):
        (self.work / "fenghuo.toml").write_text(CONFIG.format(way=way, sends=json.dumps(list(sends))))

    def start(self):
        self.started = time.time()
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(
                [self.fenghuo, "run", "--config", str(self.work / "fenghuo.toml")], stdout=log, stderr=log
            )

    def kill(self):
        check(self.process.poll() is None, f"the engine has ended by itself: {self.tail()}")
        self.process.kill()
        self.process.wait(20)

    def stop(self):
        self.process.terminate()
        check(self.process.wait(60) == 0, f"the engine did not stop well: {self.tail()}")

    def tail(self):
        return "".join(self.log.read_text().splitlines(keepends=True)[-5:])

    def ask(self, *words):
        done = subprocess.run(
            [self.fenghuo, "exchange", *words, "--config", str(self.work / "fenghuo.toml"), "--format", "json"],
            capture_output=True, text=True, timeout=120,
        )
        check(done.returncode in (0, 1, 2), f"fenghuo exchange {' '.join(words)}: {done.stderr}")
        return (json.loads(done.stdout) if done.stdout.lstrip().startswith("{") else done.stdout), done

    def status(self):
        """What the running engine has written down; nothing before it has."""
        check(self.process.poll() is None, f"the engine has ended by itself: {self.tail()}")
        path = self.work / "exchange" / "status.json"
        try:
            return json.loads(path.read_text()) if self.started < path.stat().st_mtime else {}
        except (OSError, ValueError):
            return {}

    def feed(self, firms):
        """One complaint about each firm, three days after the last, in a new file."""
        self.day += 3
        on = datetime.date(2026, 1, 1) + datetime.timedelta(days=self.day)
        lines = [
            json.dumps({
                "source": "orders", "record_id": f"{self.day}-{firm}", "version": 1, "stream": "complaint",
                "occurred_at": f"{on}T{firm % 24:02}:00:00+08:00", "subjects": [subject(firm)],
                "fields": {"order_no": f"{self.day}-{firm}"},
            })
            for firm in firms
        ]
        self.drop("feed", lines)
        # Every fifth firm is inspected; what was found the time before is taken back.
        acts = [self.act(self.day, firm, on, {}) for firm in firms if firm % 5 == 0]
        acts += [self.act(self.day - 3, firm, on, {"version": 2, "op": "delete"}) for firm in firms if firm % 10 == 0 and 3 < self.day]
        if acts:
            self.drop("acts", acts)

    def act(self, day, firm, on, more):
        return json.dumps({
            "source": "acts", "record_id": f"{day}-{firm}", "version": 1, "stream": "inspection",
            "occurred_at": f"{on}T{firm % 24:02}:00:00+08:00", "subjects": [subject(firm)],
            "fields": {"name": f"firm {firm}", "inspection_no": f"JC-{day}-{firm}", "result": "合格"}, **more,
        })

    def drop(self, folder, lines):
        """A new file, whole at once."""
        part = self.work / f"{self.day}.part"
        part.write_text("\n".join(lines) + "\n")
        part.rename(self.work / folder / f"{self.day:05}.jsonl")

    def told(self):
        """Ids of what has to go, by kind."""
        steps = {"dispatched", "transferred", "reopened", "claimed", "fed_back", "closed", "merged", "withdrawn"}
        told = {"riskWarning": [w["id"] for w in self.warnings()]}
        told["supervisionProcess"] = [t["id"] for t in self.warnings("tasks") if t["step"] in steps]
        told["checkAction"] = [record["id"] for record in self.warnings("records")]
        return told

    def warnings(self, name="warnings"):
        path = self.work / "out" / f"{name}.jsonl"
        text = path.read_text() if path.exists() else ""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def logged(self, words):
        return [line for line in self.log.read_text().splitlines() if words in line]


ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def subject(firm):
    """A firm with a code whose check digits hold (GB 32100, GB 11714)."""
    body = f"{firm:08}"
    inner = 11 - sum(int(c) * w for c, w in zip(body, (3, 7, 9, 10, 5, 8, 4, 2))) % 11
    code = "91320106" + body + {10: "X", 11: "0"}.get(inner, str(inner))
    total = sum(ALPHABET.index(c) * pow(3, i, 31) for i, c in enumerate(code))
    return f"enterprise:{code}{ALPHABET[(31 - total % 31) % 31]}"


@contextlib.contextmanager
def directory():
    with contextlib.ExitStack() as stack:
        kept = os.environ.get("FENGHUO_GATEWAY_KEEP")
        yield pathlib.Path(kept and tempfile.mkdtemp(dir=kept) or stack.enter_context(tempfile.TemporaryDirectory()))


@contextlib.contextmanager
def alone(fenghuo):
    """An engine without a gateway."""
    with directory() as work:
        engine = Engine(fenghuo, work)
        try:
            yield engine
        finally:
            if engine.process and engine.process.poll() is None:
                engine.process.kill()
                engine.process.wait(20)


@contextlib.contextmanager
def scene(fenghuo, **settings):
    with directory() as work:
        Certificates(work)
        far, engine = Far(work), Engine(fenghuo, work)
        try:
            engine.configure(far.port, **settings)
            yield far, engine
        finally:
            if engine.process and engine.process.poll() is None:
                engine.process.kill()
                engine.process.wait(20)
            far.close()


def settled(engine, count, seconds):
    """Waits until so many warnings were told and all have a receipt."""
    def holds():
        status = engine.status()
        return status.get("waiting") == 0 and count <= status.get("receipts", 0) and status
    return until(f"{count} receipts", seconds, holds)


def assert_whole(far, engine):
    """Nothing lost, nothing doubled, order kept, no difference."""
    told, ledger, state = engine.warnings(), far.ledger(), far.state()
    check(not state["violations"], f"the far end found {state['violations']}")
    ids = [line["id"] for line in ledger]
    check(len(ids) == len(set(ids)), f"{len(ids) - len(set(ids))} effects are doubled")
    check(set(ids) == {w["id"] for w in told}, f"{len(told)} were told, {len(ids)} have an effect")
    ours, theirs = collections.defaultdict(list), collections.defaultdict(list)
    for w in told:
        ours[w["subject"]].append(w["id"])
    for line in ledger:
        theirs[line["subject"]].append(line["id"])
    check(ours == theirs, "the order of some subject is another")
    found, done = engine.ask("reconcile")
    check(done.returncode == 0 and found["differences"] == 0, f"reconciliation: {found}")
    check(found["ours"] == len(told), f"{found['ours']} receipts for {len(told)} warnings")
    return len(told), len(ours), found


# What befalls everything at once: a name, what brings it, what ends it, and the word in the log that shows it was met.
TROUBLES = {
    4: ("down", {"down": True}, {"down": False}, "503"),
    6: ("expired certificate", "server-expired", "server", "TLS with the far end fails"),
    8: ("clocks apart", {"clock_ms": 660_000}, {"clock_ms": 0}, "does not know us"),
}


def noted(far, engine, trouble, chance):
    """Brings trouble, waits until the log says that it was met, ends it; whether it did."""
    _, bring, end, words = trouble
    before = len(engine.logged(words))
    change = far.certificate if isinstance(bring, str) else lambda order: far.set(**order)
    time.sleep(chance.uniform(0, 0.5))
    change(bring)
    met = within(4, lambda: before < len(engine.logged(words)))
    change(end)
    return bool(met)


def killed(fenghuo):
    """Ten thousand warnings, faults at every step, the engine killed all the time."""
    chance = random.Random(SEED)
    # A firm gets a complaint on each of eleven days; each is a warning raised, and ended before the next.
    days = 11
    firms = list(range(1, WARNINGS // (2 * days - 1) + 2))
    faults = {
        "late": 0.01, "late_before": 0.005, "twice": 0.01, "stale": 0.01, "lost": 0.02, "forged": 0.01,
        "unsigned": 0.01, "cut": 0.01, "broken": 0.02, "busy": 0.01, "reset": 0.02,
    }
    with scene(fenghuo) as (far, engine):
        refused = [subject(firm) for firm in firms[5:8]]
        far.set(faults=faults, patience_s=TIMEOUT_MS / 1000 * 1.3, refused_subjects=refused)
        began, hit = time.monotonic(), collections.Counter()
        for kill in range(KILLS):
            if kill % max(1, KILLS // days) == 0 and engine.day < 3 * days:
                engine.feed(firms)
            if kill == KILLS // 2:
                # From here on the far end takes each copy as something new, unless it is asked first. It takes its time over some,
                # but less than our patience: what it took longer over no sender could know (see `reconciled`).
                far.set(patience_s=TIMEOUT_MS / 1000 * 0.8)
                time.sleep(TIMEOUT_MS / 1000 * 1.5)
                far.set(ignore_keys=True)
            engine.start()
            trouble = TROUBLES.get(kill % 10)
            if trouble:
                hit[trouble[0]] += noted(far, engine, trouble, chance)
            elif kill % 5 == 1:
                far.set(rotate=True)
            # It dies after so many effects more; at any moment of its work, start-up included.
            enough = far.state()["effects"] + chance.uniform(0, 1.6) * WARNINGS / KILLS
            within(4, lambda: enough <= far.state()["effects"])
            time.sleep(chance.uniform(0, 0.1))
            engine.kill()
        while engine.day < 3 * days:
            engine.feed(firms)
        say(f"{KILLS} kills in {time.monotonic() - began:.0f} s, {far.state()['effects']} effects by then")
        engine.start()
        until("parked subjects", 120, lambda: len(engine.status().get("parked", [])) == len(refused) and
              engine.status()["lanes"] == len(refused))
        check({line["subject"] for line in far.ledger()}.isdisjoint(refused), "a refused subject has an effect")
        check(not engine.ask("status")[1].returncode == 0, "parked lanes are a finding")
        far.set(refused_subjects=[])
        for one in refused:
            engine.ask("retry", one)
        settled(engine, WARNINGS, 180)
        engine.stop()
        warnings, subjects, found = assert_whole(far, engine)
        state = far.state()
        check(WARNINGS <= warnings, f"only {warnings} warnings")
        check(state["copies"] == 0, f"{state['copies']} copies were taken as something new")
        for name in faults:
            check(state["counts"].get(f"fault: {name}"), f"no fault {name} in this run")
        for words in (
            "the national exchange does not answer as it should", "TLS with the far end fails", "the far end refuses this",
            "does not know us", "this machine's clock and the national gateway's differ", "the exchange has a new secret",
            "no usable answer", "a receipt whose signature is bad", "the daily comparison with the far end finds no difference",
        ):
            check(engine.logged(words), f"the log does not say \"{words}\"")
        say(f"{warnings} warnings of {subjects} subjects; {dict(hit)}, secret changed {state['rotations']}x")
        say(f"the far end's counts: {json.dumps(state['counts'], ensure_ascii=False)}")
        say(f"receipts {found['ours']}, held there {found['theirs']}, differences {found['differences']}; "
            f"{time.monotonic() - began:.0f} s")


def sha256(fenghuo):
    """HMAC-SHA256 with a secret in a file, which is changed; and our own certificate, expired."""
    with scene(fenghuo, algorithm="hmac-sha256", secret='secret_file = "gateway.secret"') as (far, engine):
        private(engine.work / "gateway.secret", "the-first-secret-of-the-gateway\n")
        far.set(algorithm="sha256")
        engine.feed(range(1, 101))
        engine.start()
        settled(engine, 100, 60)
        far.set(rotate=True)
        engine.feed(range(1, 101))
        until("a denial in the log", 30, lambda: engine.logged("bad sign"))
        private(engine.work / "gateway.secret", "secret-number-1-of-the-gateway\n")
        settled(engine, 300, 60)
        engine.stop()
        engine.configure(far.port, "hmac-sha256", "client-expired", 'secret_file = "gateway.secret"')
        engine.feed(range(1, 11))
        engine.start()
        until("a word on our certificate", 30, lambda: engine.logged("SSL certificate"))
        until("a message that waits", 10, lambda: engine.status().get("waiting"))
        engine.stop()
        engine.configure(far.port, "hmac-sha256", "client", 'secret_file = "gateway.secret"')
        engine.start()
        settled(engine, 320, 60)
        engine.stop()
        warnings, _, found = assert_whole(far, engine)
        say(f"{warnings} warnings, differences {found['differences']}")


def reconciled(fenghuo):
    """What no sender can prevent is found by the comparison: doubled there, and lost there after a receipt."""
    with scene(fenghuo) as (far, engine):
        far.set(ignore_keys=True, faults={"late_before": 1}, patience_s=TIMEOUT_MS / 1000 * 3)
        engine.feed([1])
        engine.start()
        until("a second copy", 60, lambda: far.state()["copies"])
        far.set(faults={})
        settled(engine, 1, 60)
        engine.feed([2, 3])
        settled(engine, 3, 60)
        engine.stop()
        lost = next(line["id"] for line in far.ledger() if line["subject"] == subject(3))
        far.set(forget=lost)
        found, done = engine.ask("reconcile")
        check(done.returncode == 1 and found["difference"]["lost"] == [lost], f"lost: {found}")
        check(len(found["difference"]["doubled"]) == 1, f"doubled: {found}")
        say(f"differences {found['differences']}: doubled {len(found['difference']['doubled'])}, lost 1")


BATCH = """
[exchange.batch]
out = "batches"
key_file = "sm2.key"
format = "{form}"
rows_max = 150
every_seconds = 0
held_file = "held.jsonl"
"""


def run(*words, **more):
    """A command's output; it has to end well."""
    done = subprocess.run(words, capture_output=True, timeout=60, **more)
    check(done.returncode == 0, f"{' '.join(map(str, words))}: {done.stderr.decode()}{done.stdout.decode()}")
    return done.stdout


def sm3(path):
    return run("openssl", "dgst", "-sm3", "-r", path).split()[0].decode()


def verify(folder, public):
    """What OpenSSL says of a batch's signature."""
    words = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin", "-digest", "sm3"]
    words += ["-pkeyopt", "distid:1234567812345678", "-in", folder / "manifest.json"]
    words += ["-sigfile", folder / "manifest.sig"]
    return subprocess.run(words, capture_output=True, timeout=60).returncode == 0


def rows_of(folder, form):
    if form == "csv":
        with open(folder / "records.csv", newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    return [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]


def worked_and_killed(engine, kills, chance, meanwhile=lambda kill: None):
    """Feeds the engine while it is killed, then lets it end."""
    for kill in range(kills):
        engine.feed(range(1, 61))
        engine.start()
        meanwhile(kill)
        time.sleep(chance.uniform(0.1, 1.5))
        engine.kill()
    engine.start()


def assert_rows(engine, rows):
    """Each message once, in order, with its bytes, as what it is."""
    ids = [row["cd_id"] for row in rows]
    check(len(ids) == len(set(ids)), f"{len(ids) - len(set(ids))} rows are doubled")
    for kind, told in engine.told().items():
        check(sorted(told) == sorted(row["cd_id"] for row in rows if row["kind"] == kind), f"{kind}: not what was told")
        check(told, f"nothing of kind {kind} was told")
    check({row["cd_operation"] for row in rows if row["kind"] == "checkAction"} == {"i", "d"}, "records and what was taken back")
    places = collections.defaultdict(list)
    for row in rows:
        places[row["subject"]].append(int(row["lane_no"]))
        digest = hashes.Hash(hashes.SM3())
        digest.update(row["body"].encode())
        check(digest.finalize().hex() == row["body_sm3"], f"{row['cd_id']}: other bytes than its SM3 says")
        body = json.loads(row["body"])
        check((body["id"], body["operation"]) == (row["cd_id"], row["cd_operation"]), f"{row['cd_id']}: another body")
    check(all(at == list(range(1, len(at) + 1)) for at in places.values()), "the order of some subject is another")


def batch(fenghuo):
    """Signed files, verified by OpenSSL's command line, while the engine is killed."""
    for form in ("csv", "jsonl"):
        with alone(fenghuo) as engine:
            work, public = engine.work, engine.work / "sm2.pub"
            run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:SM2", "-out", work / "sm2.key")
            (work / "sm2.key").chmod(0o600)
            run("openssl", "pkey", "-in", work / "sm2.key", "-pubout", "-out", public)
            engine.go_by(BATCH.format(form=form))
            (work / "held.jsonl").write_text("")
            worked_and_killed(engine, 10, random.Random(SEED))
            until("everything in batches", 60, lambda: engine.status().get("waiting") == 0 and
                  sum(map(len, engine.told().values())) <= engine.status()["receipts"])
            until("a comparison by itself", 30, lambda: engine.logged("does not hold what we have receipts for"))
            engine.stop()
            folders = sorted(path for path in (work / "batches").iterdir() if path.name[0] != ".")
            rows, before = [], ("", "")
            for folder in folders:
                manifest = json.loads((folder / "manifest.json").read_text())
                check(verify(folder, public), f"{folder.name}: OpenSSL does not accept the signature")
                check(manifest["sm3"] == sm3(folder / manifest["file"]), f"{folder.name}: another SM3")
                check((manifest["before"], manifest["before_sm3"]) == before, f"{folder.name}: not after {before}")
                before = (folder.name, sm3(folder / "manifest.json"))
                found = rows_of(folder, form)
                check(len(found) == manifest["rows"] <= 150, f"{folder.name}: {len(found)} rows")
                check({row["cd_batch"] for row in found} == {manifest["cd_batch"]} == {folder.name}, "another cd_batch")
                rows += found
            days = collections.Counter(folder.name[:8] for folder in folders)
            numbers = [f"{day}{n:05}" for day, count in sorted(days.items()) for n in range(1, count + 1)]
            check([folder.name for folder in folders] == numbers, "a number is missing")
            assert_rows(engine, rows)
            held = [json.dumps({"id": row["cd_id"], "sm3": row["body_sm3"]}) for row in rows]
            (work / "held.jsonl").write_text("\n".join(held))
            found, done = engine.ask("reconcile")
            check(done.returncode == 0 and found["ours"] == len(rows), f"reconciliation: {found}")
            (work / "held.jsonl").write_text("\n".join(held[1:]))
            check(engine.ask("reconcile")[0]["difference"]["lost"] == [rows[0]["cd_id"]], "a lost row is not named")
            manifest = folders[0] / "manifest.json"
            manifest.write_text(manifest.read_text().replace('"rows": ', '"rows": 1'))
            check(not verify(folders[0], public), "OpenSSL accepts a manifest that was changed")
            kinds = dict(collections.Counter(row["kind"] for row in rows))
            say(f"{form}: {len(rows)} rows in {len(folders)} batches, 10 kills; {kinds}; all signatures good, differences 0")


DATABASE = """
[exchange.database]
port = {port}
database = "exchange"
user = "fenghuo"
password_file = "password"
table = "jgxt.fxyj_out"
rows_max = 150
timeout_ms = 2000
"""


class Postgres:
    """A server of Debian's, as its own user, in a directory of its own."""

    def __init__(self, work):
        self.bin = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        self.port, self.home = free_port(), work / "postgres"
        self.home.mkdir()
        work.chmod(0o755)
        private(self.home / "password", "the-owner's-password")
        run("chown", "-R", "postgres", self.home)
        self.own("initdb", "-D", self.home / "data", "-A", "scram-sha-256", "-U", "owner", f"--pwfile={self.home}/password")
        self.start()

    def own(self, tool, *words):
        more = {"cwd": self.home, "stdin": subprocess.DEVNULL}
        done = subprocess.run(["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", self.bin / tool, *words],
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=60, **more)
        check(done.returncode == 0, f"{tool}: {done.stderr.decode()}")

    def start(self):
        options = f"-p {self.port} -k {self.home} -c listen_addresses=127.0.0.1"
        self.own("pg_ctl", "-D", self.home / "data", "-w", "-l", self.home / "log", "-o", options, "start")

    def stop(self, how="fast"):
        self.own("pg_ctl", "-D", self.home / "data", "-m", how, "-w", "stop")

    def sql(self, text, database="exchange"):
        words = ["psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "owner", "-d", database, "-Atq"]
        env = {**os.environ, "PGPASSWORD": "the-owner's-password"}
        return run(*words, "-v", "ON_ERROR_STOP=1", "-c", text, env=env).decode()


TABLE = """
CREATE TABLE jgxt.fxyj_out (
    cd_id text PRIMARY KEY, cd_time timestamptz NOT NULL DEFAULT now(), cd_source text NOT NULL, cd_batch text NOT NULL,
    cd_operation char(1) NOT NULL, kind text NOT NULL, record text NOT NULL, subject text NOT NULL,
    lane_no bigint NOT NULL, body_sm3 text NOT NULL, body text NOT NULL);
GRANT SELECT, INSERT ON jgxt.fxyj_out TO fenghuo;
"""


def database(fenghuo):
    """Rows of a front-end database (PostgreSQL), while engine and database are killed."""
    with alone(fenghuo) as engine:
        postgres = Postgres(engine.work)
        try:
            postgres.sql("CREATE DATABASE exchange", "postgres")
            postgres.sql("CREATE ROLE fenghuo LOGIN PASSWORD 'the-right-one'")
            postgres.sql("CREATE SCHEMA jgxt; GRANT USAGE ON SCHEMA jgxt TO fenghuo")
            private(engine.work / "password", "a-wrong-one")
            engine.go_by(DATABASE.format(port=postgres.port))
            engine.feed(range(1, 61))
            engine.start()
            until("a word on the password", 20, lambda: engine.logged("password authentication failed"))
            private(engine.work / "password", "the-right-one")
            until("a word on the table", 20, lambda: engine.logged("the keeper of the database has to make it"))
            engine.kill()
            postgres.sql(TABLE)
            postgres.sql(f"ALTER TABLE jgxt.fxyj_out ADD CONSTRAINT only_known CHECK (subject <> '{subject(7)}')")

            def meanwhile(kill):
                if kill % 3 == 1:
                    postgres.stop("immediate")
                    postgres.start()

            worked_and_killed(engine, 10, random.Random(SEED), meanwhile)
            until("one subject that waits", 90, lambda: engine.status().get("lanes") == 1 and engine.status()["parked"])
            check("only_known" in engine.status()["parked"][0][1], f"{engine.status()}")
            postgres.sql("ALTER TABLE jgxt.fxyj_out DROP CONSTRAINT only_known")
            engine.ask("retry", subject(7))
            until("everything in the table", 60, lambda: engine.status().get("waiting") == 0)
            until("a comparison by itself", 30, lambda: engine.logged("the daily comparison with the far end"))
            engine.stop()
            text = postgres.sql("SELECT row_to_json(t) FROM (SELECT * FROM jgxt.fxyj_out ORDER BY lane_no) t")
            rows = [json.loads(line) for line in text.splitlines()]
            assert_rows(engine, rows)
            found, done = engine.ask("reconcile")
            check(done.returncode == 0 and found["ours"] == len(rows) == found["theirs"], f"reconciliation: {found}")
            postgres.sql(f"UPDATE jgxt.fxyj_out SET body_sm3 = 'other' WHERE cd_id = '{rows[0]['cd_id']}'")
            check(engine.ask("reconcile")[0]["difference"]["changed"] == [rows[0]["cd_id"]], "a changed row is not named")
            batches = postgres.sql("SELECT count(DISTINCT cd_batch) FROM jgxt.fxyj_out").strip()
            kinds = dict(collections.Counter(row["kind"] for row in rows))
            say(f"{len(rows)} rows in {batches} batches, 10 kills of the engine, 3 of the database; {kinds}; differences 0")
        finally:
            postgres.stop("immediate")


NATIONAL = """
[[source]]
kind = "directory"
connector = "national-task"
path = "tasks"

[[source]]
kind = "directory"
connector = "national-warning"
path = "clues"

[[source]]
kind = "directory"
connector = "action"
path = "officers"

[[source]]
kind = "directory"
connector = "feedback"
path = "findings"

[sinks.file]"""


def down(fenghuo):
    """Tasks and warnings from the nation, good and bad, a message of 50 MB among them: dealt with here, never sent back."""
    project = HERE.parents[1]
    with scene(fenghuo) as (far, engine):
        work = engine.work
        for name in ("tasks", "clues", "officers", "findings", "rules/national"):
            (work / name).mkdir()
        copies = {project / f"connectors/{name}.toml": work / f"connectors/{name}.toml" for name in ("national-task", "national-warning", "action", "feedback")}
        copies[project / "rules/national/pushed.rhai"] = work / "rules/national/pushed.rhai"
        for path, copy in copies.items():
            copy.write_bytes(path.read_bytes())
        config = (work / "fenghuo.toml").read_text().replace('["warning"]', '["warning", "task", "measure"]')
        (work / "fenghuo.toml").write_text(config.replace("[sinks.file]", NATIONAL))
        big = base64.b64encode(b"<superviseData><taskInfo><taskNo>" + b"9" * 37_500_000)
        samples = (project / "fixtures/connectors/national-task/records.xml").read_bytes().splitlines()
        # The ending of the first task comes later.
        ending = samples.pop(2)
        (work / "tasks" / "1.xml").write_bytes(b"\n".join([big, *samples]) + b"\n")
        clues = project / "fixtures/connectors/national-warning/records.jsonl"
        (work / "clues" / "1.jsonl").write_bytes(clues.read_bytes())
        engine.feed(range(1, 11))
        engine.start()
        national = lambda: [w for w in engine.warnings() if w["rule_id"] == "GJ-001"]
        steps = lambda: [t for t in engine.warnings("tasks") if t["case_id"].startswith("task:")]
        until("warnings from the nation", 60, lambda: len(national()) >= 1)
        until("tasks from the nation", 60, lambda: len(steps()) >= 2)
        levels = sorted(w["level_code"] for w in national())
        # An officer answers the task that the nation does not end.
        ended = re.search("<taskNo>(.*?)</taskNo>", plain(ending)).group(1)
        task = next(t for t in steps() if t["case_id"] != f"task:{ended}")
        on = {"version": 1, "subjects": [task["subject"]]}
        engine.drop("officers", [json.dumps({
            "source": "fenghuo-action", "record_id": "A1", "stream": "action", "occurred_at": task["at"], **on,
            "fields": {"warning_id": task["case_id"], "act": "claim", "actor": "officer", "actor_role": "officer"},
        })])
        until("a claim", 60, lambda: [t for t in steps() if t["step"] == "claimed"])
        engine.drop("findings", [json.dumps({
            "source": "fenghuo-feedback", "record_id": "F1", "stream": "feedback", "occurred_at": task["at"], **on,
            "fields": {"warning_id": task["case_id"], "verdict": "属实", "unit": "unit"},
        })])
        (work / "tasks" / "2.xml").write_bytes(ending + b"\n")
        until("the end of a task", 60, lambda: [t for t in steps() if t["step"] == "withdrawn"])
        until("feedback", 60, lambda: [t for t in steps() if t["step"] == "fed_back"])
        answers = [t for t in steps() if t["step"] in ("dispatched", "claimed", "fed_back")]
        settled(engine, 10, 60)
        until("answers to the nation", 60, lambda: {t["id"] for t in answers} <= {line["id"] for line in far.ledger()})
        engine.stop()
        codes = collections.Counter(letter["code"] for letter in engine.warnings("dead-letters"))
        check(codes["too_long"] == 1 and codes["bad_xml"] == 4, f"dead letters: {dict(codes)}")
        check(sum(codes.values()) == 8, f"dead letters: {dict(codes)}")
        mine = {t["id"] for t in answers}
        told = {t["id"] for t in national() + [t for t in engine.warnings("tasks") if str(t.get("rule_id")).startswith("GJ-")]} - mine
        sent = {line["id"]: line for line in far.ledger()}
        check(told and not told & sent.keys(), "something that came from the nation went back")
        for step in answers:
            line = sent[step["id"]]
            number = step["case_id"].removeprefix("task:")
            check((line["kind"], line["record"], line["operation"]) == ("supervisionProcess", number, "u"), f"an answer of another kind: {line}")
        check(sent.keys() - mine, "what is ours goes")
        say(f"{len(national())} warnings from the nation, levels {levels}, {len({t['case_id'] for t in steps()})} tasks answered in {len(mine)} messages under "
            f"their numbers; none of {len(told)} other messages sent back, {len(sent) - len(mine)} of ours sent; refused: {dict(codes)}")


def plain(line):
    """A message of the nation, unwrapped."""
    return line.decode() if line.lstrip().startswith(b"<") else base64.b64decode(line).decode()


SCENES = {"sha256": sha256, "down": down, "reconciled": reconciled, "batch": batch, "database": database, "killed": killed}


def main():
    fenghuo, names = os.path.abspath(sys.argv[1]), sys.argv[2:] or list(SCENES)
    for name in names:
        began = time.monotonic()
        print(f"--- {name}: {SCENES[name].__doc__}", flush=True)
        SCENES[name](fenghuo)
        print(f"    {name} holds ({time.monotonic() - began:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
