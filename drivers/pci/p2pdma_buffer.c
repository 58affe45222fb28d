// SPDX-License-Identifier: GPL-2.0
/*
 * The memory that a process holds, and its mappings.
 *
 * A buffer is a number of pages of one provider, gathered from its pool in as
 * few and as well aligned pieces as there are.  It is a dma-buf
 * (p2pdma_dmabuf.c), whose file gives it an address space of its own.
 *
 * Mappings hold no references to pages; the buffer has all of its pages, for as
 * long as they can be mapped.  Page table entries are marked as those of device
 * memory (devmap), so that the memory management counts nothing when it copies,
 * moves or removes them, and get_user_pages() takes references of its own.  That
 * is what makes a mapping cheap, and lets 2 MiB of device memory, 512 struct
 * pages that live and are counted one by one, be mapped by a single entry.
 *
 * (It could not be 1 GiB: for such entries get_user_pages() counts all
 * references on the first page in this version of the kernel.)
 *
 * Nothing is mapped by mmap() itself.  The first access maps all that can be
 * mapped by large entries at once, and the 2 MiB around it by small ones where
 * that is not possible.  The reason is the end of a provider, which takes
 * mappings away: a mapping that mmap() had filled could not be found before the
 * process has it in its list, nor prevented any more.  Faults come later, and
 * ask whether the memory is still there.  They can also repeat what was undone:
 * the other half of a large entry that a munmap() cut, the page tables that
 * fork() does not copy.
 *
 * Zeros.  Who may not map BARs by other means finds zeros in memory that he is handed,
 * written by the processor before anybody else knows of the buffer.  Not when it is
 * given back: what a buffer gets may as well have been a driver's, such as the NVMe
 * target's with the data of its hosts, or be what an earlier life of the provider has
 * left.  Writing takes a hundred thousand times as long as mapping does.  Processes
 * with CAP_SYS_RAWIO, from whom this would hide little, are spared it, and drivers
 * that allocate for themselves.
 *
 * Giving back.  A page returns to the pool when nobody can map it any more:
 *
 *  - when the last file descriptor and mapping of the dma-buf is gone;
 *  - if there was no file descriptor (p2pmem/allocate), when the last mapping
 *    of just this page is gone, whoever has mapped the rest.  The interval tree
 *    of mappings that the address space has anyway tells that;
 *  - at the end of the provider, when all mappings have been taken away, and
 *    devices have unmapped it.
 *
 * Somebody may still hold a reference then, for I/O that is in flight.  Pages
 * that have one go back on their own, by pci_p2pdma_page_free(), when that is
 * dropped.  No new one can be taken: there are no page table entries any more.
 *
 * Locking: buffer->lock is taken inside mmap_lock and the reservation lock of
 * the dma-buf, and outside of the lock of the address space and of the page
 * tables.  It may be held while memory is allocated.
 *
 * What must never happen: a page in the pool that a page table or a device
 * knows; a cacheable mapping of device memory; a zero of ours that arrives after
 * what the new holder has written.
 */
#define pr_fmt(fmt) "pci-p2pdma: " fmt

#include <linux/bitmap.h>
#include <linux/capability.h>
#include <linux/dcache.h>
#include <linux/dma-buf.h>
#include <linux/fs.h>
#include <linux/huge_mm.h>
#include <linux/io.h>
#include <linux/limits.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/overflow.h>
#include <linux/pfn_t.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/user_namespace.h>

#include "p2pdma.h"
#include "p2pdma_buffer.h"
#include "p2pdma_fast.h"

#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX "pci_p2pdma."

enum zero_whom {
	ZERO_NEVER,
	ZERO_UNPRIVILEGED,
	ZERO_ALWAYS,
};

static const char * const zero_names[] = {
	[ZERO_NEVER]		= "never",
	[ZERO_UNPRIVILEGED]	= "unprivileged",
	[ZERO_ALWAYS]		= "always",
};

static enum zero_whom zero_whom = ZERO_UNPRIVILEGED;

static int zero_set(const char *text, const struct kernel_param *param)
{
	int whom = sysfs_match_string(zero_names, text);

	if (whom < 0) {
		pr_err("zero: '%.*s' is not understood; write never, unprivileged or always\n",
		       (int)strcspn(text, "\n"), text);
		return whom;
	}
	WRITE_ONCE(zero_whom, whom);

	return 0;
}

static int zero_get(char *buf, const struct kernel_param *param)
{
	return sysfs_emit(buf, "%s\n", zero_names[READ_ONCE(zero_whom)]);
}

