/*
 * Write a learning-rate schedule for pixelrate in C (or C++).
 *
 * Define the functions of the contract (sdk/wit/schedule.wit) that the schedule
 * needs, at least learning_rate: those under "Exports" here. What is not
 * defined is not exported, and the trainer does not ask for it.
 */
#ifndef PIXELRATE_H
#define PIXELRATE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PIXELRATE_IMPORT(interface, name)                                      \
  __attribute__((import_module("pixelrate:schedule/" interface "@1.0.0"),      \
                 import_name(name)))
#define PIXELRATE_EXPORT(name) __attribute__((export_name(name)))

/* ---- Exports: define what the schedule needs. ---- */

/* Text or bytes that an export gives. */
struct pixelrate_bytes {
  const void *start;
  size_t length;
};

/* Once, before the first step: read parameters and open pictures here. */
PIXELRATE_EXPORT("init") void init(void);
/* The rate of `step`, counted from 0. */
PIXELRATE_EXPORT("learning-rate") double learning_rate(uint64_t step);
/* The momentum (Adam: beta1) of `step`. */
PIXELRATE_EXPORT("momentum") double momentum(uint64_t step);
PIXELRATE_EXPORT("weight-decay") double weight_decay(uint64_t step);
/* PIXELRATE_STATE and PIXELRATE_PARAMETERS below define these. */
PIXELRATE_EXPORT("save") const struct pixelrate_bytes *save(void);
PIXELRATE_EXPORT("restore") void restore(const void *start, size_t length);
PIXELRATE_EXPORT("parameters") const struct pixelrate_bytes *parameters(void);

/* ---- What stays the same for a whole run. ---- */

PIXELRATE_IMPORT("run", "total-steps") uint64_t pixelrate_total_steps(void);
/* Steps that begin in an epoch, rounded up. */
PIXELRATE_IMPORT("run", "steps-per-epoch")
uint64_t pixelrate_steps_per_epoch(void);
/* Pictures in the training set. */
PIXELRATE_IMPORT("run", "train-examples")
uint64_t pixelrate_train_examples(void);
PIXELRATE_IMPORT("run", "batch-size") uint32_t pixelrate_batch_size(void);
PIXELRATE_IMPORT("run", "seed") uint64_t pixelrate_seed(void);

PIXELRATE_IMPORT("run", "param")
double pixelrate_param_bytes(const char *name, size_t length, double fallback);
PIXELRATE_IMPORT("run", "log")
void pixelrate_log_bytes(const char *message, size_t length);
PIXELRATE_IMPORT("run", "fail")
__attribute__((noreturn)) void pixelrate_fail_bytes(const char *message,
                                                    size_t length);

/* The number that the study gives for `name`, or `fallback` where it gives
 * none. PIXELRATE_PARAMETERS asks for all that it declares. */
static inline double pixelrate_param(const char *name, double fallback) {
  return pixelrate_param_bytes(name, strlen(name), fallback);
}

/* Writes a line into the run's event log. */
static inline void pixelrate_log(const char *message) {
  pixelrate_log_bytes(message, strlen(message));
}

/* Ends the run: the trainer shows `message` to the user. */
__attribute__((noreturn)) static inline void
pixelrate_fail(const char *message) {
  pixelrate_fail_bytes(message, strlen(message));
}

/* ---- What training has just shown: NaN where there is nothing yet. ---- */

/* A schedule that calls any of these makes the trainer read the loss back at
 * every step. */

PIXELRATE_IMPORT("training", "train-loss") double pixelrate_train_loss(void);
PIXELRATE_IMPORT("training", "grad-norm") double pixelrate_grad_norm(void);
PIXELRATE_IMPORT("training", "eval-loss") double pixelrate_eval_loss(void);
PIXELRATE_IMPORT("training", "eval-accuracy")
double pixelrate_eval_accuracy(void);
/* The step after which both were measured; 0 before the first. */
PIXELRATE_IMPORT("training", "eval-step") uint64_t pixelrate_eval_step(void);

/* ---- The weights: calling this makes the trainer measure them at every step. */

/* Euclidean norm of all trained parameters before the step asked for. */
PIXELRATE_IMPORT("weights", "norm") double pixelrate_weight_norm(void);

/* ---- Pictures, decoded by the trainer. ---- */

typedef struct pixelrate_image {
  int32_t handle;
} pixelrate_image;

PIXELRATE_IMPORT("images", "[static]image.open")
pixelrate_image pixelrate_image_open_bytes(const char *param, size_t length,
                                           uint64_t samples);
PIXELRATE_IMPORT("images", "[method]image.width")
uint32_t pixelrate_image_width(pixelrate_image image);
PIXELRATE_IMPORT("images", "[method]image.height")
uint32_t pixelrate_image_height(pixelrate_image image);
/* 1 for a grey picture, 3 (red, green, blue) for any other. */
PIXELRATE_IMPORT("images", "[method]image.channels")
uint32_t pixelrate_image_channels(pixelrate_image image);
/* How many values there are: width * height * channels. */
PIXELRATE_IMPORT("images", "[method]image.len")
uint64_t pixelrate_image_len(pixelrate_image image);
/* One value in [0, 1]: row by row, pixel by pixel, channel by channel. */
PIXELRATE_IMPORT("images", "[method]image.value")
double pixelrate_image_value(pixelrate_image image, uint64_t index);
/* Frees it. One that stays open until the end of the run needs none of this. */
PIXELRATE_IMPORT("images", "[resource-drop]image")
void pixelrate_image_close(pixelrate_image image);

