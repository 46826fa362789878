/* The fast way of an event from Python's objects into the recorder: one call encodes and puts it.
 *
 * `put` does that with the fields of any event. `Scheduler` is the recorder's eye on one scheduler:
 * it does in C what hooks that are called for every task do in Python. Whatever they do not know is
 * refused, and goes the way through Python.
 *
 * Python's stable interface, from 3.10 on.
 */
#include "_graph.h"

#include <structmember.h>

enum { REFUSED = -100 };

static PyObject *put(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
  (void)self;
  if (count != 5 || !put_function) {
    PyErr_SetString(
        PyExc_TypeError, "put(recorder, source, event, longest, patterns) after bind()");
    return NULL;
  }
  long long recorder = PyLong_AsLongLong(arguments[0]);
  long source = PyLong_AsLong(arguments[1]);
  buffer.longest = PyLong_AsSsize_t(arguments[3]);
  if (PyErr_Occurred()) return NULL;
  if (is_busy) return PyLong_FromLong(REFUSED);
  is_busy = 1;
  buffer.patterns = PyTuple_Check(arguments[4]) && PyTuple_Size(arguments[4]) ? arguments[4] : NULL;
  buffer.count = 0;
  int done = encode(&buffer, arguments[2], 0);
  buffer.patterns = NULL;
  PyErr_Clear();
  int64_t answer = done ? put_buffer(recorder, source) : REFUSED;
  is_busy = 0;
  return PyLong_FromLongLong(answer);
}

static PyObject *bind(PyObject *self, PyObject *arguments) {
  (void)self;
  unsigned long long address;
  PyObject *type;
  if (!PyArg_ParseTuple(arguments, "KO", &address, &type)) return NULL;
  Py_INCREF(type);
  Py_XDECREF(packed_type);
  packed_type = type;
  put_function = (int64_t(*)(int64_t, int32_t, const void *, size_t))(uintptr_t)address;
  Py_RETURN_NONE;
}

static int prepare(PyObject *self, PyObject *args, PyObject *kwargs) {
  Scheduler *s = (Scheduler *)self;
  (void)kwargs;
  PyObject *parts[7];
  if (!PyArg_ParseTuple(
          args, "LlnOOO!O!O!O!O!ii", &s->recorder, &s->source, &s->longest, &parts[0], &parts[1],
          &PyDict_Type, &parts[2], &PySet_Type, &parts[3], &PyDict_Type, &parts[4], &PyDict_Type,
          &parts[5], &PyDict_Type, &parts[6], &s->transition_hook, &s->graph_hook))
    return -1;
  PyObject **places[7] = {&s->scheduler, &s->slow,  &s->states, &s->known,
                          &s->keys,      &s->spans, &s->limits};
  for (int i = 0; i < 7; i++) {
    Py_INCREF(parts[i]);
    Py_XDECREF(*places[i]);
    *places[i] = parts[i];
  }
  hold(s);
  return 0;
}

static int visit_all(PyObject *self, visitproc visit, void *arg) {
  Scheduler *s = (Scheduler *)self;
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(s->scheduler);
  Py_VISIT(s->slow);
  Py_VISIT(s->states);
  Py_VISIT(s->known);
  Py_VISIT(s->keys);
  Py_VISIT(s->spans);
  Py_VISIT(s->limits);
  Py_VISIT(s->workers_dict);
  Py_VISIT(s->tasks);
  Py_VISIT(s->log);
  return 0;
}

static int clear_all(PyObject *self) {
  Scheduler *s = (Scheduler *)self;
  Py_CLEAR(s->scheduler);
  Py_CLEAR(s->slow);
  Py_CLEAR(s->states);
  Py_CLEAR(s->known);
  Py_CLEAR(s->keys);
  Py_CLEAR(s->spans);
  Py_CLEAR(s->limits);
  Py_CLEAR(s->workers_dict);
  Py_CLEAR(s->tasks);
  Py_CLEAR(s->log);
  return 0;
}

static void destroy(PyObject *self) {
  PyTypeObject *type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  clear_all(self);
  ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
  Py_DECREF(type);
}

static PyMethodDef scheduler_methods[] = {
    {"transition", (PyCFunction)(void (*)(void))transition, METH_VARARGS | METH_KEYWORDS,
     "Dask's hook."},
    {"mark", (PyCFunction)(void (*)(void))mark, METH_FASTCALL, "Records a mark, or refuses to."},
    {"graph", (PyCFunction)(void (*)(void))graph, METH_FASTCALL, "Records a graph, or refuses to."},
    {NULL, NULL, 0, NULL}};

static PyMemberDef scheduler_members[] = {
    {"counter", T_LONGLONG, offsetof(Scheduler, counter), 0, "Transitions so far."},
    {"workers", T_PYSSIZET, offsetof(Scheduler, workers), 0, "Workers there are."},
    {NULL, 0, 0, 0, NULL}};

static PyType_Slot scheduler_slots[] = {
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_init, prepare},
    {Py_tp_dealloc, destroy},
    {Py_tp_traverse, visit_all},
    {Py_tp_clear, clear_all},
    {Py_tp_methods, scheduler_methods},
    {Py_tp_members, scheduler_members},
    {0, NULL}};

static PyType_Spec scheduler_spec = {
    "tasklog._native.Scheduler", sizeof(Scheduler), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    scheduler_slots};

static PyMethodDef methods[] = {
    {"put", (PyCFunction)(void (*)(void))put, METH_FASTCALL, "Encodes an event and puts it."},
    {"bind", bind, METH_VARARGS, "The address of tasklog_put, and the type of what is packed."},
    {NULL, NULL, 0, NULL}};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_native", NULL, -1, methods,
                                    NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__native(void) {
#define MAKE(name) if (!(n_##name = PyUnicode_InternFromString(#name))) return NULL;
  NAMES(MAKE)
  PyObject *made = PyModule_Create(&module), *type = made ? PyType_FromSpec(&scheduler_spec) : NULL;
  if (!type || PyModule_AddObject(made, "Scheduler", type) < 0) {
    Py_XDECREF(type);
    Py_XDECREF(made);
    return NULL;
  }
  return made;
}
