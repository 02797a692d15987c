"""Files for the user, written as a whole or not at all."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from promptarena.benchmark.core.errors import UserError


def write_whole(path: Path, content: str | bytes | Path) -> None:
    """Write text (as UTF-8), bytes or a copy of a file; what stood there before stands until all is written.

    The folder is made if missing. A link is followed; a device or pipe is written to directly. Raises UserError when
    the file cannot be written.
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