/* Opens the file that the study's parameter `param` names, resized so that
 * width * height * 3 is close to `samples` (0: not resized). A picture that
 * cannot be had ends the run with a message. */
static inline pixelrate_image pixelrate_image_open(const char *param,
                                                   uint64_t samples) {
  return pixelrate_image_open_bytes(param, strlen(param), samples);
}

/* ---- Parameters ----
 *
 *   #define PARAMETERS(X)                                                     \
 *     X(number, max_lr, 0.1, "The highest rate.")                             \
 *     X(choice, shape, 0, "The shape of the fall.", "line", "cosine")         \
 *     X(picture, image, "The picture.")
 *   PIXELRATE_PARAMETERS(PARAMETERS)
 *
 * defines the export `parameters`, `struct parameters {double max_lr; int
 * shape; const char *image;}`, and `struct parameters read_parameters(void)`,
 * which asks the study for all of them. Defaults must be plain numbers, since
 * they are declared as they are written, and the texts must have no quotation
 * marks or backslashes in them. */
#define PIXELRATE_PARAMETERS(LIST)                                             \
  struct parameters {                                                          \
    LIST(PIXELRATE_FIELD)                                                      \
  };                                                                           \
  static inline struct parameters read_parameters(void) {                      \
    struct parameters p;                                                       \
    LIST(PIXELRATE_READ)                                                       \
    return p;                                                                  \
  }                                                                            \
  const struct pixelrate_bytes *parameters(void) {                             \
    static char json[] = LIST(PIXELRATE_JSON) "]";                             \
    static const struct pixelrate_bytes bytes = {json, sizeof json - 1};       \
    json[0] = '['; /* It was the comma before the first. */                    \
    return &bytes;                                                             \
  }

#define PIXELRATE_FIELD(kind, ...) PIXELRATE_FIELD_##kind(__VA_ARGS__)
#define PIXELRATE_FIELD_number(name, ...) double name;
#define PIXELRATE_FIELD_choice(name, ...) int name;
#define PIXELRATE_FIELD_picture(name, ...) const char *name;

#define PIXELRATE_READ(kind, ...) PIXELRATE_READ_##kind(__VA_ARGS__)
#define PIXELRATE_READ_number(name, fallback, ...)                             \
  p.name = pixelrate_param(#name, fallback);
#define PIXELRATE_READ_choice(name, fallback, doc, ...)                        \
  static const char *const name##_words[] = {__VA_ARGS__};                     \
  p.name = pixelrate_choice(#name, fallback,                                   \
                            sizeof name##_words / sizeof *name##_words,        \
                            "`" #name "` is none of its choices");
#define PIXELRATE_READ_picture(name, ...) p.name = #name;

#define PIXELRATE_JSON(kind, ...) PIXELRATE_JSON_##kind(__VA_ARGS__)
#define PIXELRATE_JSON_number(name, fallback, doc)                             \
  ",{\"name\":\"" #name "\",\"default\":" #fallback ",\"doc\":\"" doc "\"}"
#define PIXELRATE_JSON_choice(name, fallback, doc, ...)                        \
  ",{\"name\":\"" #name "\",\"default\":" #fallback ",\"doc\":\"" doc          \
  "\",\"choices\":[" #__VA_ARGS__ "]}"
#define PIXELRATE_JSON_picture(name, doc)                                      \
  ",{\"name\":\"" #name "\",\"kind\":\"picture\",\"doc\":\"" doc "\"}"

/* Choices pass as numbers: 0, 1, 2 ... */
static inline int pixelrate_choice(const char *name, int fallback, size_t count,
                                   const char *refusal) {
  double number = pixelrate_param(name, fallback);
  if (!(number >= 0 && number < count))
    pixelrate_fail(refusal);
  return (int)number;
}

/* ---- State ----
 *
 * PIXELRATE_STATE(state), with a static variable `state`, carries it over a
 * stop, and into another schedule: `save` gives it byte by byte as it lies in
 * memory, and `restore` takes bytes of just that length. With save and restore
 * of its own, a schedule needs PIXELRATE_ALLOCATOR alone. */
#define PIXELRATE_STATE(state)                                                 \
  PIXELRATE_ALLOCATOR                                                          \
  const struct pixelrate_bytes *save(void) {                                   \
    static const struct pixelrate_bytes bytes = {&state, sizeof state};        \
    return &bytes;                                                             \
  }                                                                            \
  void restore(const void *start, size_t length) {                             \
    if (length != sizeof state)                                                \
      pixelrate_fail(                                                          \
          "the state to restore is not as long as this schedule's");           \
    memcpy(&state, start, length);                                             \
  }

/* The trainer hands bytes over in memory that it asks the schedule for: new
 * pages, never given back, since a schedule restores once or twice a run. */
#define PIXELRATE_ALLOCATOR                                                    \
  PIXELRATE_EXPORT("cabi_realloc")                                             \
  void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {  \
    (void)old, (void)old_size, (void)align;                                    \
    size_t page = __builtin_wasm_memory_grow(0, size / 65536 + 1);             \
    if (page == SIZE_MAX)                                                      \
      __builtin_trap();                                                        \
    return (void *)(page * 65536);                                             \
  }

#ifdef __cplusplus
}
#endif

#endif
