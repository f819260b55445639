"""Mails over SMTP: one connection for a run, and for each mail an answer that says what is known of it.

Facts: RFC 5321 (replies: 4.2.1, the transfer of responsibility at the end of DATA: 6.1), DELIVERY 5.
"""

import re
import smtplib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from outreach.channel import DeliveryError, Handful, Verdict
from outreach.channels.deadline import Deadlines, Limit
from outreach.channels.dkim_signing import Signer
from outreach.channels.smtp_server import SmtpServer
from outreach.mail import Outgoing

ANSWER_SECONDS = 15.0
"""How long the server may take to answer anything but a whole mail."""
TAKE_SECONDS = 60.0
"""How long it may take to answer a whole mail; servers look for spam before they do."""
ALL_SECONDS = 150.0
"""How long all of it may take for one mail, however busily the server answers; a sender's lease is twice that."""
_OK, _CLOSING = 250, 421
_NOT_NOW, _NEVER = range(400, 500), range(500, 600)
_ENHANCED = re.compile(rb"(?:^|\s)([245]\.\d{1,3}\.\d{1,3})(?=\s|$)")


class SmtpChannel:
    """Hands mails to one SMTP server. ``sender`` is the address that bounces come back to; ``sign`` signs each mail."""

    name = "smtp"
    local = False
    handful = Handful(together=5)
    """A server of SMTP never tells what it took: a crash must leave few mails in doubt."""

    def __init__(self, server: SmtpServer, sender: str, *, sign: Signer | None = None) -> None:
        self._server, self._sender, self._sign = server, sender, sign
        self._connection: smtplib.SMTP | None = None
        self._deadlines, self._limit = Deadlines(), Limit(0)

    @contextmanager
    def session(self) -> Iterator[None]:
        try:
            yield
        finally:
            self._close()

    def has(self, mail_id: str) -> bool:
        """Nobody can ask a server of SMTP what it has taken."""
        return False

    def deliver(self, mail: Outgoing) -> str | None:
        raw = mail.raw  # before a word is said: bytes that cannot be made leave nobody in doubt
        raw = raw if self._sign is None else self._sign(raw)
        with self._deadlines.within(ALL_SECONDS) as self._limit:
            self._given(mail.to, raw)
        return None

    def _given(self, to: str, raw: bytes) -> None:
        connection = self._begun()
        try:
            self._accepted(*connection.rcpt(to), "the reader")
        except (smtplib.SMTPException, OSError) as err:
            self._close()
            message = f"smtp: the connection broke before the mail; {_told(err)}"
            raise DeliveryError(message, "down", over_it=True) from err
        self._hand_over(connection, raw)

    def _hand_over(self, connection: smtplib.SMTP, raw: bytes) -> None:
        """From here on the server may have the mail, whatever happens to its answer."""
        if connection.sock is not None:
            connection.sock.settimeout(TAKE_SECONDS)
        try:
            code, text = connection.data(raw)
        except smtplib.SMTPDataError as err:  # an answer before the first byte of the mail: it has none of it
            code, text = err.smtp_code, _bytes(err.smtp_error)
            if not _is_no(code):
                self._close()
                message = f"smtp: the server does not want the mail's text ({code})"
                raise DeliveryError(message, "down", over_it=True) from err
        except (smtplib.SMTPException, OSError) as err:
            self._close()
            raise DeliveryError(f"smtp: no answer to the mail; {_told(err)}", "in_doubt") from err
        else:
            if not _is_yes(code) and not _is_no(code):
                self._close()
                raise DeliveryError("smtp: the server's answer to the mail cannot be understood", "in_doubt")
        if connection.sock is not None:
            connection.sock.settimeout(ANSWER_SECONDS)
        self._accepted(code, text, "the mail")

    def _accepted(self, code: int, text: bytes, what: str) -> None:
        """See that the server said yes; 4xx: not now, 5xx: never."""
        if _is_yes(code):
            return
        if code == _CLOSING or not _is_no(code):
            self._close()
            message = f"smtp: the server closes the connection ({_reply(code, text)})"
            raise DeliveryError(message, "down", over_it=True)
        with suppress(smtplib.SMTPException, OSError):
            if self._connection is not None:
                self._connection.rset()
        verdict: Verdict = "failed" if code in _NEVER else "later"
        raise DeliveryError(f"smtp: the server refused {what} ({_reply(code, text)})", verdict)

    # -- the connection ------------------------------------------------------------------------------------------------
    def _begun(self) -> smtplib.SMTP:
        """A connection that has taken our address: the one at hand, or, if the server closed that, a new one."""
        if self._connection is not None:
            self._limit.sock = self._connection.sock
            with suppress(smtplib.SMTPException, OSError):
                if self._connection.mail(self._sender)[0] == _OK:
                    return self._connection
            self._close()
        connection = self._connected()
        try:
            code, text = connection.mail(self._sender)
        except (smtplib.SMTPException, OSError) as err:
            self._close()
            raise DeliveryError(f"smtp: the connection broke before the mail; {_told(err)}", "down") from err
        if code != _OK:
            self._close()
            message = f"smtp: the server does not take our sender's address ({_reply(code, text)})"
            raise DeliveryError(message, "down", ours=code in _NEVER)
        return connection

    def _connected(self) -> smtplib.SMTP:
        server, domain = self._server, self._sender.rpartition("@")[2]
        where = f"{server.host}:{server.port}"
        try:
            if server.security == "tls":
                connection: smtplib.SMTP = _Secure(self._limit, server, domain, context=self._trust())
            else:
                connection = _Plain(self._limit, server, domain)
            self._connection = connection
            if server.security == "starttls":
                connection.starttls(context=self._trust())
                self._limit.sock = connection.sock
            if server.user is not None:
                connection.login(server.user, server.password or "")
            connection.ehlo_or_helo_if_needed()
        except smtplib.SMTPAuthenticationError as err:
            self._close()
            reply = _reply(err.smtp_code, _bytes(err.smtp_error))
            message = f"smtp: {where} does not let us in ({reply}); look at RINGFIRST_SMTP_USER and its password"
            raise DeliveryError(message, "down", ours=err.smtp_code in _NEVER) from err
        except ssl.SSLError as err:
            self._close()
            message = f"smtp: {where} cannot be trusted; {err.reason or 'TLS failed'}; look at RINGFIRST_SMTP_CA"
            raise DeliveryError(message, "down", ours=isinstance(err, ssl.SSLCertVerificationError)) from err
        except smtplib.SMTPNotSupportedError as err:
            self._close()
            lacks = str(err).rstrip(".")
            message = f"smtp: {where}: {lacks}; RINGFIRST_SMTP_SECURITY can be tls, or none in a network of your own"
            raise DeliveryError(message, "down", ours=True) from err
        except UnicodeError as err:  # smtplib speaks ASCII: not a word of a mail was said yet
            self._close()
            message = f"smtp: {where}: host, RINGFIRST_SMTP_USER or its password has a letter that is not ASCII"
            raise DeliveryError(message, "down", ours=True) from err
        except (smtplib.SMTPException, OSError) as err:
            self._close()
            raise DeliveryError(f"smtp: {where} cannot be reached; {_told(err)}", "down") from err
        return connection

    def _trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._server.ca)

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(smtplib.SMTPException, OSError):
                connection.quit()
            connection.close()


