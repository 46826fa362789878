/* The recorder's eye on one scheduler: `Hooks.transition`, as long as everything about the task is
 * as it nearly always is. What is not is refused before anything is put or changed.
 */
#include "_encode.h"

#include <stddef.h>

static int64_t (*put_function)(int64_t, int32_t, const void *, size_t);

/* Kept from one event to the next; the interpreter's lock is held all the time. While an event is
 * being encoded, the garbage collector may call code that records another one: `is_busy`
 * sends that one the way through Python. */
static Buffer buffer;
static int is_busy;

static int64_t put_buffer(long long recorder, long source) {
  int64_t answer = put_function(recorder, (int32_t)source, buffer.base, buffer.count);
  if (buffer.capacity > 16 << 20) {
    free(buffer.base);
    memset(&buffer, 0, sizeof buffer);
  }
  return answer;
}

/* Names, made once. */
#define NAMES(X)                                                                               \
  X(stimulus_id) X(tasks) X(workers) X(transition_log) X(transition_counter) X(timestamp)      \
  X(recommendations) X(suspicious) X(annotations) X(_queueable) X(dependencies) X(dependents)  \
  X(processing_on) X(address) X(run_id) X(group) X(name) X(span_id) X(worker) X(key)           \
  X(priority) X(retries) X(worker_restrictions) X(loose_restrictions) X(host_restrictions)     \
  X(resource_restrictions) X(actor) X(run_spec) X(data_producer) X(exception_blame)            \
  X(has_lost_dependencies) X(state) X(nbytes) X(processing) X(forgotten) X(released) X(erred)    \
  X(cause) X(exception_text)
#define DECLARE(name) static PyObject *n_##name;
NAMES(DECLARE)

typedef struct {
  PyObject_HEAD
  long long recorder;
  long source;
  Py_ssize_t longest;
  /* The scheduler, what is called where this refuses, the numbers of states, and what the recorder
   * keeps: keys of tasks that it has announced, packed keys, spans of groups, what limits tasks. */
  PyObject *scheduler, *slow, *states, *known, *keys, *spans, *limits;
  /* The scheduler's own, which stay the same as long as it lives; `graph` makes sure of that. */
  PyObject *workers_dict, *tasks, *log;
  int transition_hook, graph_hook;
  /* How many transitions there were, and how many workers there are, as far as was recorded. */
  long long counter;
  Py_ssize_t workers;
} Scheduler;

/* An attribute that is true; -1 on an error. One that older versions do not have is not. */
static int is_true(PyObject *o, PyObject *name) {
  PyObject *value = PyObject_GetAttr(o, name);
  if (!value) return -1;
  int answer = value == Py_None || value == Py_False ? 0 : PyObject_IsTrue(value);
  Py_DECREF(value);
  return answer;
}

static Py_ssize_t length(PyObject *o, PyObject *name) {
  PyObject *value = PyObject_GetAttr(o, name);
  if (!value) return -1;
  Py_ssize_t answer = PyObject_Size(value);
  Py_DECREF(value);
  return answer;
}

static int is_text(PyObject *o, PyObject *text) {
  return o == text || (PyUnicode_Check(o) && PyUnicode_Compare(o, text) == 0);
}

/* An attribute of an attribute, encoded. */
static int attribute(Buffer *b, PyObject *o, PyObject *name) {
  PyObject *value = PyObject_GetAttr(o, name);
  int done = value && encode(b, value, 0);
  Py_XDECREF(value);
  return done;
}

/* A state, or what it is called where it has no number. */
static int state(Buffer *b, PyObject *states, PyObject *name) {
  PyObject *number = PyDict_GetItemWithError(states, name);
  return encode(b, number ? number : name, 0);
}

/* Where older versions do not have it, every task is. */
static int is_queueable(PyObject *ts) {
  int answer = is_true(ts, n__queueable);
  if (answer >= 0) return answer;
  if (!PyErr_ExceptionMatches(PyExc_AttributeError)) return -1;
  PyErr_Clear();
  return 1;
}

/* An argument that there is and that is not None. */
static PyObject *given(PyObject *kwargs, PyObject *name) {
  PyObject *value = PyDict_GetItemWithError(kwargs, name);
  return value == Py_None ? NULL : value;
}

/* The key of the task that a failed one blames, if the args lack it; NULL if they have it, or
 * with an error. */
static PyObject *blamed_key(PyObject *ts, PyObject *finish, PyObject *kwargs) {
  if (!is_text(finish, n_erred) || given(kwargs, n_cause)) return NULL;
  PyObject *blamed = PyObject_GetAttr(ts, n_exception_blame);
  PyObject *key = blamed && blamed != Py_None ? PyObject_GetAttr(blamed, n_key) : NULL;
  Py_XDECREF(blamed);
  return key;
}

