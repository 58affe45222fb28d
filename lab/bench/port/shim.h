/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What an allocator needs of the kernel beyond the headers that the kernel has
 * for programs (tools/include): the files of the pool, and of the allocator that
 * stock uses, are compiled with these and with this file, which stands in for
 * every other header that they name.
 *
 * What it costs is near to the kernel's, as far as two processors notice each
 * other: atomic operations and spin locks are those of the processor, data of
 * each CPU is reached through a variable of the thread.  Turning interrupts off
 * and RCU cost nothing here.
 */
#ifndef PORT_SHIM_H
#define PORT_SHIM_H

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/align.h>
#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/compiler.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/log2.h>
#include <linux/types.h>

#define PAGE_SHIFT		12
#define PAGE_SIZE		BIT(PAGE_SHIFT)
#define SZ_4K			0x1000

/* What an allocator says of its own mistakes */
#define WARN_ON(condition) ({					\
	bool port_wrong = (condition);				\
								\
	if (unlikely(port_wrong))				\
		fprintf(stderr, "%s:%d: %s\n", __FILE__,	\
			__LINE__, #condition);			\
	unlikely(port_wrong);					\
})

static inline unsigned long offset_in_page_address(unsigned long address)
{
	return address & (PAGE_SIZE - 1);
}

#define offset_in_page(p)	offset_in_page_address((unsigned long)(p))

static inline int order_base_2(unsigned long n)
{
	return n > 1 ? ilog2(n - 1) + 1 : 0;
}

static inline bool in_nmi(void)
{
	return false;
}

static inline void cond_resched(void)
{
}

/* A run of @nr zeros, found as the kernel's lib/bitmap.c does */
static inline unsigned long
bitmap_find_next_zero_area_off(unsigned long *map, unsigned long size,
			       unsigned long start, unsigned int nr,
			       unsigned long mask, unsigned long offset)
{
	unsigned long index, used;

	for (;;) {
		index = find_next_zero_bit(map, size, start);
		index = ((index + offset + mask) & ~mask) - offset;
		if (index + nr > size)
			return index + nr;
		used = find_next_bit(map, index + nr, index);
		if (used >= index + nr)
			return index;
		start = used + 1;
	}
}

static inline unsigned long
bitmap_find_next_zero_area(unsigned long *map, unsigned long size,
			   unsigned long start, unsigned int nr,
			   unsigned long mask)
{
	return bitmap_find_next_zero_area_off(map, size, start, nr, mask, 0);
}

/* Atomic operations */
struct port_long {
	long counter;
};

#define atomic_long_t		struct port_long
#define atomic_long_read(v)	READ_ONCE((v)->counter)
#define atomic_long_set(v, i)	WRITE_ONCE((v)->counter, i)
#define atomic_long_add(i, v)	\
	__atomic_fetch_add(&(v)->counter, i, __ATOMIC_SEQ_CST)
#define atomic_long_sub(i, v)	\
	__atomic_fetch_sub(&(v)->counter, i, __ATOMIC_SEQ_CST)

#define xchg(ptr, val)		__atomic_exchange_n(ptr, val, __ATOMIC_SEQ_CST)
#define try_cmpxchg(ptr, old, new)				\
	__atomic_compare_exchange_n(ptr, old, new, false,	\
				    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)
#define cmpxchg(ptr, old, new) ({				\
	typeof(ptr) port_ptr = (ptr);				\
	typeof(*port_ptr) port_old = (old);			\
								\
	try_cmpxchg(port_ptr, &port_old, new);			\
	port_old;						\
})
/* All barriers are full ones */
#define smp_store_mb(var, val)	\
	__atomic_store_n(&(var), val, __ATOMIC_SEQ_CST)
#define smp_mb			__sync_synchronize
/* More than an acquire */
#define smp_load_acquire(ptr)	__atomic_load_n(ptr, __ATOMIC_SEQ_CST)
/* More than a release */
#define smp_store_release(ptr, val)	\
	__atomic_store_n(ptr, val, __ATOMIC_SEQ_CST)

static inline void cpu_relax(void)
{
	__builtin_ia32_pause();
}

/* Locks: there are no interrupts to be turned off */
struct port_lock {
	int taken;
};

#define spinlock_t		struct port_lock

static inline void spin_lock_init(struct port_lock *lock)
{
	lock->taken = 0;
}

static inline void spin_lock(struct port_lock *lock)
{
	while (xchg(&lock->taken, 1))
		while (READ_ONCE(lock->taken))
			cpu_relax();
}

static inline void spin_unlock(struct port_lock *lock)
{
	__atomic_store_n(&lock->taken, 0, __ATOMIC_RELEASE);
}

