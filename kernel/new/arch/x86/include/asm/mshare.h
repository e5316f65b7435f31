/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_X86_MSHARE_H
#define _ASM_X86_MSHARE_H

#include <linux/bitops.h>
#include <linux/mm_types.h>
#include <linux/pgtable.h>

/*
 * A link is an ordinary table entry at the PUD level. The MMU takes the AND
 * of the R/W bits of all levels and the OR of NX. Without R/W in the link no
 * memory below can be written, and with NX none can be executed, regardless of
 * the leaves. pud_bad() accepts both bits. A link has no software bit because
 * pud_bad() would not accept it, and generic code clears bad entries.
 */
static inline pud_t arch_mshare_mk_link(pmd_t *table, vm_flags_t vm_flags)
{
	pudval_t prot = _PAGE_TABLE;

	if (!(vm_flags & VM_WRITE))
		prot &= ~(pudval_t)_PAGE_RW;
	/* NX is a reserved bit on a CPU that does not support it. */
	if (!(vm_flags & VM_EXEC))
		prot |= _PAGE_NX & __supported_pte_mask;
	return __pud(prot | __pa(table));
}

static inline bool arch_mshare_link_write(pud_t link)
{
	return pud_flags(link) & _PAGE_RW;
}

struct mshare_flush_info;

/*
 * In mm->context.flags, next to fields that switch_mm_irqs_off() reads anyway:
 * the mm is or was attached to a region. See asm/mmu.h for the other bits.
 */
#define MM_CONTEXT_MSHARE	31

static inline bool arch_mshare_may_be_attached(const struct mm_struct *mm)
{
	return test_bit(MM_CONTEXT_MSHARE, &mm->context.flags);
}

/*
 * A translation of @mm may be stale: each CPU that has @mm loaded, or loads it
 * later, flushes older translations. Return the new generation of @mm, never 0.
 */
static inline u64 arch_mshare_mark_stale(struct mm_struct *mm)
{
	return atomic64_inc_return(&mm->context.tlb_gen);
}

void arch_mshare_attached(struct mm_struct *mm);
int arch_mshare_flush(const struct mshare_flush_info *info, bool freed_tables);
int arch_mshare_flush_all(const u32 *index, int nr);

#endif /* _ASM_X86_MSHARE_H */
