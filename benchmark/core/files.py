"""Files of the user: what may be read as one, and how one is written, completely or not at all."""

import os
import shutil
import stat
import uuid
from contextlib import suppress
from pathlib import Path

from promptarena.benchmark.core.errors import UserError

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def require_regular(path: Path) -> None:
    """Check that a path leads to a regular file, before it is opened: opening a pipe waits, and a device may not end.

    Args:
        path: The path; links are followed.

    Raises:
        UserError: Nothing is there, or something other than a file.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:  # a NUL in the name
        raise UserError(f"cannot read {str(path)!r}: {error}") from error
    if not stat.S_ISREG(mode):
        kind = next((name for matches, name in _KINDS if matches(mode)), "something else")
        raise UserError(f"cannot read {path}: it is {kind}, not a file")


def expanded(path: str | Path) -> Path:
    """A path with the user's own folder in place of `~`.

    Args:
        path: The path.

    Returns:
        The path, without `~`.

    Raises:
        UserError: It begins with `~` and the name of nobody on this machine.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UserError(f"cannot read {path}: this machine has no user of that name") from error


def is_missing(path: Path) -> bool:
    """Whether nothing is at a path.

    Args:
        path: The path; links are followed.

    Returns:
        True if nothing is there, False for whatever is.

    Raises:
        UserError: Nothing could ever be there or be read: the name is too long, links lead in a circle, a folder is
            closed.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    return False


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
    direct = os.path.exists(target) and not os.path.isfile(target)
    # Machines that share a folder may have processes of one number.
    temporary = target if direct else target.with_name(f".{target.name}.{uuid.uuid4().hex[:12]}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            shutil.copyfile(content, temporary)
        else:
            temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        if not direct:
            sync(temporary)
            os.replace(temporary, target)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; free space or choose another place") from error
    finally:
        if not direct:
            with suppress(OSError):
                temporary.unlink()


def sync(path: Path) -> None:
    """Wait until a file's content is on the disk. Before a rename, so that a crash of the machine cannot leave the new
    name with an empty or old content.

    Args:
        path: The file.

    Raises:
        OSError: It cannot be opened or synced.
    """
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())
