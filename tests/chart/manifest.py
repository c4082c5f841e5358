"""`python -m tests.chart.manifest` writes what is made of other files: the static manifest, the
files in `fluent/index/` and `dashboards/`, the chart's copies of files, its README,
docs/configuration.md."""

from __future__ import annotations

import shutil

from dashboards import files as dashboards
from tests.chart import index_files, reference, test_copies
from tests.chart.chart import CHART, write_readme


def main() -> None:
    for name, text in index_files.files().items():
        (index_files.FOLDER / name).write_text(text)
    for name, text in dashboards.files().items():
        (dashboards.FOLDER / name).write_text(text)
    for folder, source in test_copies.COPIES.items():
        for copy in folder.rglob("*"):
            if copy.is_file():
                shutil.copyfile(source / copy.relative_to(folder), copy)
    test_copies.MANIFEST.parent.mkdir(exist_ok=True)
    test_copies.MANIFEST.write_text(test_copies.manifest())
    write_readme(CHART)
    reference.PAGE.write_text(reference.page(), encoding="utf-8")


if __name__ == "__main__":
    main()
