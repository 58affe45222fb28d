# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2154 # build, top, scratch and jobs
#
# How scripts/check and scripts/check-series report. It is sourced after lib.sh.
#
# One line a check, "ok N - what" or "not ok N - what" with the details below it, or
# "ok N - what # SKIP why", and at the end "# NAME: P passed, F failed, S skipped".
#
# The caller has sourced lib.sh, and sets scratch, a directory that it owns, and jobs.

number=0
passed=0
failed=0
skipped=0

# result WHAT FILE: reports a check; it failed if FILE, its messages, is not empty.
result()
{
	number=$((number + 1))
	if [ ! -s "$2" ]; then
		passed=$((passed + 1))
		note "ok $number - $1"
		return
	fi
	failed=$((failed + 1))
	note "not ok $number - $1"
	head -n 60 "$2" | sed 's/^/#   /'
	if [ "$(wc -l <"$2")" -gt 60 ]; then
		note "#   ... and $(($(wc -l <"$2") - 60)) more lines"
	fi
}

# skip WHAT WHY: a check that cannot be made here.
skip()
{
	number=$((number + 1))
	skipped=$((skipped + 1))
	note "ok $number - $1 # SKIP $2"
}

# each WHAT COMMAND...: runs COMMAND FILE in the repository for each path on standard
# input, several at a time. The check failed if the command did; what it printed are
# the details.
each()
{
	local what=$1 file list=$scratch/list out=$scratch/each

	shift
	cat >"$list"
	rm -rf "$out"
	mkdir "$out"
	(
		cd "$top" || exit
		# shellcheck disable=SC2016 # expanded by the inner shell
		tr '\n' '\0' <"$list" | xargs -0 -r -P "$jobs" -I {} bash -c '
			out=$1 file=$2
			shift 2
			log=$out/${file//\//%}
			if "$@" "$file" >"$log" 2>&1; then
				: >"$log"
			elif [ ! -s "$log" ]; then
				echo "the command failed without a message" >"$log"
			fi' each "$out" {} "$@"
	)
	while IFS= read -r file; do
		result "$what ${file#"$build/"}" "$out/${file//\//%}"
	done <"$list"
}

# finish NAME: the last line; the status is 0 if something passed and nothing failed.
finish()
{
	note "# $1: $passed passed, $failed failed, $skipped skipped"
	[ "$failed" = 0 ] && [ "$passed" != 0 ]
}
