# SPDX-License-Identifier: GPL-2.0
#
# Prints what the kernel's Makefile of directory DIR builds, objects and directories,
# in the configuration of OUT:
#
#   make -f scripts/objects.mk TREE=... OUT=... DIR=drivers/pci
#
# kbuild compiles any object that it is asked for, configured or not, and offers no
# way to tell which is which.

include $(OUT)/include/config/auto.conf

srctree := $(TREE)
src := $(TREE)/$(DIR)
obj := $(DIR)

include $(firstword $(wildcard $(src)/Kbuild) $(src)/Makefile)

listed := $(obj-y) $(obj-m) $(lib-y) $(lib-m)
parts := $(foreach o,$(listed),$($(o:.o=-y)) $($(o:.o=-objs)) $($(o:.o=-m)))

.PHONY: print-what-is-built
print-what-is-built:
	@printf '%s\n' $(listed) $(parts)