/* Whether a task has failed on its own with an exception that came without its text. */
static int lacks_text(PyObject *ts, PyObject *finish, PyObject *kwargs) {
  if (!is_text(finish, n_erred) || given(kwargs, n_exception_text)) return 0;
  PyObject *blamed = PyObject_GetAttr(ts, n_exception_blame);
  Py_XDECREF(blamed);
  return !blamed || blamed == ts;
}

/* Whether the task has nothing to record beyond what every transition records. */
static int is_plain(PyObject *ts, PyObject *finish, PyObject *kwargs) {
  if (lacks_text(ts, finish, kwargs)) return 0;
  if (is_true(ts, n_suspicious) || is_true(ts, n_annotations) || is_queueable(ts) != 1 ||
      is_true(ts, n_worker_restrictions) || is_true(ts, n_host_restrictions) ||
      is_true(ts, n_resource_restrictions))
    return 0;
  if (!is_text(finish, n_forgotten)) return 1;
  Py_ssize_t dependencies = length(ts, n_dependencies), dependents = length(ts, n_dependents);
  return dependencies >= 0 && dependencies < 2 && dependents >= 0 && dependents < 2;
}

/* Writes what the scheduler recommended and the task that a failed one blames, as the snapshot of the
 * task; nil if there is neither. */
static int snapshot(Buffer *b, PyObject *last, PyObject *key, PyObject *blamed) {
  PyObject *told = PyObject_GetAttr(last, n_recommendations);
  int done = told && Py_TYPE(told) == &PyDict_Type;
  Py_ssize_t count = done ? PyDict_Size(told) : 0;
  if (done && count == 0 && !blamed) {
    done = nil(b);
  } else if (done) {
    PyObject *own = count == 1 ? PyDict_GetItemWithError(told, key) : NULL;
    done = head(b, 1, 0x90, 16, 0, 0xDC) && head(b, 1, 0x80, 16, 0, 0xDE) && word(b, "task") &&
           head(b, (count > 0) + (blamed != NULL), 0x80, 16, 0, 0xDE);
    if (done && count > 0)
      done = word(b, own ? "recommends" : "recommendations") && encode(b, own ? own : told, 0);
    if (done && blamed) done = word(b, "blame") && encode(b, blamed, 0);
  }
  Py_XDECREF(told);
  return done;
}

/* Where a task went, and for which time: what is known when it is being processed. */
static int where(Buffer *b, PyObject *ts, PyObject *finish, PyObject *kwargs) {
  PyObject *named = PyDict_Size(kwargs) > 1 ? PyDict_GetItemWithError(kwargs, n_worker) : NULL;
  if (!is_text(finish, n_processing))
    return (named ? encode(b, named, 0) : nil(b)) && nil(b);
  PyObject *ws = PyObject_GetAttr(ts, n_processing_on);
  int done = ws && (PyDict_Size(kwargs) == 1 ? attribute(b, ws, n_address)
                    : named                  ? encode(b, named, 0)
                                             : nil(b));
  Py_XDECREF(ws);
  return done && attribute(b, ts, n_run_id);
}

static int encode_transition(
    Scheduler *s, PyObject *ts, PyObject *last, PyObject *key, PyObject *args, PyObject *kwargs) {
  Buffer *b = &buffer;
  PyObject *start = PyTuple_GetItem(args, 1), *finish = PyTuple_GetItem(args, 2);
  PyObject *stimulus = PyDict_GetItemWithError(kwargs, n_stimulus_id);
  b->count = 0;
  b->longest = s->longest;
  if (!stimulus || !head(b, 10, 0x90, 16, 0, 0xDC) || !attribute(b, last, n_timestamp)) return 0;
  if (!small(b, s->transition_hook) || !encode(b, key, 0) || !state(b, s->states, start) ||
      !state(b, s->states, finish) || !encode(b, stimulus, 0) || !where(b, ts, finish, kwargs))
    return 0;
  if (PyDict_Size(kwargs) == 1) {
    if (!nil(b)) return 0;
  } else if (
      !head(b, 2, 0x90, 16, 0, 0xDC) || !head(b, 0, 0x90, 16, 0, 0xDC) ||
      !mapping(b, kwargs, n_stimulus_id, 1)) {
    return 0;
  }
  PyObject *blamed = blamed_key(ts, finish, kwargs);
  int done = !PyErr_Occurred() && snapshot(b, last, key, blamed);
  Py_XDECREF(blamed);
  return done;
}

