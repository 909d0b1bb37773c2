"""The command line. It decides what is wanted and in which form; it knows no rule about elections.

Reading commands must start in under half a second: what is slow to import is imported where it is needed.
"""

import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter
from cyclopts.config import Env

from extract.errors import RealcountError, UsageError
from flows import asking, crawling
from flows.archiving import archive
from flows.exporting import export
from flows.findings import findings
from flows.lakes import warehouse as warehouse_commands
from flows.output import say
from flows.replaying import rebuild, replay
from flows.reporting import report
from flows.scheduling import deploy, serve
from flows.settings import Here, Settings

app = App(
    name="realcount",
    help="The flight recorder of an Indonesian vote count.",
    version=lambda: version("realcount"),
    config=Env("REALCOUNT_", command=False),
    default_parameter=Parameter(negative=()),  # no --no-… and --empty-… beside every option
)
for command in (
    *(replay, rebuild, crawling.poll, crawling.follow, serve, deploy, crawling.serve_archive),
    *(asking.results, asking.timeline, findings, asking.status, asking.sql, asking.prove, asking.fingerprint),
    *(report, export, archive, warehouse_commands),
):
    app.command(command)
app.meta.suppress_keyboard_interrupt = False  # main says what a stop means for the archive


@app.meta.default
def _launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    data_dir: Annotated[Path, Parameter(help="Where archive and database lie.")] = Path("data"),
    parquet: Annotated[
        str | None, Parameter(help="Where loads put Parquet files, costly ones later; off: nowhere.")
    ] = None,
    report: Annotated[str | None, Parameter(help="Where cycles put the page for people; off: nowhere.")] = None,
    archive: Annotated[str | None, Parameter(help="Where the archive lies: a folder, or s3://bucket/prefix.")] = None,
    shard: Annotated[str | None, Parameter(help="The part of the archive to write and load, such as pkwkp-31.")] = None,
    warehouse: Annotated[str | None, Parameter(help="A lake for a database: ducklake:postgres:KEY=VALUE …")] = None,
    warehouse_data: Annotated[str | None, Parameter(help="Where a lake's files lie: a folder, or s3://….")] = None,
) -> int:
    command, bound, given = app.parse_args(tokens, exit_on_error=False, print_error=False)
    if "settings" in given:
        bound.arguments["settings"] = Settings(data_dir, parquet, report, archive, shard, warehouse, warehouse_data)
    return command(*bound.args, **bound.kwargs) or 0


@app.command
def demo(*, settings: Here) -> int:
    """Play a simulated count night of Jakarta and show the standings growing."""
    from flows.demo import play

    return play(settings)


def main() -> None:
    """Run a command; every error of ours is one line and an exit code."""
    try:
        code = app.meta(exit_on_error=False, print_error=False)
    except CycloptsError as error:
        code = _complain(UsageError(f"{' '.join(str(error).split())} See: realcount --help"))
    except RealcountError as error:
        code = _complain(error)
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except KeyboardInterrupt:
        say("Stopped. What was archived is safe; the same command goes on from there.")
        code = 130
    except Exception as error:
        if "REALCOUNT_DEBUG" in os.environ:
            raise
        code = _complain(
            RealcountError(
                f"internal error, not your fault: {type(error).__name__}: {' '.join(str(error).split())}; "
                "the archive is safe; please report what REALCOUNT_DEBUG=1 prints"
            )
        )
    sys.exit(code)


def _complain(error: RealcountError) -> int:
    say(f"realcount: {error}")
    return error.exit_code
