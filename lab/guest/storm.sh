# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# What the storms share: memory of a provider is mapped, exported, and moved by a
# drive; something is removed; and everybody must be told what is so. A storm is a
# number of cycles, each of which ends with everything as it was.
#
# In each cycle there are
#   mapped    p2phold, which has mapped memory of the VICTIM provider
#   exported  p2phold, which holds such memory as a dma-buf
#   busy      p2pload, which lets the CLIENT drive use such memory
#   aside     p2pload, which has nothing to do with what is removed
# Their descriptors are 4 to 7, their files are in /tmp by these names.

storm_bytes=$((256 * 1024))
# Hundredths of a second that a removal has taken, all in all and at worst
storm_worst=0
storm_sum=0
storm_cycles=0
storm_faults=0
# What of it was spent on waiting for a second press of the button
storm_grace=0

# soon COMMAND...: until the test succeeds, for as long as wait_until would; looks more
# often.
soon()
{
	for soon_try in $(seq $((300 * ${PATIENCE:-1}))); do
		"$@" && return 0
		sleep 0.1
	done
	echo "still not so after $((soon_try / 10)) seconds: $*"
	return 1
}

# hundredths: of a second since the machine booted.
hundredths()
{
	sed 's/\([0-9]*\)\.\([0-9]*\) .*/\1\2/' /proc/uptime
}

# rests NAME: the memory of a provider is there, and all of it is free.
rests()
{
	grep -qsx "$(cat "/tmp/rest.$1")" "$(pci "$1")/p2pmem/available" &&
		grep -qsx "$(cat "/tmp/size.$1")" "$(pci "$1")/p2pmem/size"
}

# remember NAME...: what is free while nobody uses anything.
remember()
{
	for remember_name; do
		cat "$(pci "$remember_name")/p2pmem/available" \
			>"/tmp/rest.$remember_name"
		cat "$(pci "$remember_name")/p2pmem/size" \
			>"/tmp/size.$remember_name"
	done
}

# hold VICTIM: let a process map memory of a provider, and another export it.
hold()
{
	rm -f /tmp/to_mapped /tmp/mapped /tmp/to_exported /tmp/exported
	mkfifo /tmp/to_mapped /tmp/mapped /tmp/to_exported /tmp/exported
	p2phold "$(allocate "$1")" $storm_bytes </tmp/to_mapped >/tmp/mapped 2>&1 &
	hold_mapped=$!
	exec 4>/tmp/to_mapped 5</tmp/mapped
	p2phold "/dev/p2pmem/$(bdf "$1")" $storm_bytes </tmp/to_exported \
		>/tmp/exported 2>&1 4>&- 5<&- &
	hold_exported=$!
	exec 6>/tmp/to_exported 7</tmp/exported
	read -r hold_said <&5
	read -r hold_said_too <&7
	[ "$hold_said $hold_said_too" = "held held" ] && return
	echo "mapped: $hold_said, exported: $hold_said_too"
	return 1
}

# held WANTED: what both find when they touch the memory.
held()
{
	echo touch >&4
	read -r hold_said <&5
	echo touch >&6
	read -r hold_said_too <&7
	[ "$hold_said $hold_said_too" = "$1 $1" ] && return
	echo "wanted $1; mapped: $hold_said, exported: $hold_said_too"
	return 1
}

let_go()
{
	exec 4>&- 5<&- 6>&- 7<&-
	wait "$hold_mapped" "$hold_exported"
}

# load_begin NAME PROVIDER DRIVE OFFSET: p2pload in the background.
load_begin()
{
	: >"/tmp/load.$1"
	p2pload "$(allocate "$2")" "$(drive "$3")" "$4" >"/tmp/load.$1" 2>&1 \
		4>&- 5<&- 6>&- 7<&- &
	echo $! >"/tmp/pid.$1"
	soon grep -q begun "/tmp/load.$1" && return
	cat "/tmp/load.$1"
	return 1
}