static const struct kernel_param_ops zero_ops = {
	.set = zero_set,
	.get = zero_get,
};

module_param_cb(zero, &zero_ops, NULL, 0644);
MODULE_PARM_DESC(zero,
		 "For whom to write zeros to peer-to-peer memory that user space gets: never, unprivileged (default) or always");

/* Bytes to zero at a time */
#define ZERO_STEP	SZ_64K

/* Pages that a large page table entry maps */
#define LARGE_PAGES	BIT(PMD_SHIFT - PAGE_SHIFT)

/* Its memory ---------------------------------------------------------------- */

/* The piece that page @n is in */
static struct p2pdma_piece *piece_of(struct p2pdma_buffer *buffer,
				     unsigned long n)
{
	unsigned int low = 0, high = buffer->nr_pieces, mid;

	while (high - low > 1) {
		mid = low + (high - low) / 2;
		if (buffer->piece[mid].first <= n)
			low = mid;
		else
			high = mid;
	}

	return &buffer->piece[low];
}

static void *page_addr(struct p2pdma_piece *piece, unsigned long n)
{
	return piece->addr + ((n - piece->first) << PAGE_SHIFT);
}

/* Room for @more pieces more */
static bool make_room(struct p2pdma_buffer *buffer, unsigned int more)
{
	unsigned int wanted = buffer->nr_pieces + more, room;
	struct p2pdma_piece *piece;

	if (wanted <= buffer->room)
		return true;

	room = max(wanted, buffer->room * 2);
	piece = kvrealloc(buffer->piece, array_size(room, sizeof(*piece)),
			  GFP_KERNEL);
	if (!piece)
		return false;

	buffer->piece = piece;
	buffer->room = room;
	return true;
}

/* Add what was allocated, for which there is room; returns where it ends */
static unsigned long add_piece(struct p2pdma_buffer *buffer, void *addr,
			       unsigned long first, size_t size)
{
	buffer->piece[buffer->nr_pieces++] = (struct p2pdma_piece) {
		.addr	= addr,
		.first	= first,
		.pages	= size >> PAGE_SHIFT,
	};

	return first + (size >> PAGE_SHIFT);
}

/*
 * Up to @size bytes, aligned so that large entries map them, and *@got of them;
 * NULL if there are none.  @large remembers how much there may still be.
 */
static void *alloc_large(struct p2pdma_pool *pool, size_t size, size_t *large,
			 size_t *got)
{
	void *addr;

	while (*large > size)
		*large >>= 1;

	for (; *large >= PMD_SIZE; *large >>= 1) {
		addr = p2pdma_pool_try_aligned(pool, *large, PMD_SIZE);
		if (addr) {
			*got = *large;
			return addr;
		}
	}

	return NULL;
}

/* Pages @done and following, in as few pieces as there are */
static bool fill_rest(struct p2pdma_buffer *buffer, unsigned long done)
{
	struct p2pdma_pool *pool = &buffer->p2p->pool;
	struct page *piece, *next;
	unsigned int nr;
	size_t size;

	if (done == buffer->pages)
		return true;

	piece = p2pdma_pool_gather(pool, (buffer->pages - done) << PAGE_SHIFT,
				   UINT_MAX, SIZE_MAX, &nr);
	if (!piece)
		return false;
	if (!make_room(buffer, nr)) {
		p2pdma_pool_free_pieces(pool, piece);
		return false;
	}

	for (; piece; piece = next) {
		next = p2pdma_pool_next_piece(piece, &size);
		done = add_piece(buffer, page_to_virt(piece), done, size);
	}

	return true;
}

/* The buffer holds what it got, so that destroying it is enough if this fails */
static bool fill(struct p2pdma_buffer *buffer)
{
	unsigned long done = 0;
	size_t got, large;
	void *addr;

	large = rounddown_pow_of_two(buffer->pages) << PAGE_SHIFT;
	while (done < buffer->pages) {
		if (!make_room(buffer, 1))
			return false;

		addr = alloc_large(&buffer->p2p->pool,
				   (buffer->pages - done) << PAGE_SHIFT, &large,
				   &got);
		if (!addr)
			break;

		done = add_piece(buffer, addr, done, got);
	}

	return fill_rest(buffer, done);
}

/*
 * The processor's writes are posted.  What a peer writes to the same place by a
 * shorter path could be there before a zero that is still under way, and be lost.
 * What is read back comes after all that was written before.
 */
