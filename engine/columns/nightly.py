"""The lane of a backtest that looks at midnights only: events are gathered all day, and folded and read at night."""

from typing import Any

from engine.account import Account
from engine.columns.gathered import MOST, Gathered, Piles
from engine.columns.lane import NO_ROWS, ColumnLane, Hit, Seat, Things
from engine.columns.sheet import Handler, Printed, Sheet, Touched, fickle
from engine.columns.table import WildError
from engine.decision import Fact
from engine.instants import Instant
from engine.log import Entry, Recorded
from engine.views import AccountView
from engine.zones import Zone


class Mark:
    """What must be read anew of an account when its next day begins."""

    __slots__ = ("account", "anew", "every", "listed", "things", "touched")

    def __init__(self, account: Account) -> None:
        self.account = account
        self.touched: dict[int, Touched] = {}
        self.things: dict[tuple[str, str], None] = {}
        """Things that may have opened or closed."""
        self.listed = False
        """May elements of its list attributes have?"""
        self.every = False
        self.anew = False
        """Has it got its row today?"""


class NightSheet(Sheet):
    """A sheet with what its day has brought."""

    every_night = True

    def __init__(self, printed: Printed, zone: Zone, at: Instant) -> None:
        super().__init__(printed, zone, at)
        self.gathered = Gathered(self)
        self.marks: dict[str, Mark] = {}
        program = self.layout.program
        once = [rule.rule.id for rule in program.rules if rule.once_per is not None or fickle(rule)]
        self.uneasy = [*once, *(rule.id for rule in program.holding)]
        """Rules that ask more than columns tell, while they are true for something."""

    def mark(self, account: Account) -> Mark:
        """The account's mark of today."""
        found = self.marks.get(account.id)
        if found is None:
            found = self.marks[account.id] = Mark(account)
        return found


