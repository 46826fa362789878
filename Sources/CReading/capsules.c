// Structs of Arrow in capsules of Python, which own them until a consumer has moved them.
#include <stdlib.h>
#include <string.h>

#include "creading.h"

/// `PyCapsule_GetPointer`, which is the same in all of a process.
static void *(*get_pointer)(void *capsule, const char *name);

static void destroy_schema(void *capsule) {
  struct ArrowSchema *schema = get_pointer(capsule, "arrow_schema");
  if (schema != NULL && schema->release != NULL) schema->release(schema);
  free(schema);
}

static void destroy_array(void *capsule) {
  struct ArrowArray *array = get_pointer(capsule, "arrow_array");
  if (array != NULL && array->release != NULL) array->release(array);
  free(array);
}

static void destroy_stream(void *capsule) {
  struct ArrowArrayStream *stream = get_pointer(capsule, "arrow_array_stream");
  if (stream != NULL && stream->release != NULL) stream->release(stream);
  free(stream);
}

static void *move(void *from, size_t size) {
  void *box = malloc(size);
  if (box == NULL) return NULL;
  memcpy(box, from, size);
  // One without a release function has been moved.
  memset(from, 0, size);
  return box;
}

void *tl_box(int32_t kind, void *from, void *getter, void **destructor) {
  memcpy(&get_pointer, &getter, sizeof get_pointer);
  void (*destroy)(void *) = kind == 0 ? destroy_schema : kind == 1 ? destroy_array : destroy_stream;
  memcpy(destructor, &destroy, sizeof destroy);
  return kind == 0   ? move(from, sizeof(struct ArrowSchema))
         : kind == 1 ? move(from, sizeof(struct ArrowArray))
                     : move(from, sizeof(struct ArrowArrayStream));
}