static void zero_some(void __iomem *mem, size_t size)
{
	size_t i;

	for (i = 0; i < size; i += sizeof(u64))
		__raw_writeq(0, mem + i);

	/*
	 * Out of the write-combining buffers, before the read: a barrier for writes
	 * alone would let the read overtake them.
	 */
	mb();
	__raw_readq(mem + size - sizeof(u64));
}

/* Who may do raw I/O may map BARs through /proc/bus/pci, whatever is in them */
static bool wants_zeros(void)
{
	switch (READ_ONCE(zero_whom)) {
	case ZERO_NEVER:
		return false;
	case ZERO_ALWAYS:
		return true;
	case ZERO_UNPRIVILEGED:
		break;
	}

	return !ns_capable_noaudit(&init_user_ns, CAP_SYS_RAWIO);
}

/* Device memory is slow: let others run, and who is killed or unplugged give up */
static int zero_all(struct p2pdma_buffer *buffer)
{
	size_t size, done, step;
	void __iomem *mem;
	unsigned int i;

	for (i = 0; i < buffer->nr_pieces; i++) {
		mem = (void __force __iomem *)buffer->piece[i].addr;
		size = buffer->piece[i].pages << PAGE_SHIFT;
		for (done = 0; done < size; done += step) {
			if (fatal_signal_pending(current))
				return -EINTR;
			if (p2pdma_pool_dead(&buffer->p2p->pool))
				return -ENODEV;
			step = min_t(size_t, size - done, ZERO_STEP);
			zero_some(mem + done, step);
			cond_resched();
		}
	}

	return 0;
}

/*
 * Let go of pages that are an allocation of the pool.  What somebody holds a
 * reference to comes home by itself; the sum tells whether there is such a page.
 * (The pool looks at pages in the middle only if there were references before of
 * which it was told, and get_user_pages() tells nobody.)
 */
static void return_run(struct pci_p2pdma *p2p, void *addr, unsigned long pages)
{
	struct page *page = virt_to_page(addr);
	unsigned long i, references = 0;

	for (i = 0; i < pages; i++)
		references += page_ref_count(page + i);

	if (references == pages)
		p2pdma_pool_free(&p2p->pool, addr, pages << PAGE_SHIFT);
	else if (p2pdma_pool_split(&p2p->pool, addr, pages << PAGE_SHIFT))
		for (i = 0; i < pages; i++)
			put_page(page + i);
}

/*
 * Return pages @start to @end - 1, all in one piece and none of them returned
 * yet.  They are part of an allocation of the pool that reaches to the next
 * pages that were returned, or to the ends of the piece.
 */
static void return_part(struct p2pdma_buffer *buffer,
			struct p2pdma_piece *piece, unsigned long start,
			unsigned long end)
{
	unsigned long piece_end = piece->first + piece->pages;
	struct p2pdma_pool *pool = &buffer->p2p->pool;
	unsigned long low, high;

	/* The last page may be what keeps the provider */
	guard(rcu)();

	low = find_last_bit(buffer->returned, start);
	low = low == start ? piece->first : max(low + 1, piece->first);
	high = find_next_bit(buffer->returned, piece_end, end);

	if (low < start)
		p2pdma_pool_cut(pool, page_addr(piece, low),
				(high - low) << PAGE_SHIFT,
				(start - low) << PAGE_SHIFT);
	if (end < high)
		p2pdma_pool_cut(pool, page_addr(piece, start),
				(high - start) << PAGE_SHIFT,
				(end - start) << PAGE_SHIFT);

	bitmap_set(buffer->returned, start, end - start);
	return_run(buffer->p2p, page_addr(piece, start), end - start);
}

/* Return those of the pages @first to @end - 1 that have not been */
static void return_pages(struct p2pdma_buffer *buffer, unsigned long first,
			 unsigned long end)
{
	struct p2pdma_piece *piece, *beyond = buffer->piece + buffer->nr_pieces;
	unsigned long start, limit, part_end;

	if (!buffer->nr_pieces)
		return;

	for (piece = piece_of(buffer, first);
	     piece < beyond && piece->first < end; piece++) {
		limit = min(end, piece->first + piece->pages);
		start = max(first, piece->first);
		while ((start = find_next_zero_bit(buffer->returned, limit,
						   start)) < limit) {
			part_end = find_next_bit(buffer->returned, limit,
						 start);
			return_part(buffer, piece, start, part_end);
			start = part_end;
		}
	}
}

