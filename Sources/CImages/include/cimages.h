// What of loaded images Swift's standard library does not show: the classes in an image that conform
// to anything, and the names of its functions.
#ifndef TASKLOG_CIMAGES_H
#define TASKLOG_CIMAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Gives the metadata of every class without type parameters in the image of a handle of `dlopen`
/// that conforms to some protocol, once for each conformance.
///
/// False when this Swift runtime cannot tell.
bool tl_conforming_classes(
    void *_Nonnull handle, void (*_Nonnull each)(const void *_Nonnull metadata, void *_Nullable context),
    void *_Nullable context);

/// Whether Swift's runtime is part of this very image. Then a library in Swift, which brings another
/// one, cannot be loaded.
bool tl_runtime_is_linked_in(void);

/// Whether an address is in the image of the handle.
bool tl_is_in_image(void *_Nonnull handle, const void *_Nonnull address);

/// Gives the names of the functions that an ELF file of 64 bits defines, from its symbol table or,
/// where that has been stripped, from the table of what it exports.
///
/// - Parameters:
///   - bytes: the whole file; nothing in it is believed without a check.
void tl_function_names(
    const void *_Nonnull bytes, size_t count,
    void (*_Nonnull each)(const char *_Nonnull name, void *_Nullable context), void *_Nullable context);

/// The name of a function as Swift's source has it, to be freed; NULL when it is not Swift's.
char *_Nullable tl_demangle(const char *_Nonnull name);

#endif
