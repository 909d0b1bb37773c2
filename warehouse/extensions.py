"""DuckDB's extensions: from wheels of this environment, or as a person installed them; never fetched by themselves."""

import importlib.util
from pathlib import Path

import duckdb

from extract.errors import WarehouseError


def load(connection: duckdb.DuckDBPyConnection, *names: str) -> None:
    """Load extensions into a database. Raises WarehouseError for one that is not there, saying how to get it."""
    for name in names:
        try:
            if wheel := _in_wheel(name):
                connection.execute(f"LOAD {duckdb.ConstantExpression(str(wheel))}")  # LOAD takes no parameters
            else:
                connection.load_extension(name)
        except duckdb.Error as error:
            raise WarehouseError(
                f"DuckDB's extension {name} cannot be loaded ({next(iter(str(error).splitlines()), '')}); install it: "
                f"pip install duckdb-extension-{name.replace('_', '-')}=={duckdb.__version__}, "
                f"or once in DuckDB {duckdb.__version__}: INSTALL {name}"
            ) from error


def _in_wheel(name: str) -> Path | None:
    """The file in the wheel `duckdb-extension-<name>`, if that is installed and made for this DuckDB."""
    found = importlib.util.find_spec(f"duckdb_extension_{name}")
    for place in (found.submodule_search_locations or ()) if found else ():
        file = Path(place) / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
        if file.exists():
            return file
    return None