#define spin_lock_irqsave(lock, flags)		\
	({ (flags) = 0; spin_lock(lock); })
#define spin_unlock_irqrestore(lock, flags)	\
	({ (void)(flags); spin_unlock(lock); })

static inline void rcu_read_lock(void)
{
}

static inline void rcu_read_unlock(void)
{
}

/* Nobody waits here */
struct port_queue {
	int unused;
};

#define wait_queue_head_t	struct port_queue
#define wait_event_timeout(queue, condition, timeout)	\
	({ (void)(queue); (void)(timeout); (condition); })

static inline void init_waitqueue_head(struct port_queue *queue)
{
}

static inline void wake_up_all(struct port_queue *queue)
{
}

/* Memory */
#define GFP_KERNEL		0
#define NUMA_NO_NODE		(-1)
#define dma_addr_t		u64

static inline void *port_zalloc(size_t size)
{
	size_t whole = ALIGN(size, PAGE_SIZE);
	void *memory = aligned_alloc(PAGE_SIZE, whole);

	return memory ? memset(memory, 0, whole) : NULL;
}

static inline void *kzalloc_node(size_t size, int gfp, int nid)
{
	return port_zalloc(size);
}

static inline void *kmalloc_node(size_t size, int gfp, int nid)
{
	return port_zalloc(size);
}

static inline void *vzalloc_node(size_t size, int nid)
{
	return port_zalloc(size);
}

static inline void kfree(const void *memory)
{
	free((void *)memory);
}

#define kfree_const		kfree
#define vfree			kfree

/* Data of each CPU: which one it is, a thread says itself */
#define PORT_CPUS		2
#define PERCPU_STRIDE		4096UL

extern __thread unsigned int this_cpu;

static inline int *port_first_cpu(int *cpu)
{
	*cpu = 0;
	return cpu;
}

#define __percpu
#define per_cpu_ptr(ptr, cpu)	\
	((typeof(ptr))((char *)(ptr) + (cpu) * PERCPU_STRIDE))
#define raw_cpu_ptr(ptr)	per_cpu_ptr(ptr, this_cpu)
#define this_cpu_inc(var)	((*raw_cpu_ptr(&(var)))++)
#define for_each_possible_cpu(cpu)				\
	for (int *port_cpu = port_first_cpu(&(cpu));		\
	     *port_cpu < PORT_CPUS; (*port_cpu)++)
#define alloc_percpu(type) ({				\
	static_assert(sizeof(type) <= PERCPU_STRIDE);	\
	(type *)port_zalloc(PORT_CPUS * PERCPU_STRIDE);	\
})
#define free_percpu		kfree

static inline unsigned int num_possible_cpus(void)
{
	return PORT_CPUS;
}

/**
 * struct page - what an allocator uses of the kernel's
 * @flags: nothing
 * @index: see drivers/pci/p2pdma_run.c
 * @private: likewise
 * @zone_device_data: likewise
 * @references: number of references
 *
 * As large as the kernel's, so that as many share a line of the cache.
 */
struct page {
	unsigned long	flags;
	unsigned long	index;
	unsigned long	private;
	void		*zone_device_data;
	int		references;
} __aligned(64);

static inline int page_ref_count(const struct page *page)
{
	return READ_ONCE(page->references);
}

static inline void put_page(struct page *page)
{
	page->references--;
}

/* Lists, which grow before anybody reads them */
#define list_add_rcu		list_add
#define list_add_tail_rcu	list_add_tail
#define list_for_each_entry_rcu		list_for_each_entry
#define list_for_each_entry_lockless	list_for_each_entry

struct llist_node {
	struct llist_node *next;
};

struct llist_head {
	struct llist_node *first;
};

#define llist_entry		container_of

static inline void init_llist_head(struct llist_head *head)
{
	head->first = NULL;
}

static inline void llist_add(struct llist_node *node, struct llist_head *head)
{
	node->next = READ_ONCE(head->first);
	while (!try_cmpxchg(&head->first, &node->next, node))
		;
}

static inline struct llist_node *llist_del_first(struct llist_head *head)
{
	struct llist_node *node = READ_ONCE(head->first);

	while (node && !try_cmpxchg(&head->first, &node, node->next))
		;
	return node;
}

/* What the end of lib/genalloc.c is about: named there, and never called */
struct device;
struct device_node;

void *devres_alloc(void (*release)(struct device *dev, void *data), size_t size,
		   int gfp);
void *devres_find(struct device *dev,
		  void (*release)(struct device *dev, void *data),
		  void *match, void *data);
void devres_add(struct device *dev, void *data);
void devres_free(void *data);
char *kstrdup_const(const char *text, int gfp);
int dev_to_node(struct device *dev);

#endif /* PORT_SHIM_H */
