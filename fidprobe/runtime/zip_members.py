"""Members of zip archives (zip, npz, torch's files): what may be unpacked. Every reader of them asks here first."""

import zipfile
from collections.abc import Iterable

from fidprobe.runtime.files import most_unpacked
from fidprobe.runtime.messages import escape_controls

__all__ = ["check_member", "check_members"]

_BOUNDED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # with others, zipfile unpacks more than it is asked for


def check_member(member: zipfile.ZipInfo, *, remedy: str, least: int | None = None) -> None:
    """Raise if a member is encrypted, or may unpack to any size.

    zipfile must then be asked for no more than `member.file_size` bytes: it unpacks no more, whatever the member holds.

    Args:
        member: As the archive's directory has it.
        remedy: What the user can do, for the message.
        least: As `most_unpacked` takes it.

    Raises:
        ValueError: its text follows a member's name.
    """
    packed, size = member.compress_size, member.file_size
    if member.flag_bits & 1:
        raise ValueError(f"is encrypted; {remedy}")
    if member.compress_type not in _BOUNDED:
        raise ValueError(f"is packed by another method than deflate, which may unpack to any size; {remedy}")
    if size > most_unpacked(packed, least):
        raise ValueError(f"unpacks from {packed} bytes to {size}, which pictures and features never do; {remedy}")


def check_members(members: Iterable[zipfile.ZipInfo], *, remedy: str) -> None:
    """Check all members of an archive that another library will unpack.

    Raises:
        ValueError: names the member that `check_member` refuses.
    """
    for member in members:
        try:
            check_member(member, remedy=remedy)
        except ValueError as error:
            raise ValueError(f"{escape_controls(member.filename[:80])} {error}") from error
