"""Commands about a warehouse that is a lake."""

from datetime import timedelta
from typing import Annotated

from cyclopts import App, Parameter

from extract.errors import UsageError
from flows.output import say
from flows.settings import Here

warehouse = App(name="warehouse", help="Look after a warehouse that is a lake.")


@warehouse.command
def tidy(
    *,
    keep_hours: Annotated[float, Parameter(help="Keep what readers may still have open for so long.")] = 24,
    settings: Here,
) -> int:
    """Merge a lake's small files and remove old ones. Run it every hour of a count: each load leaves some 20 files."""
    from warehouse.lake import Lake
    from warehouse.tidying import tidy as tidied

    place = settings.database
    if not isinstance(place, Lake):
        raise UsageError(f"{str(place)!r} is a file, which needs no tidying; REALCOUNT_WAREHOUSE names a lake")
    before, after = tidied(place, timedelta(hours=keep_hours))
    say(
        f"Tidied {place}: {after.data:,} Parquet files and {after.deletes:,} of deleted rows; "
        f"there were {before.data:,} and {before.deletes:,}."
    )
    return 0
