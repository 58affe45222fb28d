# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the scripts of this directory share. It is sourced, not run.
#
# It fixes the environment first: a kernel build is steered by dozens of
# variables (ARCH, KCFLAGS, O, V, ...), and make hands its own command line down
# in MAKEFLAGS. Whatever of that the user's shell happens to hold must not leak
# into a build that is meant to be the same everywhere.
#
# Variables for the caller:
#   top      the repository
#   build    everything that is generated
#   stamps   small files that say what the things in build/ were made from
#   logs     full output of the commands whose progress is shown in one line

set -euo pipefail

unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES ARCH SUBARCH CROSS_COMPILE \
	KBUILD_OUTPUT O V C W CF LLVM KCFLAGS KCPPFLAGS KAFLAGS LOCALVERSION \
	KCONFIG_CONFIG KCONFIG_ALLCONFIG INSTALL_MOD_PATH QUILT_SERIES \
	QUILT_PATCHES QUILT_PC CDPATH GREP_OPTIONS
export LC_ALL=C

# Constant names and dates: the same sources give the same bytes, so that ccache
# hits and a second build has nothing to do.
export KBUILD_BUILD_TIMESTAMP='Mon Jan  1 00:00:00 UTC 2024'
export KBUILD_BUILD_USER=p2pdma KBUILD_BUILD_HOST=lab KBUILD_BUILD_VERSION=1

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
build=$top/build
# shellcheck disable=SC2034 # used by the scripts that source this file
stamps=$build/stamps
# shellcheck disable=SC2034
logs=$build/log

# shellcheck disable=SC2034 # for the traps of the scripts
explained=no
me=${0##*/}

# die SENTENCE: says what is wrong and what to do, and ends the script.
die()
{
	# shellcheck disable=SC2034
	explained=yes
	printf '%s: %s\n' "$me" "$*" >&2
	exit 1
}

note()
{
	printf '%s\n' "$*"
}

# ccache wants a home; some users (nobody) have none.
if [ ! -w "${HOME:-/nonexistent}" ]; then
	export CCACHE_DIR=${CCACHE_DIR:-$build/ccache}
fi

# share_ccache: lets ccache see paths in build/ relative to where the compiler is
# run, so that trees in different directories share what is equal. In messages of
# such a kernel the name of a source file begins with "../linux/".
share_ccache()
{
	export CCACHE_BASEDIR=$build
}

case $top in
*[[:space:]:]*)
	die "the path of this repository, '$top', contains a space or a colon, which kernel makefiles cannot handle; move the repository to a path without them"
	;;
esac

# free_mib DIR: free space of the file system that holds DIR, in MiB.
free_mib()
{
	df -Pm "$1" | awk 'NR == 2 { print $4 }'
}

# used_mib PATH...: size of what exists of the paths, in MiB.
used_mib()
{
	du -scm "$@" 2>/dev/null | awk 'END { print $1 + 0 }'
}

# prepare_build: makes the directories that all scripts expect.
prepare_build()
{
	mkdir -p "$stamps" "$logs" 2>/dev/null ||
		die "cannot write to $build; make it writable for $(id -un), or remove it"
	[ -w "$build" ] ||
		die "cannot write to $build; make it writable for $(id -un), or remove it"
}

# lock NAME WHAT: one run at a time works on WHAT. The kernel drops the lock when
# the process ends, however it ends, so there is no stale one to remove.
lock()
{
	exec {lock_fd}>"$build/.lock-$1"
	if ! flock -n "$lock_fd"; then
		note "waiting for another run that works on $2"
		flock "$lock_fd"
	fi
}

# What installs the commands that a script needs; some say more.
install_deps=scripts/install-deps

# need COMMAND...: stops if a command is missing.
need()
{
	local command

	for command; do
		command -v "$command" >/dev/null ||
			die "the command '$command' is missing; run $install_deps"
	done
}

# need_tree: stops if scripts/assemble has not made build/linux.
need_tree()
{
	[ -f "$stamps/linux" ] ||
		die "there is no complete build/linux; run 'make tree' first"
}

