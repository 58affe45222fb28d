# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# What is looked at when a run is over: memory that nothing points to any more,
# how often KCSAN watched, and which lines were executed. lab/runner/after.py
# judges it. File descriptor 3 is the way out, to the runner or into a file.

# after: look at whatever the kernel has, and tell.
after()
{
	after_words=
	[ ! -e /sys/kernel/debug/kmemleak ] || after_kmemleak
	[ ! -e /sys/kernel/debug/kcsan ] || after_kcsan
	[ ! -d /sys/kernel/debug/gcov ] || after_coverage
	[ -z "$after_words" ] || echo "@after$after_words" >&3
}

# Memory counts as lost if two scans find nothing that points to it, and if it is
# older than five seconds. What kmemleak tells of it goes into the kernel log.
after_kmemleak()
{
	after_leaks=/sys/kernel/debug/kmemleak
	sleep 6
	echo scan >$after_leaks && echo scan >$after_leaks || return
	cat $after_leaks >/dev/console
	after_words="$after_words kmemleak=$(grep -c '^unreferenced ' $after_leaks)"
}

after_kcsan()
{
	after_words="$after_words kcsan=$(
		sed -n 's/^setup_watchpoints: //p' /sys/kernel/debug/kcsan)"
}

# The files of debugfs have no size, so that tar would find nothing in them.
after_coverage()
{
	after_copy=/tmp/coverage
	mkdir -p $after_copy
	find /sys/kernel/debug/gcov -name '*.gcda' | while read -r after_file; do
		after_name=$after_copy/${after_file#/sys/kernel/debug/gcov/}
		mkdir -p "${after_name%/*}"
		cat "$after_file" >"$after_name"
	done
	after_words="$after_words coverage=$(find $after_copy -type f | wc -l)"
	tar -C $after_copy -czf - . | base64 | sed 's/^/@tape /' >&3
}