class _Watched(smtplib.SMTP):
    """A connection whose greeting too is cut off when all takes too long."""

    def __init__(self, limit: Limit, server: SmtpServer, domain: str, **more: Any) -> None:
        self._limit = limit
        super().__init__(server.host, server.port, domain, timeout=ANSWER_SECONDS, **more)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        found: socket.socket = super()._get_socket(host, port, timeout)  # type: ignore[misc]  # it has no other name
        self._limit.sock = found
        return found


class _Plain(_Watched):
    pass


class _Secure(_Watched, smtplib.SMTP_SSL):
    pass


def _is_yes(code: int) -> bool:
    return code // 10 == _OK // 10


def _is_no(code: int) -> bool:
    """Is it one of the answers that RFC 5321 has for a no?"""
    return code in _NOT_NOW or code in _NEVER


def _reply(code: int, text: bytes) -> str:
    """An answer's codes alone: its words often hold the address (RFC 3463 has what they mean)."""
    found = _ENHANCED.search(text)
    return f"{code} {found[1].decode()}" if found else str(code)


def _told(err: BaseException) -> str:
    """What broke, without the words of the server."""
    if isinstance(err, smtplib.SMTPResponseException):
        return _reply(err.smtp_code, _bytes(err.smtp_error))
    if isinstance(err, OSError) and err.strerror and not isinstance(err, smtplib.SMTPException):
        return err.strerror
    return "it took too long" if isinstance(err, TimeoutError) else type(err).__name__


def _bytes(text: bytes | str) -> bytes:
    return text.encode() if isinstance(text, str) else text
