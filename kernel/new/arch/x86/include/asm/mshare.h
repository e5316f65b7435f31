/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_X86_MSHARE_H
#define _ASM_X86_MSHARE_H

#include <linux/cpumask.h>
#include <linux/elf.h>
#include <linux/mman.h>
#include <linux/mm_types.h>
#include <linux/pgtable.h>
#include <linux/compat.h>
#include <asm/tlbflush.h>

/*
 * A link is an ordinary table entry at the PUD level. The MMU takes the AND
 * of the R/W bits of all levels and the OR of NX, so nothing below can be
 * written without R/W in the link, nor executed with NX, whatever the leaves
 * say. pud_bad() accepts both; it would not accept a software bit, and generic
 * code clears what it finds bad.
 */
static inline pud_t arch_mshare_mk_link(pmd_t *table, vm_flags_t vm_flags)
{
	pudval_t prot = _PAGE_TABLE;

	if (!(vm_flags & VM_WRITE))
		prot &= ~(pudval_t)_PAGE_RW;
	/* Not on a CPU that does not have it. */
	if (!(vm_flags & VM_EXEC))
		prot |= _PAGE_NX & __supported_pte_mask;
	return __pud(prot | __pa(table));
}

static inline bool arch_mshare_link_write(pud_t link)
{
	return pud_flags(link) & _PAGE_RW;
}

#ifndef MODULE
/*
 * All that @mm may have cached is stale: add the CPUs that may use it to @mask.
 * inc_mm_tlb_gen() orders the caller's page table changes before the reads of
 * @mask; CPUs that do not run @mm now find it when they switch to @mm.
 */
static inline void arch_mshare_flush_add(struct cpumask *mask,
					 struct mm_struct *mm)
{
	inc_mm_tlb_gen(mm);
	cpumask_or(mask, mask, mm_cpumask(mm));
}

void arch_mshare_flush(const struct cpumask *mask, bool freed_tables);
#endif
/*
 * Where mmap(2) may place a window: below @base when searching top down, and
 * in any case below @end. Addresses above 2^47 are given only to those who ask
 * with @hint. Return false for MAP_32BIT: units do not fit where it points.
 */
static inline bool arch_mshare_mmap_limits(unsigned long hint,
					   unsigned long flags,
					   unsigned long *base,
					   unsigned long *end)
{
	bool compat = in_32bit_syscall();
	bool full = !compat && hint > DEFAULT_MAP_WINDOW;

	if (flags & MAP_32BIT)
		return false;
	*base = get_mmap_base(0);
	if (full)
		*base += TASK_SIZE_MAX - DEFAULT_MAP_WINDOW;
	*end = compat ? task_size_32bit() : task_size_64bit(full);
	return true;
}

#endif /* _ASM_X86_MSHARE_H */
