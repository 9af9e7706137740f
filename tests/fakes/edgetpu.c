/* A TFLite delegate that stands in for libedgetpu: it takes the whole graph and computes nothing.
 *
 * The file named by FAKE_EDGETPU says what it does now: ok, absent (no accelerator), crash, hang, refuse (the graph),
 * lost (every inference fails), once (one inference fails, then ok). Only the parts of TensorFlow Lite's C interface
 * that it uses are declared (tensorflow/lite/core/c/common.h). gcc -shared -fPIC -o libedgetpu.so edgetpu.c */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct Context Context;
typedef struct { int size; int data[]; } IntArray;
typedef struct {
  void *(*init)(Context *, const char *, size_t);
  void (*free)(Context *, void *);
  int (*prepare)(Context *, void *);
  int (*invoke)(Context *, void *);
  const char *(*profiling_string)(const Context *, const void *);
  int32_t builtin_code;
  const char *custom_name;
  int version;
  void *external, *async_kernel;
  uint64_t inplace;
  void *room[4]; /* for what a later version adds */
} Registration;
typedef struct Delegate {
  void *data;
  int (*prepare)(Context *, struct Delegate *);
  void *from_buffer, *to_buffer, *free_buffer;
  int64_t flags;
  void *opaque;
  void *room[4];
} Delegate;
struct Context {
  size_t tensors_size;
  int (*execution_plan)(Context *, IntArray **);
  void *tensors, *impl, *resize;
  void (*report)(Context *, const char *, ...);
  void *add, *node;
  int (*replace)(Context *, Registration, const IntArray *, Delegate *);
};

static int mode_is(const char *word) {
  char text[32] = "";
  FILE *file = fopen(getenv("FAKE_EDGETPU"), "r");
  if (file) {
    if (!fgets(text, sizeof text, file)) text[0] = 0;
    fclose(file);
  }
  return !strncmp(text, word, strlen(word));
}

static int prepare_kernel(Context *context, void *node) { return 0; }

static int invoke_kernel(Context *context, void *node) {
  int once = mode_is("once");
  if (once) {
    FILE *file = fopen(getenv("FAKE_EDGETPU"), "w");
    fputs("ok", file);
    fclose(file);
  }
  if (once || mode_is("lost")) {
    context->report(context, "fake: USB transfer error 5");
    return 1;
  }
  return 0;
}

static int prepare(Context *context, Delegate *self) {
  if (mode_is("refuse")) return 1;
  IntArray *plan;
  if (context->execution_plan(context, &plan)) return 1;
  IntArray *nodes = malloc(sizeof(int) * (plan->size + 1));
  memcpy(nodes, plan, sizeof(int) * (plan->size + 1));
  Registration kernel = {.prepare = prepare_kernel, .invoke = invoke_kernel, .custom_name = "FakeEdgeTpu", .version = 1};
  int status = context->replace(context, kernel, nodes, self);
  free(nodes);
  return status;
}

Delegate *tflite_plugin_create_delegate(char **keys, char **values, size_t count, void (*report)(const char *)) {
  if (mode_is("crash")) abort();
  if (mode_is("hang")) sleep(600);
  if (mode_is("absent")) {
    report("fake: no accelerator");
    return NULL;
  }
  Delegate *made = calloc(1, sizeof(Delegate));
  made->prepare = prepare;
  return made;
}

void tflite_plugin_destroy_delegate(Delegate *made) { free(made); }

/* As libedgetpu tells it (edgetpu_c.h). */
const char *edgetpu_version(void) {
  if (mode_is("crash")) abort();
  return "BuildLabel(COMPILER=none,DATE=redacted,TIME=redacted), RuntimeVersion(14)";
}
