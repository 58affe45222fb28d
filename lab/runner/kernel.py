# SPDX-License-Identifier: GPL-2.0
"""
What the runner has to know of a kernel besides its image.

Kernels with checkers in them are several times slower under emulation and need
more memory.  What they are is read from the configuration that kbuild leaves
beside the image, so that nobody has to say it a second time; an image that
somebody brings from elsewhere, alone, counts as an ordinary one.
"""

# How much longer everything takes, and how much more memory it needs.  KASAN
# keeps freed memory back, and page_owner and kmemleak keep a record of each
# allocation.
_SLOWNESS = (("KASAN", 8), ("KCSAN", 4), ("PROVE_LOCKING", 4),
             ("GCOV_KERNEL", 2))
_MEMORY = (("KASAN", 2),)


class Kernel:
    """A kernel's image and its configuration."""

    def __init__(self, image):
        self.image = image
        # above arch/x86/boot
        self.objects = (image / "../../../..").resolve()
        try:
            text = (self.objects / ".config").read_text(encoding="utf-8")
        except OSError:
            text = ""
        self._options = set(text.splitlines())

    def has(self, option):
        return f"CONFIG_{option}=y" in self._options

    def _factor(self, table):
        return max([factor for option, factor in table if self.has(option)],
                   default=1)

    @property
    def slowness(self):
        """Factor for the limits of time."""
        return self._factor(_SLOWNESS)

    @property
    def greed(self):
        """Factor for a machine's memory."""
        return self._factor(_MEMORY)
