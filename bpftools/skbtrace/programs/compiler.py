# SPDX-License-Identifier: Apache-2.0
"""bcc as a compiler: C text in, bytecode and maps out, with little memory."""
import ctypes
import os
import platform
import re
from typing import Any

from ..errors import TracerError
from ..host import limits
from . import BPF_DIR

_MADV_DONTNEED = 4
_LIBRARIES = re.compile(r"/lib(LLVM|clang|bcc)[^/]*$")


def kernel_version() -> int:
    """Return the running kernel's version as the kernel counts it: kernels before 5.0 ask for it with a kprobe."""
    numbers = [int(part) for part in re.findall(r"\d+", platform.release())[:3]] + [0, 0]
    return (numbers[0] << 16) + (numbers[1] << 8) + min(numbers[2], 255)


def compile_text(text: str, with_headers: bool) -> Any:
    """Compile C and make its maps; returns bcc's object. Raises TracerError, after the compiler's own words.

    with_headers: against the headers of the running kernel, where bcc finds them; else they are not needed.
    """
    if not with_headers:
        os.environ.setdefault("BCC_KERNEL_SOURCE", os.path.join(BPF_DIR, "kernel"))
    from bcc import BPF
    _forget_library_code()
    # the kernel's own headers make old compilers warn of things that are none of the user's business
    flags = ["-w"] if with_headers else ["-DLINUX_VERSION_CODE_OVERRIDE=%d" % kernel_version()]
    try:
        compiled = BPF(text=text, cflags=flags)
    except Exception as error:  # bcc raises bare Exception
        raise TracerError("bcc could not compile the tracer for this kernel%s: %s%s"
                          % (" with its headers" if with_headers else "", error, limits.memlock_hint())) from None
    _forget_library_code()
    return compiled


def _forget_library_code() -> None:
    """Unmap the code of the compiler's libraries: loading them touches 45 MB, and after compiling none is needed.

    These are pages of unchanged files: the kernel brings back from its cache what is needed after all.
    """
    libc = ctypes.CDLL(None)
    with open("/proc/self/maps", errors="replace") as handle:
        mappings = [line.split(None, 5) for line in handle]
    for mapping in mappings:
        if len(mapping) == 6 and mapping[1] == "r-xp" and _LIBRARIES.search(mapping[5].strip()):
            start, end = (int(number, 16) for number in mapping[0].split("-"))
            libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _MADV_DONTNEED)
