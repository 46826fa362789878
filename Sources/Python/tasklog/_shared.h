/* Annotations, which the tasks of a graph have in common: `Encoder._annotations` in `encoding.py`.
 *
 * Everything that is shared is held by the call whose event is encoded, so its address stays its.
 */
enum { SHORT = 256 };

/* What has a number in this event: a table with open addressing, at most half full, whose places are
 * free where they are of an event before. */
typedef struct {
  PyObject *object;
  uint32_t number, event;
} SharedPlace;

static SharedPlace *shared_places;
static size_t shared_capacity, shared_count;
static uint32_t shared_event;

static SharedPlace *shared_place(PyObject *o) {
  size_t place = (size_t)(((uintptr_t)o >> 4) * 0x9E3779B97F4A7C15u) & (shared_capacity - 1);
  while (shared_places[place].event == shared_event && shared_places[place].object != o)
    place = (place + 1) & (shared_capacity - 1);
  return &shared_places[place];
}

static int grow_shared(void) {
  SharedPlace *before = shared_places;
  size_t count = shared_capacity;
  shared_capacity = count ? count * 2 : 256;
  shared_places = calloc(shared_capacity, sizeof *shared_places);
  if (!shared_places) {
    shared_places = before;
    shared_capacity = count;
    return 0;
  }
  for (size_t i = 0; i < count; i++)
    if (before[i].event == shared_event) *shared_place(before[i].object) = before[i];
  free(before);
  return 1;
}

/* Forgets all numbers, at the end of an event. */
static void forget_shared(void) {
  shared_count = 0;
  if (++shared_event == 0 || shared_capacity > 1 << 16) {
    free(shared_places);
    shared_places = NULL;
    shared_capacity = 0;
    shared_event = 1;
  }
}

static int is_short(PyObject *o) {
  PyTypeObject *type = Py_TYPE(o);
  if (o == Py_None || type == &PyBool_Type || type == &PyLong_Type || type == &PyFloat_Type)
    return 1;
  if (type == &PyUnicode_Type) return PyUnicode_GetLength(o) <= SHORT;
  return type == &PyBytes_Type && PyBytes_Size(o) <= SHORT;
}

static int shared_value(Buffer *b, PyObject *o, int depth) {
  if (is_short(o)) return encode(b, o, depth);
  if (shared_count * 2 >= shared_capacity && !grow_shared()) return 0;
  SharedPlace *place = shared_place(o);
  int is_known = place->event == shared_event;
  if (!is_known) *place = (SharedPlace){o, (uint32_t)shared_count++, shared_event};
  uint32_t own = place->number;
  size_t start = begin(b, TAGGED);
  if (!start || !head(b, 2, 0x90, 16, 0, 0xDC) || !word(b, "$shared") ||
      !head(b, is_known ? 1 : 2, 0x90, 16, 0, 0xDC) || !reserve(b, 9))
    return 0;
  number(b, 0xCE, own, 4);
  return (is_known || encode(b, o, depth)) && end(b, start);
}

/* Values by their names, so many dicts deep. */
static int shared_values(Buffer *b, PyObject *o, int levels) {
  if (levels == 0 || Py_TYPE(o) != &PyDict_Type) return shared_value(b, o, 1);
  Py_ssize_t place = 0;
  PyObject *name, *value;
  if (!head(b, (size_t)PyDict_Size(o), 0x80, 16, 0, 0xDE)) return 0;
  while (PyDict_Next(o, &place, &name, &value))
    if (!encode(b, name, 1) || !shared_values(b, value, levels - 1)) return 0;
  return 1;
}
