"""A server that behaves as SendGrid does (the facts are in its pages on mail send and on the Event Webhook).

It validates like the API, takes mails or fails in every way that is known, and posts signed events about what it took.
"""

import base64
import json
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

import urllib3
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

KEY = "SG.a-key-for-tests"
Mode = Literal[
    "ok", "drop-after", "drop-before", "500-after", "500-before", "502", "503", "503-plain", "504", "slow-after",
    "429", "200", "redirect", "400", "401", "403", "404", "413", "451",
]  # fmt: skip
ACCEPTS: frozenset[Mode] = frozenset({"ok", "drop-after", "500-after", "slow-after"})
_WORDS = {
    "400": "Bad Request",
    "401": "The provided authorization grant is invalid, expired, or revoked",
    "403": "The from address does not match a verified Sender Identity",
    "404": "not found",
    "413": "too large",
    "451": "unavailable for legal reasons",
    "429": "too many requests",
    "503": "service unavailable",
}
_RESERVED = {
    "x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type", "content-transfer-encoding", "to", "from",
    "subject", "reply-to", "cc", "bcc",
}  # fmt: skip
SIGNATURE = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP = "X-Twilio-Email-Event-Webhook-Timestamp"


class Signer:
    """Signs batches of events as SendGrid does: ECDSA P-256 over SHA-256 of timestamp and body."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        public = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.public = base64.b64encode(public).decode()

    def headers(self, body: bytes, *, at: float | None = None) -> dict[str, str]:
        stamp = str(int(time.time() if at is None else at))
        signature = self._key.sign(stamp.encode() + body, ec.ECDSA(hashes.SHA256()))
        return {SIGNATURE: base64.b64encode(signature).decode(), TIMESTAMP: stamp}


class FakeSendGrid:
    """One account. ``mode`` says for the n-th request (from 0) what becomes of it; default: all are taken.

    ``taken`` are the payloads that were accepted, by X-Message-Id. With ``webhook`` set, ``flush`` posts the events of
    what was taken since: ``lost`` is the share that never comes, ``twice`` posts each batch again, ``mixed`` shuffles.
    """

    def __init__(self, *, seed: int = 1) -> None:
        self.taken: dict[str, dict[str, Any]] = {}
        self.requests = 0
        self.connections: set[object] = set()
        self.mode: Callable[[int], Mode] = lambda _: "ok"
        self.slow_seconds = 1.0
        self.reset = ""
        self.reset_by = "X-RateLimit-Reset"
        """The header that says when a limit is lifted."""
        self.signer = Signer()
        self.webhook: Callable[[bytes, Mapping[str, str]], int] | None = None
        self.lost, self.twice, self.mixed = 0.0, False, False
        self.becomes: Callable[[str], list[dict[str, Any]]] = lambda _: [{"event": "delivered"}]
        """What happens to a mail to this address after ``processed``."""
        self.url = ""
        self.chance = random.Random(seed)
        self._lock = threading.Lock()
        self._untold: list[dict[str, Any]] = []

    def ids(self) -> list[str]:
        """Our ids of the mails that it took, one for each copy."""
        with self._lock:
            return [one["custom_args"]["x_outbox_id"] for one in self.taken.values()]

    def take(self, payload: dict[str, Any]) -> str:
        with self._lock:
            message = f"{len(self.taken):06d}{self.chance.getrandbits(64):016x}"
            self.taken[message] = payload
            (to,) = payload["personalizations"][0]["to"]
            known = {
                "email": to["email"],
                "sg_message_id": f"{message}.recvd-5f8b-1",
                "smtp-id": payload.get("headers", {}).get("Message-ID", "<none@sendgrid.test>"),
                "category": payload.get("categories", []),
                **payload.get("custom_args", {}),
            }
            for more in [{"event": "processed"}, *self.becomes(to["email"])]:
                name = base64.urlsafe_b64encode(self.chance.randbytes(15)).decode()
                self._untold.append({**known, "timestamp": int(time.time()), "sg_event_id": name, **more})
        return message

    def events(self) -> list[dict[str, Any]]:
        """What there is to tell since this was asked last, without what is lost."""
        with self._lock:
            found, self._untold = self._untold, []
        found = [one for one in found if self.chance.random() >= self.lost]
        if self.mixed:
            self.chance.shuffle(found)
        return found

    def flush(self, *, most: int = 500) -> None:
        """Post what there is to tell, signed; what is not taken with a 2xx is posted again with the next flush."""
        events = self.events()
        for batch in (events[at : at + most] for at in range(0, len(events), most)):
            for _ in range(2 if self.twice else 1):
                assert self.webhook is not None
                body = json.dumps(batch, separators=(",", ":")).encode()
                status = self.webhook(body, self.signer.headers(body))
                if not 200 <= status < 300:
                    with self._lock:
                        self._untold[:0] = batch
                    break


def poster(url: str) -> Callable[[bytes, Mapping[str, str]], int]:
    """Post batches to a URL, as SendGrid's servers do; 0 when nobody is there."""
    pool = urllib3.PoolManager(retries=False, timeout=5.0)

    def post(body: bytes, headers: Mapping[str, str]) -> int:
        try:
            told = {**headers, "Content-Type": "application/json"}
            return pool.request("POST", url, body=body, headers=told, redirect=False).status
        except urllib3.exceptions.HTTPError:
            return 0

    return post


