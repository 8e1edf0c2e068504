"""A builder that says so when it has put its first file in place, and then waits to be killed.

Arguments: the folder with the database, the account's id, and after how many files to wait.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from gateway.export.build import Builder, Plan, alone
from gateway.export.storage import Folder
from gateway.store.feeds import FeedQueries

from .samples import DAY, opened


class Waiting(Folder):
    """A folder that stops after so many files."""

    left = 0

    def put(self, key: str, source: Path) -> None:
        super().put(key, source)
        self.left -= 1
        if self.left == 0:
            print("put", flush=True)
            sys.stdin.read()


async def main() -> None:
    path, account_id, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    storage = Waiting(path / "feeds")
    storage.left = count
    async with opened(path) as store, alone(path / "feeds"):
        await Builder(FeedQueries(store), storage, path / "feeds").build(account_id, DAY, Plan())


if __name__ == "__main__":
    asyncio.run(main())
