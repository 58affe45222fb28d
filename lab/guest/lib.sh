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

# wait_until COMMAND...: until the test succeeds, for at most 30 seconds; longer in a
# kernel full of checkers.
wait_until()
{
	for wait_second in $(seq $((30 * ${PATIENCE:-1}))); do
		"$@" && return 0
		sleep 1
	done
	echo "still not so after $wait_second seconds: $*"
	return 1
}

# has_drive NAME: namespaces are scanned after a provider's memory has been
# registered, and drives one after the other.
has_drive()
{
	[ -n "$(drive "$1")" ]
}

# port_above NAME: the PCI address of the port that a device is plugged into.
port_above()
{
	port_dir=$(readlink -f "$(pci "$1")/..")
	echo "${port_dir##*/}"
}

# probe PROVIDER CLIENT: let a drive move data to and from a provider's memory,
# and print what p2pprobe found.
probe()
{
	p2pprobe "$(allocate "$1")" "$(drive "$2")" 4096 2>&1
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

# as_nobody COMMAND: run a command line as a user without any privilege.
as_nobody()
{
	su -s /bin/sh nobody -c "PATH=$PATH; $1"
}

# routes_of: read a matrix of p2pctl (JSON), and print "source=WHO", then
# "PROVIDER CLIENT type=... distance=... reason=... port=... override=..." for
# each pair.
routes_of()
{
	awk -F '"' '
	{ value = NF > 3 ? $4 : $3; gsub(/[:, ]/, "", value) }
	NF > 3 { value = $4 }
	$2 == "source" { print "source=" value }
	$2 == "client" { client = value }
	$2 == "provider" { provider = value }
	$2 == "type" { type = value }
	$2 == "reason" { reason = value }
	$2 == "distance" { distance = value }
	$2 == "override" { override = value }
	$2 == "request_port" { port = value }
	$2 == "completion_port" {
		if (port == "null")
			port = value
		if (port == "null")
			port = "none"
		print provider, client, "type=" type, "distance=" distance,
			"reason=" reason, "port=" port, "override=" override
	}'
}

# untraced COMMAND...: run a command and keep the verdicts that the kernel
# makes meanwhile out of the trace, which is about mappings.
untraced()
{
	echo 0 >/sys/kernel/tracing/tracing_on
	"$@"
	untraced_status=$?
	echo 1 >/sys/kernel/tracing/tracing_on
	return $untraced_status
}

# asked PROVIDER CLIENT: what the kernel answers an unprivileged user who asks
# about a pair, as routes_of prints it.
asked()
{
	untraced as_nobody "p2pctl why --json $(bdf "$2") $(bdf "$1")" |
		routes_of | sed -n "s/^$(bdf "$1") $(bdf "$2") //p"
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

# marked LABEL FROM OFFSET TO OFFSET BYTES VIA COMMAND...: run a command that
# copies between two drives, through the memory of the provider VIA, or through
# system memory if VIA is "system". The runner compares the data on the host, and
# the ledger must find that the bytes went that way. The marks are sent while no
# I/O is under way.
marked()
{
	marked_label=$1
	sync
	lab_ask "begin label=$1 from=$2 from_offset=$3 to=$4 to_offset=$5 \
bytes=$6 via=$7" || return 1
	shift 7
	"$@"
	marked_status=$?
	lab_ask "end label=$marked_label" || return 1
	return $marked_status
}

# copy LABEL FROM OFFSET TO OFFSET BYTES VIA: such a copy by p2pcopy.
copy()
{
	set -- "$@" p2pcopy "$(drive "$2")" "$3" "$(drive "$4")" "$5" "$6"
	[ "$7" = system ] || set -- "$@" "$(allocate "$7")"
	marked "$@"
}

# same ONE OFFSET OTHER OFFSET BYTES: are these parts of two devices, drives or
# memory, the same on the host? Prints where not.
same()
{
	sync
	same_answer=$(lab_ask "compare bytes=$5 one=$1 one_offset=$2 other=$3 \
other_offset=$4")
	[ "$same_answer" = equal ] && return
	echo "$same_answer"
	return 1
}

# give DEVICE [OFFER]: let p2pmem-pci have a device, and provide memory of it.
give()
{
	echo p2pmem-pci >"$(pci "$1")/driver_override" &&
		bdf "$1" >/sys/bus/pci/drivers_probe &&
		[ -e "$(pci "$1")/p2pmem_pci/offer" ] || return 1
	[ -z "${2-}" ] || echo "$2" >"$(pci "$1")/p2pmem_pci/offer"
}

# selftests PROGRAM...: run programs that print TAP, and keep what they print
# for selftest_count and selftest_report.
selftests()
{
	for selftest_name; do
		"$selftest_name" >"/tmp/$selftest_name.tap" 2>&1
		echo "status $?" >>"/tmp/$selftest_name.tap"
	done
}

# selftest_count PROGRAM...: how many tests selftest_report will report.
selftest_count()
{
	selftest_sum=0
	for selftest_name; do
		selftest_sum=$((selftest_sum + 1 + $(
			sed -n 's/^1\.\.//p' "/tmp/$selftest_name.tap")))
	done
	echo $selftest_sum
}

# selftest_report PROGRAM...: report the tests of programs as our own.
selftest_report()
{
	for selftest_name; do
		while read -r selftest_line; do
			selftest_what=${selftest_line#*ok }
			selftest_what=${selftest_what#* }
			case $selftest_line in
			"ok "*" # SKIP"*)
				skip "$selftest_name: ${selftest_what%% # SKIP*}" \
					"${selftest_what#* # SKIP }" ;;
			"ok "*)
				ok "$selftest_name: $selftest_what" ;;
			"not ok "*)
				not_ok "$selftest_name: $selftest_what" ;;
			"status "*)
				equal "$selftest_name ends well" "status 0" \
					"$selftest_line" ;;
			*)
				say "$selftest_line" ;;
			esac
		done <"/tmp/$selftest_name.tap"
	done
}