/**
 * p2pdma_buffer_create - gather memory for a buffer
 * @p2p: the provider, which the caller keeps from ending
 * @size: number of bytes, rounded up to whole pages
 *
 * The memory holds zeros if the parameter pci_p2pdma.zero says so for the caller.
 *
 * Context: process context, may sleep.
 * Return: the buffer, or an error: -EINVAL if @size is zero, -ENOMEM if that
 * many pages are not free, -EINTR if the caller has been killed meanwhile, -ENODEV
 * if the provider began to end.
 */
struct p2pdma_buffer *p2pdma_buffer_create(struct pci_p2pdma *p2p, size_t size)
{
	unsigned long pages = DIV_ROUND_UP_ULL(size, PAGE_SIZE);
	struct p2pdma_buffer *buffer;
	int error = 0;

	if (!pages)
		return ERR_PTR(-EINVAL);
	if (size > p2pdma_pool_size(&p2p->pool))
		return ERR_PTR(-ENOMEM);

	buffer = kzalloc(sizeof(*buffer), GFP_KERNEL);
	if (!buffer)
		return ERR_PTR(-ENOMEM);

	INIT_LIST_HEAD(&buffer->node);
	mutex_init(&buffer->lock);
	buffer->pdev = pci_dev_get(p2p->pdev);
	buffer->p2p = p2p;
	buffer->pages = pages;
	buffer->returned = kvcalloc(BITS_TO_LONGS(pages), sizeof(long),
				    GFP_KERNEL);
	if (!buffer->returned || !fill(buffer))
		error = -ENOMEM;
	else if (wants_zeros())
		error = zero_all(buffer);
	if (error) {
		p2pdma_buffer_destroy(buffer);
		return ERR_PTR(error);
	}

	return buffer;
}

/**
 * p2pdma_buffer_destroy - give all memory of a buffer back, and the buffer up
 * @buffer: the buffer, without mappings
 *
 * Context: process context, may sleep.
 */
void p2pdma_buffer_destroy(struct p2pdma_buffer *buffer)
{
	mutex_lock(&buffer->lock);
	return_pages(buffer, 0, buffer->pages);
	mutex_unlock(&buffer->lock);

	pci_dev_put(buffer->pdev);
	kvfree(buffer->returned);
	kvfree(buffer->piece);
	mutex_destroy(&buffer->lock);
	kfree(buffer);
}

/* Devices ------------------------------------------------------------------- */

/**
 * p2pdma_buffer_dma_begin - a device is going to have the memory mapped
 * @buffer: the buffer
 *
 * Context: process context, may sleep.
 * Return: 0, or -ENODEV if the provider is ending.
 */
int p2pdma_buffer_dma_begin(struct p2pdma_buffer *buffer)
{
	guard(mutex)(&buffer->lock);
	if (buffer->revoked)
		return -ENODEV;

	buffer->dma_users++;
	return 0;
}

/**
 * p2pdma_buffer_dma_end - a device has the memory mapped no more
 * @buffer: the buffer
 *
 * Context: process context, may sleep.
 */
void p2pdma_buffer_dma_end(struct p2pdma_buffer *buffer)
{
	guard(mutex)(&buffer->lock);
	buffer->dma_users--;
	if (buffer->revoked && !buffer->dma_users)
		return_pages(buffer, 0, buffer->pages);
}

/**
 * p2pdma_buffer_forbid - take mappings away, and allow no new ones
 * @buffer: the buffer
 *
 * Whoever touches what was mapped gets SIGBUS from here on.  The memory goes
 * back at once, or, if devices have it mapped, when they have unmapped it.
 *
 * Context: process context, may sleep.  The caller holds the dentry of the
 * dma-buf.
 */
void p2pdma_buffer_forbid(struct p2pdma_buffer *buffer)
{
	/*
	 * Until page tables do not know the memory any more nobody must give it
	 * back, not even the last device that unmaps it meanwhile: pages could
	 * be pinned after they were found to be free.
	 */
	mutex_lock(&buffer->lock);
	buffer->revoked = true;
	buffer->dma_users++;
	mutex_unlock(&buffer->lock);

	/* Faults from here on find it revoked, so that nothing comes back */
	unmap_mapping_range(d_inode(buffer->dentry)->i_mapping, 0, 0, 1);
	p2pdma_buffer_dma_end(buffer);
}

/* Mappings ------------------------------------------------------------------ */

static pfn_t piece_pfn(struct p2pdma_piece *piece, unsigned long n)
{
	return phys_to_pfn_t(virt_to_phys(page_addr(piece, n)),
			     PFN_DEV | PFN_MAP);
}

