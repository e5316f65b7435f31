// SPDX-License-Identifier: GPL-2.0
/* mshare show */
#include <fcntl.h>
#include <sys/mman.h>

#include "tool.h"

static const char *const headings[] = {
	"AT", "SIZE", "PROT", "MAX", "KIND", "PAGE", "LOCKED", "OBJECT", "OFFSET",
};

#define COLUMNS ((int)(sizeof(headings) / sizeof(headings[0])))

static const char *kind_name(unsigned int kind)
{
	switch (kind) {
	case MSHAREFS_KIND_ANON:
		return "anon";
	case MSHAREFS_KIND_SHMEM:
		return "shmem";
	case MSHAREFS_KIND_FILE:
		return "file";
	case MSHAREFS_KIND_HUGETLB:
		return "hugetlb";
	case MSHAREFS_KIND_DAX:
		return "dax";
	}
	return "other";
}

static int add_row(const struct mshare_mapping *m, void *arg)
{
	struct table *table = arg;

	/* An offset is to be given back to map, unmap and protect. */
	table_cell(table, "%#llx", (unsigned long long)m->offset);
	table_size(table, m->size);
	table_cell(table, "%s", show_prot(m->prot));
	table_cell(table, "%s", show_prot(m->max_prot));
	table_cell(table, "%s", kind_name(m->kind));
	table_size(table, 1ULL << m->page_shift);
	table_cell(table, "%s", m->flags & MAP_LOCKED ? "yes" : "no");
	if (m->kind == MSHAREFS_KIND_ANON)
		table_cell(table, "-");
	else
		table_cell(table, "%x:%x:%llu", m->dev_major, m->dev_minor,
			   (unsigned long long)m->inode);
	table_cell(table, "%#llx", (unsigned long long)m->object_offset);
	return 0;
}

static int add_json(const struct mshare_mapping *m, void *array)
{
	struct json_object *mapping = json_object_new_object();

	json_number(mapping, "at", m->offset);
	json_number(mapping, "size", m->size);
	json_text(mapping, "prot", show_prot(m->prot));
	json_text(mapping, "max_prot", show_prot(m->max_prot));
	json_text(mapping, "kind", kind_name(m->kind));
	json_number(mapping, "page_size", 1ULL << m->page_shift);
	json_object_object_add(mapping, "locked",
			       json_object_new_boolean(m->flags & MAP_LOCKED));
	json_number(mapping, "device_major", m->dev_major);
	json_number(mapping, "device_minor", m->dev_minor);
	json_number(mapping, "inode", m->inode);
	json_number(mapping, "object_offset", m->object_offset);
	json_object_array_add(array, mapping);
	return 0;
}

static int print_json(struct mshare_region *region, const char *name,
		      const struct mshare_info *info,
		      const struct mshare_stat *use)
{
	struct json_object *root = json_new();
	struct json_object *array = json_object_new_array();
	int err;

	json_text(root, "name", name);
	json_number(root, "start", info->start);
	json_number(root, "size", use->size);
	json_number(root, "resident", use->resident);
	json_number(root, "locked", use->locked);
	json_number(root, "page_tables", use->page_tables);
	json_number(root, "saved", saved_tables(use));
	json_number(root, "processes", use->processes);
	json_number(root, "windows", use->windows);
	json_number(root, "links", use->links);
	json_number(root, "faults", use->faults);
	json_number(root, "flushes", use->flushes);
	json_object_object_add(root, "mappings", array);
	err = mshare_walk(region, add_json, array);
	if (err)
		json_object_put(root);
	else
		json_print(root);
	return err;
}

static void print_size(const char *what, uint64_t size)
{
	char room[SIZE_ROOM];

	printf("%-12s %s\n", what, show_size(size, room));
}

static void print_count(const char *what, uint64_t count)
{
	printf("%-12s %llu\n", what, (unsigned long long)count);
}

static int print_text(struct mshare_region *region,
		      const struct mshare_info *info,
		      const struct mshare_stat *use)
{
	struct table *table = table_new(headings, COLUMNS);
	int err = mshare_walk(region, add_row, table);

	print_size("size", use->size);
	print_size("resident", use->resident);
	print_size("locked", use->locked);
	print_size("page tables", use->page_tables);
	print_size("saved", saved_tables(use));
	print_count("processes", use->processes);
	print_count("windows", use->windows);
	print_count("links", use->links);
	print_count("faults", use->faults);
	print_count("flushes", use->flushes);
	if (info->start)
		printf("%-12s %#llx\n", "start", (unsigned long long)info->start);
	if (use->mappings)
		putchar('\n');
	table_print(table);
	return err;
}

int cmd_show(int argc, char **argv)
{
	struct mshare_region *region;
	struct mshare_info info;
	struct mshare_stat use;
	const char *name;
	int err, status;

	tool_option(argc, argv, "", NULL);
	if (argc - optind != 1)
		return usage_error("one region is needed");
	name = argv[optind];
	status = open_region(name, O_RDONLY, &region);
	if (status)
		return status;
	err = mshare_info(region, &info);
	if (!err)
		err = mshare_stat(region, &use);
	if (!err)
		err = tool.json ? print_json(region, name, &info, &use) :
				  print_text(region, &info, &use);
	mshare_close(region);
	return err ? failed(err, name, "cannot be read") : DONE;
}
