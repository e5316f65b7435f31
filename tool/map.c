// SPDX-License-Identifier: GPL-2.0
/* mshare map, unmap, protect */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tool.h"

static int number(const char *text, uint64_t *value)
{
	return parse_size(text, value) ?
	       usage_error("%s: not a size or offset, 64M is one", text) : DONE;
}

/* What to map, and where. */
struct request {
	const char *file;
	uint64_t offset, at, size;
	int prot, flags;
};

static int parse_option(int c, struct request *r)
{
	switch (c) {
	case 'f':
		r->file = optarg;
		break;
	case 'o':
		return number(optarg, &r->offset);
	case 'a':
		r->flags |= MAP_FIXED_NOREPLACE;
		return number(optarg, &r->at);
	case 'r':
		r->flags |= MAP_FIXED;
		break;
	case 'P':
		if (parse_prot(optarg, &r->prot))
			return usage_error("%s: not a protection, rw is one",
					   optarg);
		break;
	default:
		r->flags |= memory_flag(c);
		break;
	}
	return DONE;
}

static int map_object(struct mshare_region *region, const char *name,
		      struct request *r)
{
	int err, fd = -1;

	if (r->file) {
		fd = open(r->file, (r->prot & PROT_WRITE ? O_RDWR : O_RDONLY) |
			  O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
		if (fd < 0)
			return failed(-errno, r->file, "cannot be opened");
	}
	err = mshare_map(region, fd, r->offset, r->size, r->prot, r->flags,
			 &r->at);
	if (fd >= 0)
		close(fd);
	return err ? failed(err, name, "cannot map") : DONE;
}

int cmd_map(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "file", required_argument, NULL, 'f' },
		{ "offset", required_argument, NULL, 'o' },
		{ "at", required_argument, NULL, 'a' },
		{ "replace", no_argument, NULL, 'r' },
		{ "prot", required_argument, NULL, 'P' },
		{ "populate", no_argument, NULL, 'p' },
		{ "lock", no_argument, NULL, 'l' },
		{ "noreserve", no_argument, NULL, 'N' },
		{ "hugetlb", no_argument, NULL, 'H' },
		{ }
	};
	struct request r = { .prot = PROT_READ | PROT_WRITE };
	struct mshare_region *region;
	struct json_object *root;
	int c, status;

	while ((c = tool_option(argc, argv, "f:o:a:rP:plNH", longs)) != -1) {
		status = parse_option(c, &r);
		if (status)
			return status;
	}
	if (argc - optind != 2)
		return usage_error("one region and one size are needed");
	if (r.offset && !r.file)
		return usage_error("--offset is for --file");
	if (r.flags & MAP_FIXED && !(r.flags & MAP_FIXED_NOREPLACE))
		return usage_error("--replace is for --at");
	if (r.flags & MAP_FIXED)
		r.flags &= ~MAP_FIXED_NOREPLACE;
	status = number(argv[optind + 1], &r.size) ?:
		 open_region(argv[optind], O_RDWR, &region);
	if (status)
		return status;
	status = map_object(region, argv[optind], &r);
	mshare_close(region);
	if (status)
		return status;
	if (!tool.json) {
		printf("%#llx\n", (unsigned long long)r.at);
		return DONE;
	}
	root = json_new();
	json_number(root, "at", r.at);
	json_print(root);
	return DONE;
}

int cmd_unmap(int argc, char **argv)
{
	struct mshare_region *region;
	uint64_t at, size;
	int err, status;

	tool_option(argc, argv, "", NULL);
	if (argc - optind != 3)
		return usage_error("a region, an offset and a size are needed");
	status = number(argv[optind + 1], &at) ?:
		 number(argv[optind + 2], &size) ?:
		 open_region(argv[optind], O_RDWR, &region);
	if (status)
		return status;
	err = mshare_unmap(region, at, size);
	mshare_close(region);
	return err ? failed(err, argv[optind], "cannot unmap") : DONE;
}

int cmd_protect(int argc, char **argv)
{
	struct mshare_region *region;
	uint64_t at, size;
	int err, prot, status;

	tool_option(argc, argv, "", NULL);
	if (argc - optind != 4)
		return usage_error("a region, an offset, a size and a protection are needed");
	if (parse_prot(argv[optind + 3], &prot))
		return usage_error("%s: not a protection, rw is one",
				   argv[optind + 3]);
	status = number(argv[optind + 1], &at) ?:
		 number(argv[optind + 2], &size) ?:
		 open_region(argv[optind], O_RDWR, &region);
	if (status)
		return status;
	err = mshare_protect(region, at, size, prot);
	mshare_close(region);
	if (err == -ENOMEM) {
		complain("%s: cannot protect: not all of it is mapped",
			 argv[optind]);
		return FAILED;
	}
	return err ? failed(err, argv[optind], "cannot protect") : DONE;
}
