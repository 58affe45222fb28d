# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# What scenarios with an NVMe target use: the network, the target's configuration,
# its initiator, and load on what the initiator sees. The namespace is on the drive
# DESTINATION of the machine that has the target.

nqn=lab
address=10.0.0.1
nvmet=/sys/kernel/config/nvmet
subsystem=$nvmet/subsystems/$nqn
namespace=$subsystem/namespaces/1

# network_up [ADDRESS]: the network card gets an address, if not the target's, and the
# kernel its configuration file system.
network_up()
{
	mount -t configfs configfs /sys/kernel/config &&
		ip link set lo up &&
		ip addr add "${1-$address}/24" dev eth0 &&
		ip link set eth0 up &&
		wait_until grep -q 1 /sys/class/net/eth0/carrier
}

# rdma_up TYPE / rdma_down TYPE: software RDMA (siw or rxe) on the network card.
rdma_up()
{
	rdma link add "lab$1" type "$1" netdev eth0 &&
		wait_until rdma_active "lab$1"
}

rdma_active()
{
	rdma link show "$1/1" | grep -q "state ACTIVE"
}

rdma_down()
{
	rdma link delete "lab$1"
}

# target_up P2PMEM: a subsystem with one namespace, for which p2pmem is P2PMEM.
target_up()
{
	mkdir "$subsystem" &&
		echo 1 >"$subsystem/attr_allow_any_host" &&
		namespace_up "$1"
}

# namespace_up P2PMEM: a namespace, for which p2pmem is P2PMEM.
namespace_up()
{
	mkdir "$namespace" &&
		drive "$DESTINATION" >"$namespace/device_path" &&
		echo "$1" >"$namespace/p2pmem" &&
		echo 1 >"$namespace/enable"
}

target_down()
{
	configure enable 0 && rmdir "$namespace" "$subsystem"
}

# use_namespace NUMBER: which of the subsystem's namespaces is meant from now on, if
# not the first one.
use_namespace()
{
	namespace=$subsystem/namespaces/$1
}

# configure FILE VALUE: write to a file of the namespace.
configure()
{
	echo "$2" >"$namespace/$1"
}

# setting: what the namespace's p2pmem is.
setting()
{
	cat "$namespace/p2pmem"
}

# port_up TRANSPORT / port_down: the subsystem can be reached by rdma, tcp or loop.
# Over RDMA no data comes in the capsules of commands, because such data cannot be in
# peer-to-peer memory.
port_up()
{
	mkdir $nvmet/ports/1 && echo "$1" >$nvmet/ports/1/addr_trtype || return
	if [ "$1" = rdma ]; then
		echo 0 >$nvmet/ports/1/param_inline_data_size || return
	fi
	if [ "$1" != loop ]; then
		echo ipv4 >$nvmet/ports/1/addr_adrfam &&
			echo $address >$nvmet/ports/1/addr_traddr &&
			echo 4420 >$nvmet/ports/1/addr_trsvcid || return
	fi
	ln -s "$subsystem" $nvmet/ports/1/subsystems/$nqn
}

port_down()
{
	rm $nvmet/ports/1/subsystems/$nqn && rmdir $nvmet/ports/1
}

# connect TRANSPORT [HOST NUMBER] / disconnect: as a host, if not as the usual one.
# Requests go over the first connection, or by take_turns over all that there are.
# A machine that stands still for some seconds must not be taken for one that is gone:
# what is repeated then would be counted twice.
connect()
{
	connect_id=00000000-0000-4000-8000-00000000000${3-1}
	# nvme-cli takes another host's connection to the port for this one's.
	if [ -n "$2" ]; then
		echo "transport=$1,traddr=$address,trsvcid=4420,nqn=$nqn,\
hostnqn=nqn.$2,hostid=$connect_id,nr_io_queues=2,reconnect_delay=1,\
keep_alive_tmo=60" \
			>/dev/nvme-fabrics && wait_until connected
		return
	fi
	set -- -t "$1" -n $nqn -q nqn.lab -I "$connect_id" -k 60
	if [ "$2" != loop ]; then
		set -- "$@" -a $address -s 4420 -i 2 --reconnect-delay=1
	fi
	nvme connect "$@" >/dev/null && wait_until connected
}

disconnect()
{
	nvme disconnect -n $nqn >/dev/null
}

# comes_again: an initiator may miss that a namespace is there again, when it has not
# yet got rid of the disk that it had of it.
comes_again()
{
	disconnect && connect rdma
}

take_turns()
{
	for turns_dir in /sys/class/nvme-subsystem/*; do
		[ "$(cat "$turns_dir/subsysnqn")" != $nqn ] ||
			echo round-robin >"$turns_dir/iopolicy" || return
	done
}

# fabric: the block device that the initiator has.
fabric()
{
	for fabric_dir in /sys/class/nvme-subsystem/*; do
		[ "$(cat "$fabric_dir/subsysnqn")" = $nqn ] || continue
		for fabric_disk in "$fabric_dir"/nvme*n*; do
			[ -b "/dev/${fabric_disk##*/}" ] &&
				echo "/dev/${fabric_disk##*/}"
		done
	done
}