def faults(payload: Any) -> list[tuple[str, str]]:
    """What the API would object to, as (field, words)."""
    if not isinstance(payload, dict):
        return [("", "Bad Request")]
    found: list[tuple[str, str]] = []
    personal = payload.get("personalizations")
    if not isinstance(personal, list) or not 1 <= len(personal) <= 1000:
        found.append(("personalizations", "The personalizations field is required and must have at least one"))
        personal = []
    for place, one in enumerate(personal):
        addresses = one.get("to") or []
        if not addresses:
            found.append((f"personalizations.{place}.to", "The to array is required for all personalization objects"))
        for number, to in enumerate(addresses):
            where = f"personalizations.{place}.to.{number}"
            if not re.fullmatch(r"[^@\s<>]+@[^@\s<>]+\.[^@\s<>]+", str(to.get("email", ""))):
                found.append((f"{where}.email", "Does not contain a valid address."))
            if re.search(r"[;,\r\n]", to.get("name", "")):
                found.append((f"{where}.name", "The name may not contain ; or ,"))
        if len({to.get("email", "").lower() for to in addresses}) != len(addresses):
            found.append((f"personalizations.{place}", "Each email address should be unique"))
    if not re.fullmatch(r"[\x21-\x7e]+@[\x21-\x7e]+", (payload.get("from") or {}).get("email", "")):
        found.append(("from.email", "The from email does not contain a valid address."))
    if (
        not isinstance(payload.get("subject"), str)
        or not payload["subject"]
        or re.search(r"[\r\n]", payload["subject"])
    ):
        found.append(("subject", "The subject is required."))
    contents = payload.get("content") or []
    kinds = [one.get("type") for one in contents]
    if not contents or any(not one.get("value") for one in contents):
        found.append(("content", "The content value must be a string at least one character in length."))
    if "text/html" in kinds and "text/plain" in kinds and kinds[0] != "text/plain":
        found.append(("content", "If present, text/plain must be first, followed by text/html"))
    arguments = payload.get("custom_args", {})
    if any(not isinstance(one, str) for one in arguments.values()) or len(json.dumps(arguments)) >= 10_000:
        found.append(("custom_args", "The custom_args values must be strings"))
    for name, value in payload.get("headers", {}).items():
        if name.lower() in _RESERVED or not isinstance(value, str) or not value.isascii():
            found.append((f"headers.{name}", "The header is reserved or no ASCII text"))
    categories = payload.get("categories", [])
    if len(categories) > 10 or len(set(categories)) != len(categories):
        found.append(("categories", "at most 10 unique ones"))
    if any(len(one) > 255 or not one.isascii() for one in categories):
        found.append(("categories", "255 characters of ASCII"))
    return found


@contextmanager
def serving(fake: FakeSendGrid) -> Iterator[FakeSendGrid]:
    """Serve the API of ``fake`` on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            fake.connections.add(self.client_address)
            super().setup()

        def log_message(self, *_: Any) -> None:
            pass

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with fake._lock:
                number, fake.requests = fake.requests, fake.requests + 1
            self._answer(fake.mode(number), body)

        def _answer(self, mode: Mode, body: bytes) -> None:
            if self.path != "/v3/mail/send":
                self._say(404)
                return
            if self.headers.get("Authorization") != f"Bearer {KEY}" or mode == "401":
                self._say(401)
                return
            if len(body) >= 30 * 2**20:
                self._say(413)
                return
            payload = json.loads(body)
            wrong = faults(payload)
            if wrong:
                self._tell(400, {"errors": [{"message": words, "field": field} for field, words in wrong]})
                return
            message = fake.take(payload) if mode in ACCEPTS else ""
            if mode in {"drop-after", "drop-before"}:
                self.close_connection = True
                self.connection.close()
            elif mode == "slow-after":
                time.sleep(fake.slow_seconds)
                self._tell(202, None, {"X-Message-Id": message})
            elif mode == "ok":
                self._tell(202, None, {"X-Message-Id": message})
            elif mode == "redirect":
                self._tell(307, None, {"Location": f"{fake.url}/elsewhere"})
            elif mode == "200":  # what the sandbox says: checked, and thrown away
                self._tell(200, None)
            elif mode == "503-plain":
                self._plain(503)
            elif mode in {"500-after", "500-before"}:
                self._plain(500)
            elif mode == "429":
                self._say(429, {"X-RateLimit-Remaining": "0", fake.reset_by: fake.reset})
            elif mode in {"502", "504"}:
                self._plain(int(mode))
            else:
                self._say(int(mode))

        def _say(self, status: int, headers: Mapping[str, str] | None = None) -> None:
            words = _WORDS[str(status)]
            self._tell(status, {"errors": [{"message": words, "field": None, "help": None}]}, headers)

        def _plain(self, status: int) -> None:
            self._write(status, b"<html>upstream failed</html>", {"Content-Type": "text/html"})

        def _tell(self, status: int, told: Any, headers: Mapping[str, str] | None = None) -> None:
            body = b"" if told is None else json.dumps(told).encode()
            self._write(status, body, {"Content-Type": "application/json", **(headers or {})})

        def _write(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
            try:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except OSError:  # whoever asked is gone
                self.close_connection = True

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        disable_nagle_algorithm = True

        def handle_error(self, *_: Any) -> None:
            """A client that was killed is no news."""

    server = Server(("127.0.0.1", 0), Handler)
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