/* Which page of the buffer is mapped at @addr */
static unsigned long page_at(struct vm_area_struct *vma, unsigned long addr)
{
	return vma->vm_pgoff + ((addr - vma->vm_start) >> PAGE_SHIFT);
}

/*
 * The piece by which a large entry can map the memory at @addr, a multiple of
 * its size; NULL if it cannot.
 */
static struct p2pdma_piece *large_piece(struct vm_area_struct *vma,
					unsigned long addr)
{
	struct p2pdma_buffer *buffer = vma->vm_private_data;
	struct p2pdma_piece *piece;
	unsigned long n, end;

	if (addr < vma->vm_start || addr + PMD_SIZE > vma->vm_end)
		return NULL;

	n = page_at(vma, addr);
	piece = piece_of(buffer, n);
	end = n + LARGE_PAGES;
	if (end > piece->first + piece->pages ||
	    !IS_ALIGNED((unsigned long)page_addr(piece, n), PMD_SIZE) ||
	    find_next_bit(buffer->returned, end, n) != end)
		return NULL;

	return piece;
}

static pmd_t *make_pmd(struct mm_struct *mm, unsigned long addr)
{
	p4d_t *p4d = p4d_alloc(mm, pgd_offset(mm, addr), addr);
	pud_t *pud = p4d ? pud_alloc(mm, p4d, addr) : NULL;

	return pud ? pmd_alloc(mm, pud, addr) : NULL;
}

/* Map what large entries can map, unless it is mapped */
static void map_large(struct vm_area_struct *vma)
{
	struct p2pdma_piece *piece;
	unsigned long addr;
	pmd_t *pmd;

	for (addr = ALIGN(vma->vm_start, PMD_SIZE); addr < vma->vm_end;
	     addr += PMD_SIZE) {
		piece = large_piece(vma, addr);
		if (!piece)
			continue;

		pmd = make_pmd(vma->vm_mm, addr);
		if (!pmd)
			return;
		if (pmd_none(pmdp_get(pmd))) {
			struct vm_fault vmf = {
				.vma		= vma,
				.address	= addr,
				.pmd		= pmd,
			};

			vmf_insert_pfn_pmd(&vmf,
					   piece_pfn(piece, page_at(vma, addr)),
					   false);
		}
	}
}

static vm_fault_t buffer_huge_fault(struct vm_fault *vmf, unsigned int order)
{
	struct vm_area_struct *vma = vmf->vma;
	struct p2pdma_buffer *buffer = vma->vm_private_data;
	unsigned long addr = ALIGN_DOWN(vmf->address, PMD_SIZE);
	struct p2pdma_piece *piece;
	pmd_t pmd;

	if (!IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE) ||
	    order != PMD_SHIFT - PAGE_SHIFT)
		return VM_FAULT_FALLBACK;

	guard(mutex)(&buffer->lock);
	if (buffer->revoked)
		return VM_FAULT_SIGBUS;

	/* Somebody may have mapped it otherwise in the meantime */
	piece = large_piece(vma, addr);
	pmd = pmdp_get(vmf->pmd);
	if (!piece || (!pmd_none(pmd) && !pmd_devmap(pmd)))
		return VM_FAULT_FALLBACK;

	if (pmd_none(pmd))
		map_large(vma);

	/* Mark it as written to, or make it writable */
	return vmf_insert_pfn_pmd(vmf, piece_pfn(piece, page_at(vma, addr)),
				  vmf->flags & FAULT_FLAG_WRITE);
}

static vm_fault_t map_page(struct vm_area_struct *vma, unsigned long addr)
{
	struct p2pdma_buffer *buffer = vma->vm_private_data;
	unsigned long n = page_at(vma, addr);

	if (n >= buffer->pages || test_bit(n, buffer->returned))
		return VM_FAULT_SIGBUS;

	return vmf_insert_mixed(vma, addr, piece_pfn(piece_of(buffer, n), n));
}

static vm_fault_t buffer_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct p2pdma_buffer *buffer = vma->vm_private_data;
	unsigned long addr, end;
	vm_fault_t result;

	guard(mutex)(&buffer->lock);
	if (buffer->revoked)
		return VM_FAULT_SIGBUS;

	/* Somebody was faster, and mapped it by a large entry */
	if (pmd_devmap(pmdp_get(vmf->pmd)))
		return VM_FAULT_NOPAGE;

	result = map_page(vma, vmf->address & PAGE_MASK);
	if (result != VM_FAULT_NOPAGE)
		return result;

	/* Its neighbours are wanted next.  That they fail is no failure */
	addr = max(ALIGN_DOWN(vmf->address, PMD_SIZE), vma->vm_start);
	end = min(ALIGN_DOWN(vmf->address, PMD_SIZE) + PMD_SIZE, vma->vm_end);
	for (; addr < end; addr += PAGE_SIZE)
		if (map_page(vma, addr) & VM_FAULT_OOM)
			break;

	return VM_FAULT_NOPAGE;
}

