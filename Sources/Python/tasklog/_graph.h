/* The recorder's eye on one scheduler: `Hooks.update_graph`, for graphs whose tasks are all as most
 * are: new, or known from a graph before.
 */
#include "_scheduler.h"

#include "_shared.h"

static int field(Buffer *b, const char *name, int *count) {
  ++*count;
  return word(b, name);
}

static int dependencies(Buffer *b, PyObject *ts, int *count) {
  PyObject *all = PyObject_GetAttr(ts, n_dependencies);
  Py_ssize_t n = all ? PyObject_Size(all) : -1, seen = 0;
  int done = n == 0 || (n > 0 && field(b, "dependencies", count) &&
                        head(b, (size_t)n, 0x90, 16, 0, 0xDC));
  PyObject *iterator = done && n > 0 ? PyObject_GetIter(all) : NULL, *one;
  while (done && iterator && (one = PyIter_Next(iterator))) {
    done = attribute(b, one, n_key);
    seen++;
    Py_DECREF(one);
  }
  Py_XDECREF(iterator);
  Py_XDECREF(all);
  return done && seen == n;
}

/* The span of a task's group, if it has not been recorded. */
static int span(Buffer *b, PyObject *ts, PyObject *spans, int *count) {
  PyObject *group = PyObject_GetAttr(ts, n_group);
  PyObject *id = group ? PyObject_GetAttr(group, n_span_id) : NULL;
  PyObject *name = group ? PyObject_GetAttr(group, n_name) : NULL;
  int done = id && name;
  if (done && id != Py_None) {
    PyObject *told = PyDict_GetItemWithError(spans, name);
    int is_known = told ? PyObject_RichCompareBool(told, id, Py_EQ) : 0;
    done = is_known == 1 || (is_known == 0 && PyDict_SetItem(spans, name, id) == 0 &&
                             field(b, "span", count) && encode(b, id, 0));
  }
  Py_XDECREF(group);
  Py_XDECREF(id);
  Py_XDECREF(name);
  return done;
}

/* Whether a task is as most are that come with a graph; see `facts.graph_task`. */
static int is_usual(PyObject *ts, int is_known) {
  if (is_true(ts, n_retries) || is_true(ts, n_worker_restrictions) ||
      is_true(ts, n_loose_restrictions) || is_true(ts, n_host_restrictions) ||
      is_true(ts, n_resource_restrictions) || is_true(ts, n_actor) ||
      is_true(ts, n_exception_blame) || is_true(ts, n_has_lost_dependencies) ||
      is_queueable(ts) != 1)
    return 0;
  if (is_known) return 1;
  PyObject *name = PyObject_GetAttr(ts, n_state), *nbytes = PyObject_GetAttr(ts, n_nbytes);
  int answer = name && nbytes && is_text(name, n_released) && PyLong_Check(nbytes) &&
               PyLong_AsLongLong(nbytes) < 0;
  Py_XDECREF(name);
  Py_XDECREF(nbytes);
  return answer;
}

/* What it runs: nothing, or something that makes data. */
static int run_spec(Buffer *b, PyObject *ts, int *count) {
  PyObject *spec = PyObject_GetAttr(ts, n_run_spec);
  if (!spec) return 0;
  int done = 1;
  if (spec == Py_None) {
    done = field(b, "hasRunSpec", count) && encode(b, Py_False, 0);
  } else {
    int makes = is_true(spec, n_data_producer);
    if (makes < 0) PyErr_Clear();
    if (makes > 0) done = field(b, "dataProducer", count) && encode(b, Py_True, 0);
  }
  Py_DECREF(spec);
  return done;
}

