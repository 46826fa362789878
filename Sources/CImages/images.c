#define _GNU_SOURCE
#include "cimages.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <string.h>

// The layouts that the compiler writes and the runtime reads, of which these are the parts in use:
// https://github.com/swiftlang/swift/blob/main/include/swift/ABI/Metadata.h
// https://github.com/swiftlang/swift/blob/main/stdlib/public/SwiftShims/swift/shims/MetadataSections.h

typedef struct {
  uintptr_t start;
  size_t length;
} Range;

typedef struct {
  uintptr_t version;
  const void *base;
  void *unused[2];
  Range protocols;
  Range conformances;
} Sections;

typedef struct {
  int32_t protocol, type, witnesses;
  uint32_t flags;
} Conformance;

typedef struct {
  uint32_t flags;
  int32_t parent, name, access;
} TypeDescriptor;

typedef struct {
  const void *metadata;
  size_t state;
} Response;

// Exported by libswiftCore; Swift Testing finds its tests by it.
extern void swift_enumerateAllMetadataSections(
    bool (*body)(const Sections *, void *), void *context) __attribute__((weak));

static const void *image_base(const void *address) {
  Dl_info info;
  return dladdr(address, &info) ? info.dli_fbase : NULL;
}

static const void *handle_base(void *handle) {
  struct link_map *map;
  return dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0 ? image_base(map->l_ld) : NULL;
}

bool tl_runtime_is_linked_in(void) {
  // A static runtime is not exported, unless the program was linked to export everything.
  const void *runtime = dlsym(RTLD_DEFAULT, "swift_retain");
  return !runtime || image_base(runtime) == image_base((const void *)tl_runtime_is_linked_in);
}

bool tl_is_in_image(void *handle, const void *address) {
  const void *base = handle_base(handle);
  return base && image_base(address) == base;
}

static const TypeDescriptor *type_of(const Conformance *conformance) {
  const char *place = (const char *)&conformance->type + conformance->type;
  switch (conformance->flags >> 3 & 7) {
  case 0: return (const TypeDescriptor *)place;
  case 1: return *(const TypeDescriptor *const *)place;
  default: return NULL;
  }
}

typedef struct {
  const void *base;
  void (*each)(const void *, void *);
  void *context;
} Search;

static bool search(const Sections *sections, void *argument) {
  Search *wanted = argument;
  if (sections->conformances.length == 0) return true;
  const int32_t *records = (const int32_t *)sections->conformances.start;
  if (image_base(records) != wanted->base) return true;
  for (size_t i = 0; i < sections->conformances.length / sizeof *records; i++) {
    const Conformance *conformance = (const void *)((const char *)&records[i] + records[i]);
    const TypeDescriptor *type = type_of(conformance);
    // Classes are of kind 16, and 0x80 says that there are type parameters.
    if (!type || (type->flags & 0x9F) != 16) continue;
    Response (*access)(size_t) = (Response(*)(size_t))((const char *)&type->access + type->access);
    Response response = access(0);
    if (response.metadata) wanted->each(response.metadata, wanted->context);
  }
  return true;
}

bool tl_conforming_classes(void *handle, void (*each)(const void *, void *), void *context) {
  if (!swift_enumerateAllMetadataSections) return false;
  Search wanted = {handle_base(handle), each, context};
  if (!wanted.base) return false;
  swift_enumerateAllMetadataSections(search, &wanted);
  return true;
}

// Whether `length` bytes from `start` on lie within `count`.
static bool lies_within(uint64_t start, uint64_t length, size_t count) {
  return start <= count && length <= count - start;
}

static const Elf64_Shdr *section(
    const Elf64_Shdr *sections, size_t number, uint32_t type, size_t count) {
  for (size_t i = 0; i < number; i++)
    if (sections[i].sh_type == type && lies_within(sections[i].sh_offset, sections[i].sh_size, count))
      return &sections[i];
  return NULL;
}

void tl_function_names(
    const void *bytes, size_t count, void (*each)(const char *, void *), void *context) {
  const char *start = bytes;
  const Elf64_Ehdr *header = bytes;
  if (count < sizeof *header || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) return;
  if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_shentsize != sizeof(Elf64_Shdr)) return;
  size_t number = header->e_shnum;
  if (header->e_shoff % 8 || !lies_within(header->e_shoff, number * sizeof(Elf64_Shdr), count)) return;
  const Elf64_Shdr *sections = (const void *)(start + header->e_shoff);
  const Elf64_Shdr *table = section(sections, number, SHT_SYMTAB, count);
  if (!table) table = section(sections, number, SHT_DYNSYM, count);
  if (!table || table->sh_link >= number || table->sh_offset % 8) return;
  const Elf64_Shdr *names = &sections[table->sh_link];
  if (!lies_within(names->sh_offset, names->sh_size, count)) return;
  const Elf64_Sym *symbols = (const void *)(start + table->sh_offset);
  for (size_t i = 0; i < table->sh_size / sizeof *symbols; i++) {
    if (ELF64_ST_TYPE(symbols[i].st_info) != STT_FUNC || symbols[i].st_shndx == SHN_UNDEF) continue;
    if (symbols[i].st_name >= names->sh_size) continue;
    const char *name = start + names->sh_offset + symbols[i].st_name;
    if (memchr(name, 0, names->sh_size - symbols[i].st_name)) each(name, context);
  }
}

// Exported by libswiftCore.
extern char *swift_demangle(
    const char *name, size_t length, char *buffer, size_t *size, uint32_t flags)
    __attribute__((weak));

char *tl_demangle(const char *name) {
  return swift_demangle ? swift_demangle(name, strlen(name), NULL, NULL, 0) : NULL;
}
