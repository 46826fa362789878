/* Encodes Python's objects of known types as MessagePack, as `encoding.py` does.
 *
 * Only what it knows is encoded, by exact type: None, bool, int of 64 bits, float, str, bytes,
 * bytearray, list, tuple, set, frozenset, dict, and values that Python has packed. Anything else, and
 * what is too long or nested too deeply, is refused. No code of the objects is called, so nothing
 * changes while it is being encoded.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { TUPLE = 1, SET = 2, FROZENSET = 3, BYTEARRAY = 4, TAGGED = 7 };
enum { MAXIMUM_DEPTH = 90 };

typedef struct {
  uint8_t *base;
  size_t count, capacity;
  /* Of text and bytes. */
  Py_ssize_t longest;
  /* A tuple of bytes in lower case: names whose values are redacted; or NULL. */
  PyObject *patterns;
} Buffer;

/* The type of a packed value: a tuple of a code and bytes. */
static PyObject *packed_type;

static int reserve(Buffer *b, size_t more) {
  if (b->capacity - b->count >= more) return 1;
  size_t larger = b->capacity * 2 > b->count + more ? b->capacity * 2 : b->count + more;
  uint8_t *moved = realloc(b->base, larger);
  if (!moved) return 0;
  b->base = moved;
  b->capacity = larger;
  return 1;
}

/* A type byte and a number in the network's order. */
static void number(Buffer *b, uint8_t type, uint64_t value, int size) {
  b->base[b->count++] = type;
  for (int shift = (size - 1) * 8; shift >= 0; shift -= 8)
    b->base[b->count++] = (uint8_t)(value >> shift);
}

static int head(Buffer *b, size_t n, uint8_t small, size_t limit, uint8_t one, uint8_t two) {
  if (n > UINT32_MAX || !reserve(b, 8)) return 0;
  if (n < limit) b->base[b->count++] = (uint8_t)(small | n);
  else if (one && n < 0x100) number(b, one, n, 1);
  else if (n < 0x10000) number(b, two, n, 2);
  else number(b, two + 1, n, 4);
  return 1;
}

static int raw(Buffer *b, const void *bytes, size_t n) {
  if (!reserve(b, n)) return 0;
  memcpy(b->base + b->count, bytes, n);
  b->count += n;
  return 1;
}

static int integer(Buffer *b, PyObject *o) {
  int overflow = 0;
  long long v = PyLong_AsLongLongAndOverflow(o, &overflow);
  if (overflow || !reserve(b, 9)) return 0;
  if (v >= -32 && v < 128) b->base[b->count++] = (uint8_t)v;
  else if (v < 0 || v > UINT32_MAX) number(b, 0xD3, (uint64_t)v, 8);
  else if (v < 0x100) number(b, 0xCC, (uint64_t)v, 1);
  else if (v < 0x10000) number(b, 0xCD, (uint64_t)v, 2);
  else number(b, 0xCE, (uint64_t)v, 4);
  return 1;
}

static int text(Buffer *b, PyObject *o) {
  Py_ssize_t n;
  const char *bytes = PyUnicode_AsUTF8AndSize(o, &n);
  if (bytes)
    return n <= b->longest && head(b, (size_t)n, 0xA0, 32, 0xD9, 0xDA) && raw(b, bytes, (size_t)n);
  /* Lone surrogates. */
  PyErr_Clear();
  PyObject *encoded = PyUnicode_AsEncodedString(o, "utf-8", "surrogatepass");
  if (!encoded) return 0;
  char *content;
  int done = PyBytes_AsStringAndSize(encoded, &content, &n) == 0 && n <= b->longest &&
             head(b, (size_t)n, 0xA0, 32, 0xD9, 0xDA) && raw(b, content, (size_t)n);
  Py_DECREF(encoded);
  return done;
}

static int encode(Buffer *b, PyObject *o, int depth);

static int nil(Buffer *b) {
  if (!reserve(b, 1)) return 0;
  b->base[b->count++] = 0xC0;
  return 1;
}

/* A number below 128. */
static int small(Buffer *b, int value) {
  if (!reserve(b, 1)) return 0;
  b->base[b->count++] = (uint8_t)value;
  return 1;
}

/* A short text that is no Python object. */
static int word(Buffer *b, const char *text) {
  size_t n = strlen(text);
  return head(b, n, 0xA0, 32, 0xD9, 0xDA) && raw(b, text, n);
}