static int describe(
    Buffer *b, PyObject *ts, int is_known, PyObject *priority, PyObject *spans) {
  size_t start = b->count;
  int count = 0, done = 1;
  if (is_known < 0 || !is_usual(ts, is_known) || !head(b, 0, 0x80, 16, 0, 0xDE) ||
      !dependencies(b, ts, &count))
    return 0;
  PyObject *own = PyObject_GetAttr(ts, n_priority);
  PyObject *annotations = PyObject_GetAttr(ts, n_annotations);
  if (!own || !annotations) done = 0;
  /* What the args have is not repeated. */
  if (done && own != Py_None && own != priority)
    done = field(b, "priority", &count) && encode(b, own, 0);
  if (done && annotations == Py_None)
    done = field(b, "annotations", &count) && nil(b);
  else if (done && PyObject_IsTrue(annotations))
    done = field(b, "annotations", &count) && shared_values(b, annotations, 1);
  Py_XDECREF(own);
  Py_XDECREF(annotations);
  done = done && run_spec(b, ts, &count) && span(b, ts, spans, &count) &&
         (!is_known || (field(b, "known", &count) && encode(b, Py_True, 0))) && count < 16;
  if (done) b->base[start] = (uint8_t)(0x80 | count);
  return done;
}

/* The args, whose annotations are by name and key. */
static int graph_args(Buffer *b, PyObject *args) {
  Py_ssize_t place = 0;
  PyObject *name, *value;
  if (!head(b, (size_t)PyDict_Size(args), 0x80, 16, 0, 0xDE)) return 0;
  while (PyDict_Next(args, &place, &name, &value)) {
    if (!encode(b, name, 1)) return 0;
    if (is_text(name, n_annotations) ? !shared_values(b, value, 2) : !encode(b, value, 1)) return 0;
  }
  return 1;
}

static int encode_graph(
    Scheduler *s, PyObject *at, PyObject *stimulus, PyObject *args, PyObject *keys,
    PyObject *priority, PyObject *spans) {
  Buffer *b = &buffer;
  b->count = 0;
  b->longest = s->longest;
  forget_shared();
  PyObject *iterator = hold(s) ? PyObject_GetIter(keys) : NULL, *key;
  int done = iterator && head(b, 10, 0x90, 16, 0, 0xDC) && encode(b, at, 0);
  done = done && small(b, s->graph_hook) && nil(b) && nil(b) && nil(b) &&
         encode(b, stimulus, 0) && nil(b) && nil(b) &&
         head(b, 2, 0x90, 16, 0, 0xDC) && head(b, 0, 0x90, 16, 0, 0xDC) &&
         graph_args(b, args) && head(b, 1, 0x90, 16, 0, 0xDC) &&
         head(b, 1, 0x80, 16, 0, 0xDE) && word(b, "graph") &&
         head(b, (size_t)PyObject_Size(keys), 0x90, 16, 0, 0xDC);
  while (done && (key = PyIter_Next(iterator))) {
    PyObject *ts = PyDict_GetItemWithError(s->tasks, key);
    done = ts && describe(b, ts, PySet_Contains(s->known, key),
                          PyDict_GetItemWithError(priority, key), spans);
    Py_DECREF(key);
  }
  Py_XDECREF(iterator);
  return done && !PyErr_Occurred();
}

/* graph(time, stimulus, args, keys, priority): a graph of tasks that are all as most are; false
 * when they are not, and then nothing has been done. */
static PyObject *graph(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
  Scheduler *s = (Scheduler *)self;
  if (count != 5 || !put_function || !PyDict_Check(arguments[2]) || !PyDict_Check(arguments[4])) {
    PyErr_SetString(PyExc_TypeError, "graph(time, stimulus, args, keys, priority) after bind()");
    return NULL;
  }
  if (is_busy) Py_RETURN_FALSE;
  is_busy = 1;
  PyObject *keys = arguments[3], *spans = PyDict_Copy(s->spans);
  int done = spans &&
             encode_graph(s, arguments[0], arguments[1], arguments[2], keys, arguments[4], spans) &&
             put_buffer(s->recorder, s->source) > 0;
  is_busy = 0;
  PyErr_Clear();
  if (done) {
    PyObject *iterator = PyObject_GetIter(keys), *key;
    while (iterator && (key = PyIter_Next(iterator))) {
      PySet_Add(s->known, key);
      Py_DECREF(key);
    }
    Py_XDECREF(iterator);
    if (PyDict_Update(s->spans, spans) < 0) PyErr_Clear();
  }
  Py_XDECREF(spans);
  return PyBool_FromLong(done && !PyErr_Occurred());
}
