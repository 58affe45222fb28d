# SPDX-License-Identifier: GPL-2.0
#
# The machine on which kunit.py runs the tests that declare PCI trees
# (drivers/pci/tests). Against x86_64.py:
#
# - q35, so that the machine's own root bus is a PCI Express one;
# - a CPU model with 40 bits of physical address, all that the windows of the
#   trees may use, and with whatever instructions the kernel may test for;
# - two CPUs: what only fails when two run at a time must have a chance to;
# - emulation, never KVM: the same instructions on every host. The CPUs take
#   turns in one thread: with a thread each, code that the kernel patches on one
#   (static keys) is now and then executed half patched on the other;
# - panic=-1 ends the run at a panic instead of waiting for the time limit;
# - no_timer_check, because on a loaded host the emulated timer can be too late
#   for the check of the I/O APIC, which then panics.

from ..qemu_config import QemuArchParams

QEMU_ARCH = QemuArchParams(linux_arch='x86_64',
			   kconfig='''
CONFIG_SERIAL_8250=y
CONFIG_SERIAL_8250_CONSOLE=y''',
			   qemu_arch='x86_64',
			   kernel_path='arch/x86/boot/bzImage',
			   kernel_command_line='console=ttyS0 panic=-1 no_timer_check',
			   # qboot is faster than SeaBIOS and doesn't mess up
			   # the terminal.
			   extra_qemu_params=['-bios', 'qboot.rom',
					      '-machine', 'q35',
					      '-accel', 'tcg,thread=single',
					      '-cpu', 'max',
					      '-smp', '2'])