/*
 * For a debugger, to which get_user_pages() gives no peer-to-peer memory.  The
 * caller goes on where this stops.  It asks here too if it was refused because
 * the mapping is read-only, and what is shared stays so for debuggers: the file
 * may have been handed out for reading only.
 */
static int buffer_access(struct vm_area_struct *vma, unsigned long addr,
			 void *buf, int len, int write)
{
	struct p2pdma_buffer *buffer = vma->vm_private_data;
	unsigned long n = page_at(vma, addr);
	void *mem;

	if (write && !(vma->vm_flags & VM_WRITE))
		return -EIO;

	guard(mutex)(&buffer->lock);
	if (buffer->revoked || n >= buffer->pages ||
	    test_bit(n, buffer->returned))
		return -EIO;

	mem = page_addr(piece_of(buffer, n), n) + offset_in_page(addr);
	len = min_t(int, len, PAGE_SIZE - offset_in_page(addr));
	if (write)
		memcpy_toio((void __force __iomem *)mem, buf, len);
	else
		memcpy_fromio(buf, (void __force __iomem *)mem, len);

	return len;
}

/* Give back what only this mapping, which is gone already, has kept */
static void buffer_close(struct vm_area_struct *vma)
{
	struct p2pdma_buffer *buffer = vma->vm_private_data;
	struct address_space *mapping = vma->vm_file->f_mapping;
	unsigned long next = vma->vm_pgoff;
	unsigned long end = next + vma_pages(vma);
	struct vm_area_struct *other;

	if (!buffer->for_mappings)
		return;

	guard(mutex)(&buffer->lock);
	if (buffer->revoked)
		return;

	i_mmap_lock_read(mapping);
	while (next < end) {
		/* The one that begins first */
		other = vma_interval_tree_iter_first(&mapping->i_mmap, next,
						     end - 1);
		if (!other) {
			return_pages(buffer, next, end);
			break;
		}
		if (other->vm_pgoff > next)
			return_pages(buffer, next, other->vm_pgoff);
		next = other->vm_pgoff + vma_pages(other);
	}
	i_mmap_unlock_read(mapping);
}

static const struct vm_operations_struct buffer_vm_ops = {
	.close		= buffer_close,
	.fault		= buffer_fault,
	.huge_fault	= buffer_huge_fault,
	.access		= buffer_access,
};

/* Write-combining only if all of the memory is so for the kernel, too */
static pgprot_t buffer_pgprot(struct p2pdma_buffer *buffer, pgprot_t prot)
{
	struct p2pdma_region *region;
	unsigned int i;

	for (i = 0; i < buffer->nr_pieces; i++) {
		region = pci_p2pdma_page_region(virt_to_page(buffer->piece[i].addr));
		if (!(region->pgmap.flags & PGMAP_WRITE_COMBINING))
			return pgprot_noncached(prot);
	}

	return pgprot_writecombine(prot);
}

/**
 * p2pdma_buffer_mmap - make a mapping one of a buffer
 * @buffer: the buffer
 * @vma: the mapping, of the dma-buf's file
 *
 * Context: process context under mmap_lock; may sleep.
 * Return: 0, -EINVAL for a private mapping, -ENODEV if the provider is ending.
 */
int p2pdma_buffer_mmap(struct p2pdma_buffer *buffer,
		       struct vm_area_struct *vma)
{
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;

	/*
	 * Pages with entries of their own, of one size, not in core dumps.
	 * Large entries save without costing here, so that nobody has to ask.
	 * This takes the lock of the mapping, which comes first, see faults.
	 */
	vm_flags_set(vma, VM_MIXEDMAP | VM_DONTEXPAND | VM_DONTDUMP |
			  VM_HUGEPAGE);

	guard(mutex)(&buffer->lock);
	if (buffer->revoked)
		return -ENODEV;

	vma->vm_page_prot = buffer_pgprot(buffer, vma->vm_page_prot);
	vma->vm_private_data = buffer;
	vma->vm_ops = &buffer_vm_ops;

	return 0;
}
