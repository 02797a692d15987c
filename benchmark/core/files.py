"""Writes files for the user, each completely or not at all."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from promptarena.benchmark.core.errors import UserError


def write_atomically(path: Path, content: str | bytes | Path) -> None:
    """Write a file; an earlier file of that name stays as it is until the new one is complete.

    Args:
        path: The file to write. Missing folders are created. A link is followed; a device or pipe is written to
            directly, since it cannot be replaced.
        content: Text (written as UTF-8), bytes, or the path of a file to copy.

    Raises:
        UserError: The file cannot be written.
    """
    target = Path(os.path.realpath(path))
    direct = target.exists() and not target.is_file()
    temporary = target if direct else target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            shutil.copyfile(content, temporary)
        else:
            temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        if not direct:
            os.replace(temporary, target)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; free space or choose another place") from error
    finally:
        if not direct:
            with suppress(OSError):
                temporary.unlink()
