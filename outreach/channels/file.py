"""Mails as files: one ``.eml`` each in an outbox folder, whole or not there at all."""

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.instants import iso
from outreach.channel import DeliveryError, Handful
from outreach.mail import Outgoing, rule_slug

_ID = re.compile(r"[0-9a-f]{8,64}")


class FileChannel:
    """Writes mails into ``folder``, which is made when the first one comes.

    A name is due instant, rule and outreach id, never an address: ``20260312T080000Z-orientation-tomorrow-ID.eml``. A
    file is written under another name, brought to the disk and renamed, so that a crash leaves no half mail. An id that
    has a file gets no second one.
    """

    local = True
    handful = Handful(together=25)

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # Which outbox: a run on another one must not take a mail under way here for one that was left behind.
        self.name = "file-" + hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]
        self._ids: set[str] | None = None

    @contextmanager
    def session(self) -> Iterator[None]:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = (self._folder / ".lock").open("w")
        except OSError as err:
            raise _unwritable(err) from err
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel lets go of it when a process is killed
            except OSError as err:
                message = "outbox: another sender is writing to it; found its lock; wait until it is done"
                raise DeliveryError(message, "later") from err
            self._ids = None
            yield

    def has(self, mail_id: str) -> bool:
        if self._ids is None:
            self._ids = {path.stem.rpartition("-")[2] for path in self._folder.glob("*.eml")}
        return _id(mail_id) in self._ids

    def deliver(self, mail: Outgoing) -> str | None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / file_name(mail)
            if not path.exists() and not self.has(mail.mail_id):
                _write(path, mail.raw)
            if self._ids is not None:
                self._ids.add(_id(mail.mail_id))
        except OSError as err:
            raise _unwritable(err) from err
        return None


def file_name(mail: Outgoing) -> str:
    """Name a mail's file so that a listing is in order of due time."""
    due = re.sub(r"[^0-9TZ]", "", iso(mail.due_at)[:19] + "Z")
    return f"{due}-{rule_slug(mail.rule)}-{_id(mail.mail_id)}.eml"


def _unwritable(err: OSError) -> DeliveryError:
    return DeliveryError(f"outbox: it cannot be written to; {err.strerror}; mend the folder and send again", "later")


def _id(mail_id: str) -> str:
    return mail_id if _ID.fullmatch(mail_id) else hashlib.sha256(mail_id.encode()).hexdigest()[:32]


def _write(path: Path, raw: bytes) -> None:
    half = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with half.open("wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        half.replace(path)
    finally:
        half.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
