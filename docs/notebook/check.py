"""Runs the notebook top to bottom against what runs, and fails with the first cell that does.

    check.py [SAVE]

DRIFTMILL_DATA_DIR, DRIFTMILL_GATEWAY_LISTEN and DRIFTMILL_BIN say where that is, as in the notebook. Every table that it
reads must have rows. SAVE is a file for the notebook with its outputs: without times of execution and version of Python, and refused
if an output tells a folder or a port of this machine.
"""

import os
import re
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

NOTEBOOK = Path(__file__).with_name("driftmill.ipynb")
# Asked in the notebook's own kernel when it is through.
EMPTY = """
tables = {name: value for name, value in globals().items() if isinstance(value, pd.DataFrame) and not name.startswith("_")}
print(*(name for name, table in tables.items() if table.empty))
"""


def main(save=None):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    metadata = dict(notebook.metadata)
    notebook.cells.append(nbformat.v4.new_code_cell(EMPTY))
    client = NotebookClient(
        notebook,
        timeout=300,
        record_timing=False,
        resources={"metadata": {"path": str(NOTEBOOK.parent)}},
        extra_arguments=["--log-level=ERROR"],
    )
    try:
        client.execute()
    except CellExecutionError as error:
        raise SystemExit(f"driftmill: a cell of {NOTEBOOK.name} failed:\n{error}") from None
    empty = "".join(output.text for output in notebook.cells.pop().outputs).split()
    if empty:
        raise SystemExit(f"driftmill: without rows: {', '.join(empty)}")
    complaints = [
        output.text for cell in notebook.cells for output in cell.get("outputs", ()) if output.get("name") == "stderr"
    ]
    if complaints:
        raise SystemExit("driftmill: the notebook should run without warnings:\n" + "".join(complaints))
    print(f"{sum(cell.cell_type == 'code' for cell in notebook.cells)} cells ran")
    if save:
        notebook.metadata = nbformat.from_dict(metadata)
        written = nbformat.writes(notebook) + "\n"
        mine = [os.environ.get("DRIFTMILL_DATA_DIR"), str(Path.home()) + "/", str(Path.cwd())]
        told = [word for word in mine if word and word in written] + re.findall(r"127\.0\.0\.1:(?!8080)\d+", written)
        if told:
            raise SystemExit(f"driftmill: not saved, as outputs tell of this machine: {', '.join(told)}")
        Path(save).write_text(written, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