# The packaged Python, not one that happens to come first in PATH, unless that is
# all there is.
find_python()
{
	local candidate

	for candidate in /usr/bin/python3 python3; do
		if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
			printf '%s\n' "$candidate"
			return
		fi
	done
	die "Python 3.11 or newer is missing; run scripts/install-deps"
}

# kernel_version TREE: the version in the top Makefile, "6.12.30", or nothing if
# the tree is no kernel.
kernel_version()
{
	[ -f "$1/Makefile" ] && [ -f "$1/Kbuild" ] || return 0
	awk -F ' *= *' '
		$1 == "VERSION" { v = $2 }
		$1 == "PATCHLEVEL" { p = $2 }
		$1 == "SUBLEVEL" { s = $2; exit }
		END { if (v != "") print v "." p "." s }' "$1/Makefile"
}

# list_patches: the names in patches/series, one a line, in their order.
list_patches()
{
	local line patch

	while IFS= read -r line || [ -n "$line" ]; do
		read -r patch _ <<<"${line%%#*}" || true
		if [ -n "$patch" ]; then
			printf '%s\n' "$patch"
		fi
	done <"$top/patches/series"
}

# whole_files PATCH: the whole files that it brings, one path a line.
whole_files()
{
	sed -n '/^--- /q; s/^Whole-files: //p' "$top/patches/$1"
}

# Arguments that every kernel make gets.
# shellcheck disable=SC2034
kmake=(ARCH=x86_64 "CC=ccache gcc" "HOSTCC=ccache gcc")

# commit_id: the commit of this repository, "g1234567", with ".changed" if files differ
# from it; nothing without git.
commit_id()
{
	local commit

	commit=$(git -C "$top" rev-parse --short=7 HEAD 2>/dev/null) || return 0
	[ -z "$(git -C "$top" status --porcelain)" ] || commit+=.changed
	printf 'g%s\n' "$commit"
}

# granted FRAGMENT CONFIG: stops if an option of the fragment is not so in CONFIG,
# because Kconfig drops what cannot be without a word.
granted()
{
	local fragment=$1 config=$2 line option

	while IFS= read -r line; do
		case $line in
		CONFIG_*=*)
			grep -qxF -- "$line" "$config" ||
				die "${fragment#"$top/"} asks for $line, but Kconfig does not grant it; add what the option depends on, or remove the line"
			;;
		'# CONFIG_'*' is not set')
			option=${line#\# }
			option=${option%% *}
			if grep -q "^$option=" "$config"; then
				die "${fragment#"$top/"} turns $option off, but another option selects it; remove one of the two"
			fi
			;;
		esac
	done <"$fragment"
}

# make_config TREE OUT FRAGMENT LOG: makes OUT/.new/config from allnoconfig and the
# fragment.
make_config()
{
	local tree=$1 out=$2 fragment=$3 log=$4

	# What the configuration depends on besides the fragment: the Kconfig files,
	# ours among them, and the compiler. Asking Kconfig takes a few seconds.
	mkdir -p "$out/.new"
	if ! KCONFIG_ALLCONFIG=$fragment KCONFIG_CONFIG=$out/.new/config \
	     make -C "$tree" O="$out" "${kmake[@]}" allnoconfig >"$log" 2>&1; then
		tail -n 10 "$log" >&2
		die "the kernel's configuration failed; the last lines are above, all of them in $log"
	fi
}

# install_config OUT: makes it the configuration of OUT, if it differs.
install_config()
{
	cmp -s "$1/.new/config" "$1/.config" ||
		cp "$1/.new/config" "$1/.config"
}

# configure TREE OUT FRAGMENT LOG: makes OUT/.config from allnoconfig and the
# fragment, and stops if an option of the fragment did not survive.
configure()
{
	local tree=$1 out=$2 fragment=$3 log=$4

	make_config "$tree" "$out" "$fragment" "$log"
	granted "$fragment" "$out/.new/config"
	install_config "$out"
}

