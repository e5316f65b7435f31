# SPDX-License-Identifier: GPL-2.0
# Calls that go to the fake; the names are those of 64-bit offsets.
fake_calls := open64 fcntl64 ioctl mmap64 munmap pread64 fstatfs64 statfs64 \
	ftruncate64 fallocate64 linkat unlinkat mkdir malloc scandir64 stat64 lstat64 \
	access mount
comma := ,
fake_ldflags := $(patsubst %,-Wl$(comma)--wrap=%,$(fake_calls))
fake_objects := $(O)/fake/fake.o $(O)/fake/table.o

$(O)/fake/%.o: $(top)tests/fake/%.c $(top)tests/fake/fake.h $(uapi) | $(O)/fake
	$(CC) $(cflags) -c -o $@ $<
$(O)/fake:
	mkdir -p $@