# fabric_namespace NUMBER: the block device of one namespace, of several.
fabric_namespace()
{
	for fabric_found in $(fabric); do
		[ "$(cat "/sys/block/${fabric_found##*/}/nsid")" != "$1" ] ||
			echo "$fabric_found"
	done
}

# has_namespace NUMBER: does the initiator have it?
has_namespace()
{
	[ -n "$(fabric_namespace "$1")" ]
}

connected()
{
	[ -n "$(fabric)" ]
}

# counted NAME: a counter of the target.
counted()
{
	sed -n "s/^$1 //p" "$namespace/p2pmem_stats"
}

# counters: all of them.
counters()
{
	cat "$namespace/p2pmem_stats"
}

# providers: what each controller uses, or why it uses none; without its number.
providers()
{
	cut -d ' ' -f 2- "$namespace/p2pmem_providers"
}

uses()
{
	[ "$(providers)" = "$1" ]
}

# more NAME THAN: has a counter grown beyond a value?
more()
{
	[ "$(counted "$1")" -gt "$2" ]
}

# load WORD...: fio on the initiator's device, with checksums; WORDs say what is to
# be done. What fio prints is of interest only if it fails. It must not make a file
# where a device has just gone: the device that comes again would not get the name.
load()
{
	fio --name=load --filename="$(fabric)" --allow_file_create=0 --direct=1 \
		--ioengine=libaio \
		--iodepth=32 --verify=crc32c --verify_fatal=1 --randseed=1 \
		--output=/tmp/fio "$@" && return
	sed -n '/err=\|verify\|fio:/p' /tmp/fio
	return 1
}

# start_load / end_load: load in the background, for as long as it takes. What becomes
# of it is in /tmp/outcome as soon as it ends by itself.
start_load()
{
	rm -f /tmp/enough /tmp/outcome
	(
		while load --rw=randwrite --size=4M --bssplit=4k/60:32k/30:256k/10; do
			[ -e /tmp/enough ] && echo "goes on" >/tmp/outcome && exit 0
		done
		if grep -q 'verify: bad\|verify failed' /tmp/fio; then
			echo "finds wrong data" >/tmp/outcome
		else
			echo fails >/tmp/outcome
		fi
		exit 1
	) >/tmp/load 2>&1 4>&- 5<&- &
	loader=$!
}

end_load()
{
	touch /tmp/enough
	wait "$loader" && return
	cat /tmp/load
	return 1
}

# grows NAME: does a counter grow?
grows()
{
	grows_from=$(counted "$1")
	wait_until more "$1" "$grows_from"
}

# free NAME: bytes of its memory that are free.
free()
{
	cat "$(pci "$1")/p2pmem/available"
}

has_back()
{
	[ "$(free "$1")" = "$2" ]
}

# drive_stat: what the block layer has counted of the drive DESTINATION.
drive_stat()
{
	cat "/sys/block/$(basename "$(drive "$DESTINATION")")/stat"
}

# is_left: nothing is done to the drive for a second. A disk that has just come is
# looked at for partitions, which a watch that begins meanwhile would half count.
is_left()
{
	left_before=$(drive_stat)
	sleep "${PATIENCE:-1}"
	[ "$(drive_stat)" = "$left_before" ]
}

# watch LABEL VIA / unwatch LABEL: what the drive DESTINATION does in between goes to
# the ledger, and has to go through memory of VIA, a provider or "system", or with
# "+system" through either.
watch()
{
	wait_until is_left
	lab_ask "watch label=$1 drive=$DESTINATION via=$2"
	peer_before=$(peer_bytes)
	system_before=$(counted system_bytes)
}

unwatch()
{
	lab_ask "unwatch label=$1" >/tmp/watched || { cat /tmp/watched; return 1; }
	peer_counted=$(($(peer_bytes) - peer_before))
	system_counted=$(($(counted system_bytes) - system_before))
}

# moved VERB_MEMORY: bytes that QEMU saw while the drive was watched, for example
# "moved read_peer" or "moved write_system".
moved()
{
	field "$1" "$(cat /tmp/watched)"
}

peer_bytes()
{
	echo $(($(counted cpu_copy_bytes) + $(counted dma_bytes)))
}

# agree NAME: the target counted what the drive was told to move.
agree()
{
	equal "$1: the target counted what the drive moved" \
		"peer $(($(moved read_peer) + $(moved write_peer))) \
system $(($(moved read_system) + $(moved write_system)))" \
		"peer $peer_counted system $system_counted"
}
