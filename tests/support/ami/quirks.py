"""What is surprising about Asterisk, each a switch, and what goes wrong with it, each a switch as well.

Owns the names only; the numbers are those of the 28 points at which recorded engines differed from what one expects.
All quirks are on, as recorded. A test turns one off to show that it matters, or leaves them alone.
"""

from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class Quirks:
    """The 28 points. True is what real engines do."""

    redirect_to_nowhere_succeeds: bool = True
    """1: a Redirect to an extension that is not there is answered Success, and the call ends (or runs `i`)."""
    second_redirect_is_refused: bool = True
    """2: right behind a Redirect or Hangup another Redirect is refused with "channel not up"."""
    hangup_follows_redirect: bool = True
    """3: a Hangup right behind a Redirect is taken, and one step of the new position runs."""
    stack_survives_redirect: bool = True
    """4: the Gosub stack is still there after a Redirect."""
    redirect_gives_a_dialplan: bool = True
    """5: a Redirect gives a dialplan to a channel that has none."""
    dial_shows_after_redirect: bool = True
    """6: out of a Dial or bridge the first Newexten has the new position with the old application."""
    uniqueid_names_a_channel: bool = True
    """7: actions take a Uniqueid in `Channel`."""
    half_one_looks_like_a_script: bool = True
    """8: the first half of a Local channel shows the position of its dial string."""
    legs_keep_odd_positions: bool = True
    """9: dialled legs show an empty Exten; in a Bridge action a script keeps its position without application."""
    optimisation_keeps_names: bool = True
    """10: channels keep name and Uniqueid in bridges; off: a Rename gives one another name."""
    gosub_shows_priority_zero: bool = True
    """11: with channelvars the first Newexten of a Gosub has priority 0 and Application Gosub."""
    return_keeps_variables: bool = True
    """12: Return leaves variables as they are, but LOCAL() ones, of which an empty VarSet tells."""
    status_takes_functions: bool = True
    """13: Status evaluates functions such as STACK_PEEK among its Variables, and says (null) of unset ones."""
    events_carry_channelvars: bool = True
    """14: with channelvars every channel's event and row has ChanVariable lines."""
    raw_values: bool = True
    """15: AppData, Getvar and Status values are not escaped, so they can forge whole messages."""
    long_lines_are_refused: bool = True
    """16: a line of an action over 1,020 bytes, or 130 of them, is refused."""
    events_follow_lists: bool = True
    """17: events that are older than a list may be told after it."""
    soft_hangup_says_16: bool = True
    """18: SoftHangupRequest says 16 whatever the cause, and a Hangup without cause ends as 0."""
    unknown_channels_are_refused: bool = True
    """19: "No such channel", and for Redirect "Channel does not exist: NAME"; off: Success, as if it were done."""
    dialplan_reload_is_silent: bool = True
    """20: `dialplan reload` makes no Reload event."""
    existence_needs_its_priority: bool = True
    """21: DIALPLAN_EXISTS says 1 for just what a Redirect needs; off: for any priority, as ShowDialPlan does."""
    restart_is_silent: bool = True
    """22: `core restart now` closes connections without Hangup or Shutdown events; names start over."""
    draining_refuses_everything: bool = True
    """23: while it drains every action is refused, and events still come."""
    login_before_boot: bool = True
    """24: a login can succeed before the boot is over; FullyBooted comes later. Off: it is refused until then."""
    refused_logins_are_slow: bool = True
    """25: a refused login is answered after a second, and the connection is closed."""
    removed_users_stay: bool = True
    """26: a user who is removed by a reload keeps the open connections."""
    slow_readers_are_cut: bool = True
    """27: who does not read is cut off, and what is unread is lost."""
    systemname_is_told: bool = True
    """28: with a system name every event has it, and every Uniqueid begins with it."""


@dataclass(slots=True, kw_only=True)
class Faults:
    """What goes wrong beside the quirks. All off."""

    lose_redirects: int = 0
    """So many Redirects are acknowledged and not done."""
    odd_row_ends: bool = False
    """Rows of lists end with CR LF LF instead of CR LF CR LF."""
    anonymous_rows: bool = False
    """Rows of lists have no ActionID."""
    untold_hangups: bool = False
    """Channels go without a Hangup event: HangupRequest is the last that is heard of them."""
    events_late_s: float = 0.0
    """Events are told so much later; answers are not."""
    close_at_login: bool = False
    """Connections are closed in good order right after a login."""
    hung: bool = False
    """Connections live, and nothing is read or said on them."""
    misordered: bool = False
    """Events leave in an order of their own: of those that wait, the last comes first."""
