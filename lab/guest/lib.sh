# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# What scenarios use: KTAP lines, names instead of addresses, and the marks
# that delimit a copy for the ledger. File descriptor 3 is the channel to the
# runner.

# shellcheck source=/dev/null
. /lab/machine

tests=0

# plan NUMBER: how many tests will follow. A scenario begins with it.
plan()
{
	echo "KTAP version 1"
	echo "1..$1"
}

# say TEXT: a remark in the test output.
say()
{
	echo "# $*"
}

# ok NAME / not_ok NAME / skip NAME WHY: the result of one test.
ok()
{
	tests=$((tests + 1))
	echo "ok $tests - $1"
}

not_ok()
{
	tests=$((tests + 1))
	echo "not ok $tests - $1"
}

skip()
{
	tests=$((tests + 1))
	echo "ok $tests - $1 # SKIP $2"
}

# check NAME COMMAND...: passes if the command succeeds; what it printed is
# shown if it does not.
check()
{
	check_name=$1
	shift
	if "$@" >/tmp/check 2>&1; then
		ok "$check_name"
	else
		not_ok "$check_name"
		sed 's/^/# /' /tmp/check
	fi
}

# equal NAME WANTED FOUND
equal()
{
	if [ "$2" = "$3" ]; then
		ok "$1"
	else
		not_ok "$1"
		say "wanted: $2"
		say "found:  $3"
	fi
}

# lab_ask REQUEST: send a request to the runner and print its answer, which
# ends with a line "@end" or is the single line "@error TEXT".
lab_ask()
{
	echo "@$1" >&3
	while read -r lab_answer <&3; do
		case $lab_answer in
		@end)
			return 0 ;;
		"@error "*)
			echo "the runner refused '$1': ${lab_answer#@error }"
			return 1 ;;
		*)
			echo "$lab_answer" ;;
		esac
	done
	return 1
}

# lab_where: learn which PCI address each device of the machine file has.
lab_where()
{
	lab_ask where >/tmp/where || cat /tmp/where
}

# bdf NAME: the PCI address of a device, for example 0000:03:00.0.
bdf()
{
	sed -n "s/^$1 //p" /tmp/where
}

# pci NAME: its directory in sysfs.
pci()
{
	echo "/sys/bus/pci/devices/$(bdf "$1")"
}

# drive NAME: the block device of an NVMe drive.
drive()
{
	for drive_dir in "$(pci "$1")"/nvme/nvme*/nvme*n*; do
		[ -b "/dev/${drive_dir##*/}" ] && echo "/dev/${drive_dir##*/}"
	done
}

# allocate NAME: the file through which a provider's memory is mapped.
allocate()
{
	echo "$(pci "$1")/p2pmem/allocate"
}

# route PROVIDER CLIENT: the latest verdict of the kernel for this pair, as
# the trace has it (type=... distance=... reason=... port=...).
route()
{
	sed -n "s/.*p2pdma_route: provider=$(bdf "$1") client=$(bdf "$2") //p" \
		/sys/kernel/tracing/trace | tail -n 1
}

# field KEY TEXT: the value of KEY=value in a text.
field()
{
	for field_word in $2; do
		case $field_word in
		"$1="*) echo "${field_word#*=}" ;;
		esac
	done
}

# copy LABEL FROM OFFSET TO OFFSET BYTES VIA: copy between two drives, through
# the memory of the provider VIA, or through system memory if VIA is "system".
# The runner compares the data on the host, and the ledger must find that the
# bytes went that way. The marks are sent while no I/O is under way.
copy()
{
	sync
	lab_ask "begin label=$1 from=$2 from_offset=$3 to=$4 to_offset=$5 \
bytes=$6 via=$7" || return 1
	set -- "$1" "$(drive "$2")" "$3" "$(drive "$4")" "$5" "$6" "$7"
	if [ "$7" = system ]; then
		p2pcopy "$2" "$3" "$4" "$5" "$6"
	else
		p2pcopy "$2" "$3" "$4" "$5" "$6" "$(allocate "$7")"
	fi
	copy_status=$?
	lab_ask "end label=$1" || return 1
	return $copy_status
}