class NightLane(ColumnLane):
    """A lane whose accounts are looked at when their local day begins, and at no other time.

    Nobody asks by day what is true. So events that only count are gathered and folded as arrays at night, and what
    other events may have changed is read once, at night.
    """

    sheet_kind = NightSheet
    nobody = 0

    def take(self, entry: Entry) -> list[Fact]:
        """Take the next entry of the log: first all looks due up to its recorded_at, then the entry itself."""
        at = entry.recorded_at
        if not isinstance(entry, Recorded) or self.first_at is None:
            return super().take(entry)
        if at < self._next:
            self.clock = at
            return self._event(entry)
        return super().advance(at) + self._event(entry)

    def advance(self, until: Instant) -> list[Fact]:
        """Move the clock; after it every account can be read as of then."""
        facts = super().advance(until)
        for sheet in list(self._sheets.values()):
            self._fold(sheet)  # type: ignore[arg-type]  # a lane of this kind has no other sheets
        return facts

    # -- one event ---------------------------------------------------------------------------------------------------
    def _event(self, entry: Recorded) -> list[Fact]:
        event = entry.event
        account = self.accounts.get(event.account_id)
        if account is None or account.seat is None:
            return self._unseated(entry, account)
        seat: Seat = account.seat
        sheet: Any = seat.sheet
        account.position = entry.position
        account.looks += 1
        gathered: Gathered = sheet.gathered
        piles = gathered.types.get(event.type) or gathered.piles(event.type)
        time, first = event.time, account.state.first_event
        if piles is None or time < sheet.start or first is None or time < first or time > entry.recorded_at:
            return self._wide_event(account, entry, sheet.handler(event.type))
        if (piles.person and event.user_id is not None) or not piles.ids.isdisjoint(event.properties):
            try:
                if not self._among_things(account, entry, piles):
                    return self._wide_event(account, entry, piles.handler)
            except WildError:
                return self._plain(account, entry)
        pile = piles.default
        if piles.prop:
            value = event.properties.get(piles.prop)
            if type(value) is str:
                pile = piles.by_value.get(value, pile)
        pile.rows.append(seat.row)
        pile.events.append(event)
        if pile.narrow.touched is not None:
            self._slow_measures(account, pile.narrow, entry)
        gathered.count += 1
        if gathered.count >= MOST:
            self._fold(sheet)
        return []

    def _among_things(self, account: Account, entry: Recorded, piles: Piles) -> bool:
        """Fold an event into the things it belongs to, if it leaves them as they are, but for measures and ``last``."""
        event = entry.event
        rows: Things | None = self._light(piles.handler, account, entry, event.time)
        if rows is None:
            return False
        folds = piles.default.narrow.things
        for kind, _, row in rows:
            folds[kind](row, event, event.time, account.seat.row)
        return True

    def _slow_measures(self, account: Account, narrow: Any, entry: Recorded) -> None:
        seat: Seat = account.seat
        sheet: Any = seat.sheet
        if narrow.own:
            sheet.tables[""].fold(seat.row, seat.own, self._happening(account, entry), narrow.own)
            sheet.postpone(narrow.later, seat.row)
        sheet.mark(account).touched[id(narrow.touched)] = narrow.touched

    def _wide_event(self, account: Account, entry: Recorded, handler: Handler) -> list[Fact]:
        del handler
        happening = self._happening(account, entry)
        folded = self._fold_wide(account, happening)
        if folded is None:
            return self._anew(account, entry, happening)
        kinds, late = folded
        sheet: Any = account.seat.sheet
        mark: Mark = sheet.mark(account)
        if late:
            mark.every = True
        else:
            touched = sheet.touched(entry.event.type, frozenset(kinds))
            mark.touched[id(touched)] = touched
        for kind, key in kinds.items():
            mark.things[kind, key] = None
        mark.listed = mark.listed or entry.event.type == "account.updated"
        return []

    # -- a night -----------------------------------------------------------------------------------------------------
    def _night(self, sheet: Any) -> list[Fact]:
        at = sheet.midnight
        self._fold(sheet)
        sheet.turn()
        hits: dict[str, list[Hit]] = {}
        views: dict[str, AccountView] = {}
        facts: list[Fact] = []
        marks, sheet.marks = sheet.marks, {}
        for mark in marks.values():
            account = mark.account
            view = views[account.id] = account.view(at)
            try:
                turned = self._settle(account, mark, view)
            except WildError:
                self._unseat(account, at)
                account.wild = True
                facts += account.look(at)
                self._schedule(account)
            else:
                if turned:
                    hits[account.id] = turned
        return facts + self._dawn(sheet, at, hits, views)

    def _settle(self, account: Account, mark: Mark, view: AccountView) -> list[Hit]:
        """Read what the day may have changed; gives rules that no longer hold for things that have closed."""
        seat: Seat = account.seat
        sheet = seat.sheet
        every = mark.every or mark.anew
        if every:
            self._seen(account)
            for kind, table in sheet.tables.items():
                for key, row in seat.things.get(kind, NO_ROWS).items() if kind else (("", seat.row),):
                    scope, one = table.scope, view.thing(kind, key) if kind else None
                    sheet.read(scope.leaves.values(), scope.trends.values(), row, view, one)
        else:
            for touched in mark.touched.values():
                self._read_all(seat, touched, view)
        things = dict(mark.things)
        for kind in sheet.tables if mark.anew else ():
            things.update(((kind, one.id), None) for one in (view.open_things(kind) if kind else ()))
        hits = [hit for kind, key in things for hit in self._thing(account, kind, key, view)]
        if mark.listed:
            hits += [hit for kind in sheet.tables if kind for hit in self._listed(account, kind, view)]
        if mark.anew:
            self._remember(account)
            self._after(account, view)
        return hits

    def _fold(self, sheet: NightSheet) -> None:
        """Fold what was gathered; accounts with sums beyond what columns hold are kept plainly from here on."""
        if not sheet.gathered.count:
            return
        at = self.clock
        assert at is not None, "what was gathered has moved the clock"  # noqa: S101 - the lane's own part
        for row in sheet.gathered.fold():
            account = sheet.tables[""].owners[row]
            account.wild = True
            self._unseat(account, at)
            account.build(self._history, at)
            account.schedule(account.view(at))
            self._schedule(account)

    @staticmethod
    def _unread(account: Account) -> bool:
        return account.id in account.seat.sheet.marks

    def _needs_whole_looks(self, account: Account) -> bool:
        """May a night change something that only events and wake-ups change otherwise?"""
        truths, sheet = account.truths, account.seat.sheet
        if account.program.moving or any(truths.get(rule) for rule in sheet.uneasy):
            return True
        return super()._needs_whole_looks(account)

    # -- seats -------------------------------------------------------------------------------------------------------
    def seat(self, account: Account, at: Instant) -> None:
        """Give an account its row, if columns can hold it; it is read when the next day begins."""
        super().seat(account, at)
        if account.seat is not None and account.program.moving:
            self._restless(account, on=True)

    def _read_seat(self, account: Account, at: Instant) -> None:
        del at
        account.seat.sheet.mark(account).anew = True

    def _unseat(self, account: Account, at: Instant) -> None:
        sheet: Any = account.seat.sheet
        self._fold(sheet)
        sheet.marks.pop(account.id, None)
        super()._unseat(account, at)