# excused WHY: what a call may say to those whose memory, drive, or both have gone:
# the page is no longer there, or the drive does not reach it any more; the drive
# does no I/O, is not there, has no blocks, or ends where there were some.
excused()
{
	case $1 in
	memory | surprise) echo SIGBUS EFAULT EREMOTEIO ;;
	drive) echo EIO ENODEV ENXIO ENOSPC ENODATA ;;
	both) excused memory; excused drive ;;
	*) echo none ;;
	esac
}

# load_end NAME WHY: it ends by itself, as it has lost memory, drive, or both; or
# nothing, and is told to. No data was wrong, and what it was told fits. Who has lost
# memory by surprise finds nothing in it for as long as the kernel does not know either.
load_end()
{
	load_pid=$(cat "/tmp/pid.$1")
	[ "$2" != nothing ] || kill "$load_pid"
	soon grep -q '^rounds=' "/tmp/load.$1" || kill "$load_pid"
	wait "$load_pid"
	rm "/tmp/pid.$1"
	load_said=$(grep '^rounds=' "/tmp/load.$1")
	[ "$(field wrong "$load_said")" = 0 ] &&
		{ [ "$2" = surprise ] || [ "$(field blank "$load_said")" = 0 ]; } &&
		for load_error in $(excused "$2"); do
			[ "$(field error "$load_said")" != "$load_error" ] ||
				return 0
		done
	echo "$1 has lost $2 and says: $load_said"
	return 1
}

# timed COMMAND...: run it, and keep account of the time.
timed()
{
	timed_start=$(hundredths)
	"$@"
	timed_status=$?
	timed_took=$(($(hundredths) - timed_start - storm_grace))
	storm_cycles=$((storm_cycles + 1))
	storm_sum=$((storm_sum + timed_took))
	[ $timed_took -le $storm_worst ] || storm_worst=$timed_took
	return $timed_status
}

# storm_wait HUNDREDTHS: what is not to be counted of each removal from now on.
storm_wait()
{
	storm_grace=$1
}

# The ways to remove NAME, and to have it back; each with one argument.
unbind()
{
	readlink -f "$(pci "$1")/driver" >/tmp/driver &&
		bdf "$1" >"$(cat /tmp/driver)/unbind"
}

bind()
{
	bdf "$1" >"$(cat /tmp/driver)/bind"
}

remove()
{
	echo 1 >"$(pci "$1")/remove"
}

rescan()
{
	echo 1 >/sys/bus/pci/rescan
}

# storm_report MOST: the time that removal takes is bounded, in seconds, more of them in
# a kernel full of checkers, and none had to say in the log that it waits.
storm_report()
{
	say "$storm_cycles removals, the slowest took $storm_worst hundredths \
of a second, all of them $storm_sum"
	say "figure: cycles=$storm_cycles faults=$storm_faults \
slowest_ms=$((storm_worst * 10))"
	storm_most=$(($1 * ${PATIENCE:-1}))
	check "no removal took longer than $storm_most seconds" \
		[ $storm_worst -le $((storm_most * 100)) ]
	check "no removal had to wait for memory" sh -c \
		'! dmesg | grep "removal waits for"'
}

# storm_one COMMAND...: one cycle. What it began and could not end must not be in
# the way of the next one.
storm_one()
{
	"$@" && return
	storm_faults=$((storm_faults + 1))
	exec 4>&- 5<&- 6>&- 7<&-
	for storm_pid in /tmp/pid.*; do
		[ ! -e "$storm_pid" ] || kill "$(cat "$storm_pid")"
		rm -f "$storm_pid"
	done
	return 1
}

# storm TITLE COUNT COMMAND...: that many cycles, each a test.
storm()
{
	storm_title=$1 storm_count=$2
	shift 2
	for storm_number in $(seq "$storm_count"); do
		check "$storm_title, cycle $storm_number" storm_one "$@"
	done
}