static size_t begin(Buffer *b, uint8_t code) {
  if (!reserve(b, 6)) return 0;
  number(b, 0xC9, 0, 4);
  b->base[b->count++] = code;
  return b->count;
}

static int end(Buffer *b, size_t start) {
  size_t n = b->count - start;
  if (n > UINT32_MAX) return 0;
  for (int i = 0; i < 4; i++) b->base[start - 5 + i] = (uint8_t)(n >> (24 - 8 * i));
  return 1;
}

static int sequence(Buffer *b, PyObject *o, int depth) {
  Py_ssize_t n = PyTuple_Size(o);
  if (!head(b, (size_t)n, 0x90, 16, 0, 0xDC)) return 0;
  for (Py_ssize_t i = 0; i < n; i++)
    if (!encode(b, PyTuple_GetItem(o, i), depth)) return 0;
  return 1;
}

static int any_set(Buffer *b, PyObject *o, uint8_t code, int depth) {
  size_t start = begin(b, code);
  Py_ssize_t n = PySet_Size(o), seen = 0;
  if (!start || !head(b, (size_t)n, 0x90, 16, 0, 0xDC)) return 0;
  PyObject *iterator = PyObject_GetIter(o), *item;
  if (!iterator) return 0;
  int done = 1;
  while (done && (item = PyIter_Next(iterator))) {
    done = encode(b, item, depth);
    seen++;
    Py_DECREF(item);
  }
  Py_DECREF(iterator);
  return done && seen == n && end(b, start);
}

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c; }

/* A character of UTF-8, in lower case if it is ASCII; moves behind it. */
static unsigned long character(const char *s, Py_ssize_t n, Py_ssize_t *place) {
  unsigned char first = (unsigned char)lower(s[(*place)++]);
  if (first < 0x80) return first;
  unsigned long code = first & (first < 0xE0 ? 0x1F : first < 0xF0 ? 0x0F : 0x07);
  while (*place < n && ((unsigned char)s[*place] & 0xC0) == 0x80)
    code = code << 6 | ((unsigned char)s[(*place)++] & 0x3F);
  return code;
}

/* Where the content of the set that begins here ends: at its bracket; -1 if it has none. */
static Py_ssize_t set_end(const char *pattern, Py_ssize_t m, Py_ssize_t first) {
  for (Py_ssize_t place = first + 1; place < m; place++)
    if (pattern[place] == ']') return place;
  return -1;
}

static int is_in_set(unsigned long c, const char *pattern, Py_ssize_t place, Py_ssize_t end) {
  while (place < end) {
    unsigned long low = character(pattern, end, &place), high = low;
    if (place + 1 < end && pattern[place] == '-') {
      place++;
      high = character(pattern, end, &place);
    }
    if (low <= c && c <= high) return 1;
  }
  return 0;
}

/* As `Glob` of the Swift side. On a mismatch after a `*` it goes back to it and lets it take one
 * more character. The pattern is in lower case. */
static int matches(const char *name, Py_ssize_t n, const char *pattern, Py_ssize_t m) {
  Py_ssize_t place = 0, part = 0, star_part = -1, star_place = 0;
  int is_equal = n == m;
  for (Py_ssize_t i = 0; is_equal && i < n; i++) is_equal = lower(name[i]) == pattern[i];
  if (is_equal) return 1;
  while (place < n) {
    Py_ssize_t behind = place, next = part;
    int fits = 0;
    if (part < m && pattern[part] == '*') {
      star_part = ++part;
      star_place = place;
      continue;
    }
    if (part < m) {
      unsigned long c = character(name, n, &behind);
      Py_ssize_t first = part + 1, end = -1;
      int is_negated = pattern[part] == '[' && first < m &&
                       (pattern[first] == '^' || pattern[first] == '!');
      first += is_negated;
      if (pattern[part] == '[' && first < m) end = set_end(pattern, m, first);
      if (end >= 0) {
        fits = is_in_set(c, pattern, first, end) != is_negated;
        next = end + 1;
      } else if (pattern[part] == '?') {
        fits = 1;
        next = part + 1;
      } else {
        fits = character(pattern, m, &next) == c;
      }
    }
    if (fits) {
      place = behind;
      part = next;
    } else if (star_part >= 0) {
      character(name, n, &star_place);
      place = star_place;
      part = star_part;
    } else {
      return 0;
    }
  }
  while (part < m && pattern[part] == '*') part++;
  return part == m;
}

