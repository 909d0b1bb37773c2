"""The demonstration: a simulated count night of Jakarta, hour by hour, from bytes to standings."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from itertools import groupby

from extract.capture import Capture
from extract.night import Night
from extract.recording import record
from extract.simulator import Simulation
from flows import views
from flows.output import WIB
from flows.replay import bring_up_to_date, now
from flows.settings import Settings, versions
from warehouse import queries
from warehouse.connection import reading

NIGHT = Night(seed=2024, revisions=0.02, slips=0.002, lag=1, withdrawal=True)
JAKARTA = "31"


def play(settings: Settings) -> int:
    """Play the night into `demo/` below the data directory, which it begins anew, and show what it says."""
    demo = Settings(settings.data_dir / "demo")
    shutil.rmtree(demo.data_dir, ignore_errors=True)  # simulated, and made again in a moment
    print("SIMULATED: a count night of Jakarta with its real 14,835 stations, ending at KPU's real figures.\n")
    print(f"{'votes of':<16}  {'stations':>16}  {'1 Ridwan':>10} {'2 Dharma':>9} {'3 Pramono':>10}   leader")
    for hour in _hours():
        with record(demo.archive, "replay simulated", {"demo": True}, now, versions()) as run:
            for capture in hour:
                run.append(capture)
        bring_up_to_date(demo)
        _show_standing(demo)
    print()
    with reading(demo.published) as connection:
        views.print_results(queries.results(connection, JAKARTA).records(), leaders_only=False)
        print("The last steps before the withdrawal:")
        views.last_changes(connection, JAKARTA)
        print("Who leads where:")
        views.print_results(queries.results(connection, JAKARTA, children=True).records(), leaders_only=True)
    print(f"{views.SIMULATED}\n")
    views.print_hints(demo)
    return 0


def _hours() -> Iterator[Iterator[Capture]]:
    """The night's captures, an hour at a time."""
    captures = Simulation(NIGHT).captures("district")
    for _, hour in groupby(captures, key=_hour_of):
        yield hour


def _hour_of(capture: Capture) -> str:
    """What is published on the hour belongs to the hour before it."""
    return f"{capture.observed_at - timedelta(minutes=14):%d %H}"


def _show_standing(demo: Settings) -> None:
    """One line: how far the count is, and who leads."""
    with reading(demo.published) as connection:
        pairs = queries.results(connection, JAKARTA).records()
    first, *_ = pairs
    votes = {pair["ballot_number"]: views.count(pair["votes"]) for pair in pairs}
    lead = f"{first['candidate_name']}, {views.percent(first['share_pct'])}" if first["rank"] else "no station yet"
    gone = "; WITHDRAWN, the last votes stay" if first["withdrawn_at"] else ""
    print(
        f"{first['reported_at'].astimezone(WIB):%d %b %H:%M} WIB"
        f"  {first['stations_reported']:>6,} of {first['stations_total']:,}"
        f"  {votes[1]:>10} {votes[2]:>9} {votes[3]:>10}   {lead}{gone}",
        flush=True,
    )
