"""TorchScript archives, opened with the checks that torch leaves out: some damage would end the whole process."""

import warnings
import zipfile
from pathlib import Path

import torch
from torch import Tensor

from fidprobe.runtime.zip_members import check_members

__all__ = ["open_torchscript"]

_RECORDS = ("data", "constants")  # folders of an archive that hold tensors' bytes, a file for each storage


def open_torchscript(path: Path) -> torch.jit.ScriptModule:
    """Load a module on the CPU; torch's deprecation notices do not reach the user.

    torch compares no checksums, and believes the size that a tensor claims even if the file holds fewer bytes: reading
    such a tensor is a segmentation fault.

    Raises:
        Exception: not a TorchScript archive, or damaged. zipfile's and torch's parsers raise nearly any class.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        check_members(members, remedy="save it again with torch.jit.save")
        if (damaged := archive.testzip()) is not None:
            raise ValueError(f"the checksum of {damaged} is wrong")
    with warnings.catch_warnings():
        # TorchScript is deprecated in favour of torch.export; files of it will be around for years.
        warnings.simplefilter("ignore")
        module: torch.jit.ScriptModule = torch.jit.load(str(path), map_location="cpu")
    held = sum(member.file_size for member in members if _is_record(member.filename))
    claimed = _claimed([*module.parameters(), *module.buffers()])
    if claimed > held:
        raise ValueError(f"its weights claim {claimed} bytes, and it holds {held}")
    return module


def _is_record(name: str) -> bool:
    folders = name.split("/")[:-1]
    return len(folders) > 1 and folders[1] in _RECORDS


def _claimed(tensors: list[Tensor]) -> int:
    """Sum the bytes of all storages; tensors may share one."""
    sizes: dict[int, int] = {}
    for tensor in tensors:
        begin = tensor.data_ptr() - int(tensor.storage_offset()) * tensor.element_size()
        place = begin if tensor.data_ptr() else -len(sizes) - 1  # a storage without bytes lies nowhere
        sizes[place] = tensor.untyped_storage().nbytes()
    return sum(sizes.values())