/* Whether the value of this name is redacted; -1 if that is unknown. */
static int is_redacted(Buffer *b, PyObject *name) {
  if (Py_TYPE(name) != &PyUnicode_Type) return 0;
  Py_ssize_t n, m;
  const char *bytes = PyUnicode_AsUTF8AndSize(name, &n);
  if (!bytes) return -1;
  for (Py_ssize_t i = 0; i < PyTuple_Size(b->patterns); i++) {
    char *pattern;
    if (PyBytes_AsStringAndSize(PyTuple_GetItem(b->patterns, i), &pattern, &m) < 0) return -1;
    if (matches(bytes, n, pattern, m)) return 1;
  }
  return 0;
}

static int redacted(Buffer *b) {
  size_t start = begin(b, TAGGED);
  return start && head(b, 2, 0x90, 16, 0, 0xDC) && word(b, "$opaque") && word(b, "redacted") &&
         end(b, start);
}

/* A dict, but for one of its keys, which must be in it; or all of it. */
static int mapping(Buffer *b, PyObject *o, PyObject *without, int depth) {
  Py_ssize_t place = 0, count = PyDict_Size(o) - (without ? 1 : 0);
  PyObject *key, *value;
  if (!head(b, (size_t)count, 0x80, 16, 0, 0xDE)) return 0;
  while (PyDict_Next(o, &place, &key, &value)) {
    if (without && (key == without || PyUnicode_Compare(key, without) == 0)) continue;
    int hides = b->patterns ? is_redacted(b, key) : 0;
    if (hides < 0 || !encode(b, key, depth)) return 0;
    if (hides ? !redacted(b) : !encode(b, value, depth)) return 0;
  }
  return 1;
}

static int packed(Buffer *b, PyObject *o) {
  long code = PyLong_AsLong(PyTuple_GetItem(o, 0));
  char *bytes;
  Py_ssize_t n;
  if (PyBytes_AsStringAndSize(PyTuple_GetItem(o, 1), &bytes, &n) < 0) return 0;
  size_t start = begin(b, (uint8_t)code);
  return start && raw(b, bytes, (size_t)n) && end(b, start);
}

/* 0 when it is refused. */
static int encode(Buffer *b, PyObject *o, int depth) {
  PyTypeObject *type = Py_TYPE(o);
  if (type == &PyUnicode_Type) return text(b, o);
  if (type == &PyLong_Type) return integer(b, o);
  if (o == Py_None || o == Py_True || o == Py_False) {
    if (!reserve(b, 1)) return 0;
    b->base[b->count++] = o == Py_None ? 0xC0 : o == Py_True ? 0xC3 : 0xC2;
    return 1;
  }
  if (type == &PyFloat_Type) {
    double value = PyFloat_AsDouble(o);
    uint64_t bits;
    memcpy(&bits, &value, 8);
    if (!reserve(b, 9)) return 0;
    number(b, 0xCB, bits, 8);
    return 1;
  }
  if (type == &PyBytes_Type) {
    char *bytes;
    Py_ssize_t n;
    return PyBytes_AsStringAndSize(o, &bytes, &n) == 0 && n <= b->longest &&
           head(b, (size_t)n, 0, 0, 0xC4, 0xC5) && raw(b, bytes, (size_t)n);
  }
  if ((PyObject *)type == packed_type) return packed(b, o);
  if (depth >= MAXIMUM_DEPTH) return 0;
  depth++;
  if (type == &PyDict_Type) return mapping(b, o, NULL, depth);
  if (type == &PyList_Type) {
    Py_ssize_t n = PyList_Size(o);
    if (!head(b, (size_t)n, 0x90, 16, 0, 0xDC)) return 0;
    for (Py_ssize_t i = 0; i < n; i++)
      if (!encode(b, PyList_GetItem(o, i), depth)) return 0;
    return 1;
  }
  if (type == &PyTuple_Type) {
    size_t start = begin(b, TUPLE);
    return start && sequence(b, o, depth) && end(b, start);
  }
  if (type == &PySet_Type) return any_set(b, o, SET, depth);
  if (type == &PyFrozenSet_Type) return any_set(b, o, FROZENSET, depth);
  if (type == &PyByteArray_Type && PyByteArray_Size(o) <= b->longest) {
    size_t start = begin(b, BYTEARRAY);
    return start && raw(b, PyByteArray_AsString(o), (size_t)PyByteArray_Size(o)) && end(b, start);
  }
  return 0;
}