# merge_fragments FILE...: the fragments as one; what a later one says of an option
# takes the place of what an earlier one says.
merge_fragments()
{
	awk '
		/^CONFIG_[A-Za-z0-9_]+=/ || /^# CONFIG_[A-Za-z0-9_]+ is not set$/ {
			match($0, /CONFIG_[A-Za-z0-9_]+/)
			option[NR] = substr($0, RSTART, RLENGTH)
			last[option[NR]] = NR
		}
		{ line[NR] = $0 }
		END {
			for (i = 1; i <= NR; i++)
				if (!(i in option) || last[option[i]] == i)
					print line[i]
		}' "$@"
}

# prepare_objects TREE OUT FRAGMENT LOG: configures OUT, and makes what single objects are
# compiled with.
prepare_objects()
{
	configure "$@"
	make_prepare "$1" "$2" "$4"
}

# make_prepare TREE OUT LOG: the same where there is a configuration already.
make_prepare()
{
	if ! make -C "$1" O="$2" "${kmake[@]}" -j"$(nproc)" prepare >>"$3" 2>&1; then
		tail -n 20 "$3" >&2
		die "a kernel tree could not be prepared; the last lines are above, all of them in $3"
	fi
}

# build_kernel NAME TREE OUT FRAGMENT [MANIFEST]: configures and builds a kernel, with a
# line of progress. The log is build/log/NAME.log. MANIFEST lists the files of the tree
# that may change.
build_kernel()
{
	local name=$1 tree=$2 out=$3 fragment=$4 manifest=${5-$stamps/manifest} python

	python=$(find_python)
	share_ccache
	configure "$tree" "$out" "$fragment" "$logs/$name-config.log"
	"$python" "$top/scripts/progress" --name "$name" --log "$logs/$name.log" \
		--objects "$out" --tree "$tree" --stamps "$stamps" --manifest "$manifest" \
		--expect "$(sed -n 's/^# Targets of a build from nothing: //p' "$fragment")" -- \
		make -C "$tree" O="$out" "${kmake[@]}" "${instrument[@]}" -j"$(nproc)" all
}

# The C files of ours that the kernel is made of: not the tests, nor what only they
# use.
our_sources()
{
	local dir

	(
		cd "$top"
		for dir in drivers kernel mm block lib; do
			if [ -d "$dir" ]; then
				find "$dir" -name '*.c' ! -path '*/tests/*' \
					! -name '*_test.c' ! -name '*_kunit.c' ! -name '*_stage.c'
			fi
		done
	) | sort
}

# Makefiles ask a variable for each object whether it is to be instrumented, and one
# for the rest of their directory. Given on the command line these are set for all
# directories at once, so that no Makefile of the series has to know. An object of
# the base that has the same name as one of ours would be instrumented too.
#
# instrument holds what profile_ours or sanitize_ours have to say to make.
instrument=()

# profile_ours: counters for coverage (CONFIG_GCOV_KERNEL), as the kernel's own
# Makefile has them but for what is switched off. Those steps of the compiler come
# before it puts counters in, and merge what an error path does, which often is just
# "return -ENOMEM;", into others, so that there is no line left to count.
profile_ours()
{
	local file flags

	flags='-fprofile-arcs -ftest-coverage -fprofile-update=prefer-atomic'
	flags+=' -fno-tree-loop-im -fno-early-inlining -fno-tree-ccp -fno-tree-copy-prop'
	flags+=' -fno-tree-fre -fno-tree-forwprop -fno-tree-vrp'
	instrument+=("CFLAGS_GCOV=$flags")
	while IFS= read -r file; do
		file=${file##*/}
		instrument+=("GCOV_PROFILE_${file%.c}.o=y")
	done < <(our_sources)
}

# sanitize_ours: KCSAN, and for no other object
sanitize_ours()
{
	local file

	instrument+=(KCSAN_SANITIZE=n)
	while IFS= read -r file; do
		file=${file##*/}
		instrument+=("KCSAN_SANITIZE_${file%.c}.o=y")
	done < <(our_sources)
}
