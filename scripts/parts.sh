# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What scripts/test, scripts/test-debug and scripts/coverage share: they run parts one
# after the other, and add up what each of them has counted. It is sourced after lib.sh,
# not run.
#
# Each part ends its output with "# NAME: P passed, F failed, S skipped"; one that
# ends without such a line has died and counts as a failure of its own. A part that
# fails does not keep the next one from running unless that one has nothing to run
# on, which is what stand and not_run are for. A part may run beside others, and is
# counted when it is awaited.

# Variables such as logs are those of lib.sh.
# shellcheck disable=SC2154
passed=0
failed=0
skipped=0
reasons=()
# the process of the part that runs beside others
aside=

interrupted()
{
	# It does not belong to the terminal, which tells the others to stop.
	if [ -n "$aside" ]; then
		kill -TERM -- "-$aside" 2>/dev/null || true
	fi
	printf '\n%s: interrupted\n' "$me" >&2
	exit 130
}
trap interrupted INT TERM

heading()
{
	printf '\n== %s: %s\n' "$1" "$2"
}

# stand NAME COMMAND...: something that the tests stand on.
stand()
{
	local name=$1 status=0

	shift
	"$@" || status=$?
	if [ "$status" = 0 ]; then
		return 0
	fi
	failed=$((failed + 1))
	reasons+=("$name failed with status $status")
	return 1
}

# stand_on_tree: packages and the assembled tree, on which everything stands.
stand_on_tree()
{
	prepare_build
	heading deps "packages from Debian"
	stand deps "$top/scripts/install-deps" || true
	heading tree "stock kernel with this project laid over it"
	stand tree "$top/scripts/assemble"
}

# not_run NAME WHY
not_run()
{
	failed=$((failed + 1))
	reasons+=("$1 was not run: $2")
}

# left NAME WHY: a part that is skipped.
left()
{
	printf '%s is skipped: %s\n' "$1" "$2"
	skipped=$((skipped + 1))
	reasons+=("$1 was skipped: $2")
}

# part NAME COMMAND...: something that counts. The part of a name such as lab-debug
# before the dash is what the command calls itself.
part()
{
	local name=$1 status=0

	shift
	# tee would die of an interrupt before the command's last words.
	"$@" 2>&1 | (trap '' INT; tee "$logs/test-$name.log") || status=$?
	counted "$name" "$status"
}

# lab_jobs: how many scenarios to run at a time, where little runs beside them. Each
# uses one processor, and in a kernel full of checkers up to 3 GiB of memory.
lab_jobs()
{
	local jobs room

	jobs=$(nproc)
	room=$(awk '$1 == "MemAvailable:" { print int($2 / (3 * 1024 * 1024)) }' /proc/meminfo)
	if [ "$room" -lt "$jobs" ]; then
		jobs=$room
	fi
	printf '%s\n' "${LAB_JOBS:-$((jobs > 0 ? jobs : 1))}"
}

# beside NAME COMMAND...: a part that starts now, gets what processors the following
# ones leave idle, and is silent until it is awaited. There can be one.
beside()
{
	local name=$1

	shift
	setsid nice -n 10 "$@" >"$logs/test-$name.log" 2>&1 </dev/null &
	aside=$!
}

# await NAME: waits for it, and shows what it printed.
await()
{
	local name=$1 status=0

	wait "$aside" || status=$?
	aside=
	cat "$logs/test-$name.log"
	counted "$name" "$status"
}

# counted NAME STATUS: adds up what the part has counted in its log.
counted()
{
	local name=$1 status=$2 log=$logs/test-$1.log line counts

	line=$(grep -E "^# ${name%%-*}: [0-9]+ passed, [0-9]+ failed, [0-9]+ skipped\$" "$log" | tail -n 1 || true)
	if [ -z "$line" ]; then
		failed=$((failed + 1))
		reasons+=("$name ended with status $status before it had counted: see ${log#"$top/"}")
		return
	fi
	read -r -a counts <<<"$line"
	passed=$((passed + counts[2]))
	failed=$((failed + counts[4]))
	skipped=$((skipped + counts[6]))
	if [ "${counts[4]}" != 0 ]; then
		reasons+=("$name: ${counts[4]} failed, see ${log#"$top/"}")
	elif [ "$status" != 0 ]; then
		failed=$((failed + 1))
		reasons+=("$name ended with status $status though it counted no failure: see ${log#"$top/"}")
	elif [ "${counts[2]}" = 0 ]; then
		failed=$((failed + 1))
		reasons+=("$name ran no test: see ${log#"$top/"}")
	fi
}

# totals FILE: prints the reasons and the last line, which goes to FILE too; the exit
# status of it all.
totals()
{
	local reason tail=

	printf '\n'
	for reason in "${reasons[@]}"; do
		printf '%s\n' "$reason"
	done
	if [ "$passed" = 0 ] && [ "$failed" = 0 ]; then
		failed=1
		printf 'no test ran\n'
	fi
	if [ "$skipped" != 0 ]; then
		tail=", $skipped skipped"
	fi
	printf '%s passed, %s failed%s\n' "$passed" "$failed" "$tail" | tee "$1"
	[ "$failed" = 0 ]
}