/* Forgets a task. Nothing here may fail: the event has been stored. */
static void forget(Scheduler *s, PyObject *ts, PyObject *key) {
  PySet_Discard(s->known, key);
  if (PyDict_Size(s->keys) > 0 && !PyUnicode_Check(key)) PyDict_DelItem(s->keys, key);
  PyErr_Clear();
  if (PyDict_Size(s->spans) > 0) {
    /* A group that comes again is a new one. */
    PyObject *group = PyObject_GetAttr(ts, n_group);
    PyObject *name = group ? PyObject_GetAttr(group, n_name) : NULL;
    if (name) PyDict_DelItem(s->spans, name);
    Py_XDECREF(group);
    Py_XDECREF(name);
  }
  PyErr_Clear();
}

/* Takes hold of the scheduler's collections; where they are of other types, everything is
 * refused. */
static int hold(Scheduler *s) {
  PyObject *workers = PyObject_GetAttr(s->scheduler, n_workers);
  PyObject *tasks = PyObject_GetAttr(s->scheduler, n_tasks);
  PyObject *log = PyObject_GetAttr(s->scheduler, n_transition_log);
  int done = workers && PyDict_Check(workers) && tasks && Py_TYPE(tasks) == &PyDict_Type && log;
  if (!done) {
    Py_CLEAR(workers);
    Py_CLEAR(tasks);
    Py_CLEAR(log);
    PyErr_Clear();
  }
  PyObject *before[3] = {s->workers_dict, s->tasks, s->log};
  s->workers_dict = workers;
  s->tasks = tasks;
  s->log = log;
  for (int i = 0; i < 3; i++) Py_XDECREF(before[i]);
  return done;
}

/* The transition of a task that is as tasks are; 0 when it is not, and then nothing has been
 * done. */
static int put_transition(Scheduler *s, PyObject *args, PyObject *kwargs) {
  if (is_busy || !put_function || PyTuple_Size(args) != 3 || !kwargs) return 0;
  is_busy = 1;
  PyObject *key = PyTuple_GetItem(args, 0), *finish = PyTuple_GetItem(args, 2);
  PyObject *counter = PyObject_GetAttr(s->scheduler, n_transition_counter);
  PyObject *ts = NULL, *last = NULL;
  int done = 0;
  if (!counter || !s->tasks || PyDict_Size(s->workers_dict) != s->workers) goto end;
  if (PyLong_AsLongLong(counter) != s->counter + 1 || PyObject_Size(s->log) <= 0) goto end;
  ts = PyDict_GetItemWithError(s->tasks, key);
  Py_XINCREF(ts);
  if (!ts || PySet_Contains(s->known, key) != 1 || !is_plain(ts, finish, kwargs)) goto end;
  if (PyDict_Size(s->limits) > 0 && PyDict_Contains(s->limits, key) != 0) goto end;
  last = PySequence_GetItem(s->log, -1);
  if (!last || !encode_transition(s, ts, last, key, args, kwargs) || PyErr_Occurred()) goto end;
  if (put_buffer(s->recorder, s->source) <= 0) goto end;
  done = 1;
  s->counter++;
  if (is_text(finish, n_forgotten)) forget(s, ts, key);
end:
  Py_XDECREF(counter);
  Py_XDECREF(ts);
  Py_XDECREF(last);
  PyErr_Clear();
  is_busy = 0;
  return done;
}

static int encode_mark(Scheduler *s, PyObject *const *fields) {
  Buffer *b = &buffer;
  b->count = 0;
  b->longest = s->longest;
  return head(b, 10, 0x90, 16, 0, 0xDC) && encode(b, fields[1], 0) && encode(b, fields[0], 0) &&
         encode(b, fields[2], 0) && nil(b) && nil(b) && encode(b, fields[3], 0) &&
         encode(b, fields[4], 0) && nil(b) && head(b, 2, 0x90, 16, 0, 0xDC) &&
         head(b, 0, 0x90, 16, 0, 0xDC) && mapping(b, fields[5], NULL, 1) && nil(b);
}

/* mark(hook, time, key, stimulus, worker, args): a call of another hook, or a mark; false when
 * there is more to it. */
static PyObject *mark(PyObject *self, PyObject *const *fields, Py_ssize_t count) {
  Scheduler *s = (Scheduler *)self;
  if (count != 6 || !PyDict_Check(fields[5]) || !put_function) {
    PyErr_SetString(PyExc_TypeError, "mark(hook, time, key, stimulus, worker, args) after bind()");
    return NULL;
  }
  if (is_busy) Py_RETURN_FALSE;
  is_busy = 1;
  int done = encode_mark(s, fields) && put_buffer(s->recorder, s->source) > 0;
  is_busy = 0;
  PyErr_Clear();
  return PyBool_FromLong(done);
}

static PyObject *transition(PyObject *self, PyObject *args, PyObject *kwargs) {
  Scheduler *s = (Scheduler *)self;
  if (put_transition(s, args, kwargs)) Py_RETURN_NONE;
  return PyObject_Call(s->slow, args, kwargs);
}
