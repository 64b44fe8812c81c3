// Write a learning-rate schedule for pixelrate in C++20: parameters, a class,
// and PIXELRATE_SCHEDULE at the end.
//
//   namespace {
//   constexpr pixelrate::number first{"first", 0.1, "The first rate."};
//
//   struct Halving {
//     const double rate = first();
//
//     double learning_rate(std::uint64_t step) const {
//       return std::ldexp(rate, -static_cast<int>(step / 1000));
//     }
//   };
//   } // namespace
//
//   PIXELRATE_SCHEDULE(Halving, first)
//
// The class is made once, before the first step. Where it has momentum(step),
// weight_decay(step), or save() and restore(bytes), the line before says so:
// PIXELRATE_MOMENTUM(Halving), PIXELRATE_WEIGHT_DECAY(Halving) or
// PIXELRATE_STATE(Halving).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#define PIXELRATE_IMPORT(interface, name)                                      \
  [[clang::import_module("pixelrate:schedule/" interface "@1.0.0"),            \
    clang::import_name(name)]]
#define PIXELRATE_EXPORT(name) [[clang::export_name(name)]]

namespace pixelrate {

// What stays the same for a whole run.
namespace run {

namespace host {
PIXELRATE_IMPORT("run", "param")
double param(const char *name, std::size_t length, double fallback);
PIXELRATE_IMPORT("run", "log")
void log(const char *message, std::size_t length);
PIXELRATE_IMPORT("run", "fail")
[[noreturn]] void fail(const char *message, std::size_t length);
} // namespace host

PIXELRATE_IMPORT("run", "total-steps") std::uint64_t total_steps();
// Steps that begin in an epoch, rounded up.
PIXELRATE_IMPORT("run", "steps-per-epoch") std::uint64_t steps_per_epoch();
// Pictures in the training set.
PIXELRATE_IMPORT("run", "train-examples") std::uint64_t train_examples();
PIXELRATE_IMPORT("run", "batch-size") std::uint32_t batch_size();
PIXELRATE_IMPORT("run", "seed") std::uint64_t seed();

// The number that the study gives for `name`, or `fallback` where it gives
// none. See also pixelrate::number.
inline double param(std::string_view name, double fallback) {
  return host::param(name.data(), name.size(), fallback);
}

// Writes a line into the run's event log.
inline void log(std::string_view message) {
  host::log(message.data(), message.size());
}

// Ends the run: the trainer shows `message` to the user.
[[noreturn]] inline void fail(std::string_view message) {
  host::fail(message.data(), message.size());
}

} // namespace run

// What training has just shown, NaN where there is nothing yet. A schedule that
// calls any of these makes the trainer read the loss back at every step.
namespace training {

PIXELRATE_IMPORT("training", "train-loss") double train_loss();
PIXELRATE_IMPORT("training", "grad-norm") double grad_norm();
PIXELRATE_IMPORT("training", "eval-loss") double eval_loss();
PIXELRATE_IMPORT("training", "eval-accuracy") double eval_accuracy();
// The step after which both were measured; 0 before the first.
PIXELRATE_IMPORT("training", "eval-step") std::uint64_t eval_step();

} // namespace training

// The network itself: calling this makes the trainer measure it at every step.
namespace weights {

// Euclidean norm of all trained parameters before the step that is asked for.
PIXELRATE_IMPORT("weights", "norm") double norm();

} // namespace weights

// A picture, decoded by the trainer.
class image {
  struct host {
    PIXELRATE_IMPORT("images", "[static]image.open")
    static int open(const char *, std::size_t, std::uint64_t);
    PIXELRATE_IMPORT("images", "[method]image.width")
    static std::uint32_t width(int);
    PIXELRATE_IMPORT("images", "[method]image.height")
    static std::uint32_t height(int);
    PIXELRATE_IMPORT("images", "[method]image.channels")
    static std::uint32_t channels(int);
    PIXELRATE_IMPORT("images", "[method]image.len")
    static std::uint64_t len(int);
    PIXELRATE_IMPORT("images", "[method]image.value")
    static double value(int, std::uint64_t);
    PIXELRATE_IMPORT("images", "[resource-drop]image") static void drop(int);
  };

  int handle; // 0 if it was moved away: the trainer gives no such handle.

public:
  // Opens the file that the study's parameter `param` names, resized so that
  // width * height * 3 is close to `samples` (0: not resized). A picture that
  // cannot be had ends the run with a message.
  image(std::string_view param, std::uint64_t samples)
      : handle(host::open(param.data(), param.size(), samples)) {}
  image(image &&other) noexcept : handle(std::exchange(other.handle, 0)) {}
  image &operator=(image &&other) noexcept {
    std::swap(handle, other.handle);
    return *this;
  }
  ~image() {
    if (handle != 0)
      host::drop(handle);
  }

  std::uint32_t width() const { return host::width(handle); }
  std::uint32_t height() const { return host::height(handle); }
  // 1 for a grey picture, 3 (red, green, blue) for any other.
  std::uint32_t channels() const { return host::channels(handle); }
  // How many values there are: width * height * channels.
  std::uint64_t size() const { return host::len(handle); }
  // One value in [0, 1]: row by row, pixel by pixel, channel by channel.
  double operator[](std::uint64_t index) const {
    return host::value(handle, index);
  }
};

// A parameter that is a number, such as {"max_lr", 0.1, "The highest rate."}.
// max_lr() then asks for what the study gives, or else the default.
struct number {
  std::string_view name;
  double fallback;
  std::string_view doc;

  double operator()() const { return run::param(name, fallback); }
};

// A choice of words, which stand for 0, 1, 2 ..., such as {"shape", 0, "How the
// rate falls.", "line", "cosine"}.
template <std::size_t N> struct choice {
  std::string_view name;
  std::size_t fallback;
  std::string_view doc;
  std::array<std::string_view, N> words;

  template <class... Words>
  constexpr choice(std::string_view name, std::size_t fallback,
                   std::string_view doc, Words... words)
      : name(name), fallback(fallback), doc(doc), words{words...} {}

  std::size_t operator()() const {
    const double chosen = run::param(name, static_cast<double>(fallback));
    if (!(chosen >= 0 && chosen < N))
      run::fail("a number is given for a choice that it does not have");
    return static_cast<std::size_t>(chosen);
  }
};
template <class... Words>
choice(std::string_view, std::size_t, std::string_view, Words...)
    -> choice<sizeof...(Words)>;

// A parameter that names a picture, such as {"image", "The picture."}.
struct picture {
  std::string_view name;
  std::string_view doc;

  image open(std::uint64_t samples) const { return {name, samples}; }
};

// The bytes of `state`, a trivially copyable object, for save() to return.
template <class State> std::span<const std::byte> bytes_of(const State &state) {
  static_assert(std::is_trivially_copyable_v<State>);
  return std::as_bytes(std::span(&state, 1));
}

// Puts what bytes_of gave back into `state`. Bytes of another length end the
// run with a message.
template <class State>
void copy_bytes(std::span<const std::byte> bytes, State &state) {
  static_assert(std::is_trivially_copyable_v<State>);
  if (bytes.size() != sizeof state)
    run::fail("the state to restore is not as long as this schedule's");
  std::memcpy(&state, bytes.data(), sizeof state);
}

// What PIXELRATE_SCHEDULE expands to. Not for direct use.
namespace detail {

// Writes JSON, or with nowhere to write it to, finds how long it is.
struct json {
  char *out = nullptr;
  std::size_t length = 0;

  constexpr void put(char c) {
    if (out)
      out[length] = c;
    ++length;
  }
  constexpr void put(std::string_view text) {
    for (const char c : text)
      put(c);
  }
  constexpr void quoted(std::string_view text) {
    put('"');
    for (const char c : text) {
      if (c == '"' || c == '\\')
        put('\\');
      put(c);
    }
    put('"');
  }
  constexpr void whole(std::uint64_t n) {
    if (n >= 10)
      whole(n / 10);
    put(static_cast<char>('0' + n % 10));
  }

  static void a_default_must_have_at_most_15_digits();

  // As an integer and a power of ten, such as 1e-1. Both are exact as doubles
  // here, so that one rounding gives the number back.
  constexpr void real(double number) {
    if (number < 0) {
      put('-');
      number = -number;
    }
    for (int exponent = 0; exponent <= 22; ++exponent) {
      double power = 1;
      for (int i = 0; i < exponent; ++i)
        power *= 10;
      if (!(number * power + 0.5 < 1e15))
        break;
      const auto digits = static_cast<std::uint64_t>(number * power + 0.5);
      if (static_cast<double>(digits) / power == number) {
        whole(digits);
        put("e-");
        whole(exponent);
        return;
      }
    }
    a_default_must_have_at_most_15_digits();
  }

  constexpr void rest(const number &n) {
    put(",\"default\":");
    real(n.fallback);
  }
  template <std::size_t N> constexpr void rest(const choice<N> &c) {
    put(",\"default\":");
    whole(c.fallback);
    put(",\"choices\":");
    char before = '[';
    for (const auto word : c.words) {
      put(std::exchange(before, ','));
      quoted(word);
    }
    put(']');
  }
  constexpr void rest(const picture &) { put(",\"kind\":\"picture\""); }

  template <class... Parameters> constexpr void all(const Parameters &...p) {
    put('[');
    bool first = true;
    (([&] {
       if (!std::exchange(first, false))
         put(',');
       put("{\"name\":");
       quoted(p.name);
       put(",\"doc\":");
       quoted(p.doc);
       rest(p);
       put('}');
     }()),
     ...);
    put(']');
  }
};

// Text or bytes that an export gives.
struct bytes {
  const void *start;
  std::size_t length;
};

// The schedule lives from `init` to the end of the run, and is never destroyed.
template <class Schedule>
alignas(Schedule) inline std::byte room[sizeof(Schedule)];

template <class Schedule> Schedule &schedule() {
  return *std::launder(reinterpret_cast<Schedule *>(room<Schedule>));
}

template <class Schedule> const bytes *save() {
  static bytes saved;
  const std::span<const std::byte> state = schedule<Schedule>().save();
  saved = {state.data(), state.size()};
  return &saved;
}

// The trainer hands bytes over in memory that it asks the schedule for: new
// pages, never given back, since a schedule restores once or twice a run.
inline void *allocate(std::size_t size) {
  constexpr std::size_t page = 65536;
  const std::size_t grown = __builtin_wasm_memory_grow(0, size / page + 1);
  if (grown == static_cast<std::size_t>(-1))
    __builtin_trap();
  return reinterpret_cast<void *>(grown * page);
}

template <const auto &...Parameters>
constexpr auto declared = [] {
  constexpr auto length = [] {
    json measure;
    measure.all(Parameters...);
    return measure.length;
  }();
  std::array<char, length> text{};
  json{text.data()}.all(Parameters...);
  return text;
}();

// Whether all that a schedule has is exported too.
template <class Schedule>
constexpr bool momentum_is_exported =
    !requires(Schedule s, std::uint64_t step) { s.momentum(step); };
template <class Schedule>
constexpr bool weight_decay_is_exported =
    !requires(Schedule s, std::uint64_t step) { s.weight_decay(step); };
template <class Schedule>
constexpr bool state_is_exported = !requires(Schedule s) { s.save(); };

} // namespace detail
} // namespace pixelrate

// Exports the schedule, and declares the parameters that follow its name. Comes
// last.
#define PIXELRATE_SCHEDULE(Schedule, ...)                                      \
  static_assert(                                                               \
      pixelrate::detail::momentum_is_exported<Schedule>,                       \
      "momentum() needs PIXELRATE_MOMENTUM before PIXELRATE_SCHEDULE");        \
  static_assert(pixelrate::detail::weight_decay_is_exported<Schedule>,         \
                "weight_decay() needs PIXELRATE_WEIGHT_DECAY before "          \
                "PIXELRATE_SCHEDULE");                                         \
  static_assert(pixelrate::detail::state_is_exported<Schedule>,                \
                "save() needs PIXELRATE_STATE before PIXELRATE_SCHEDULE");     \
  PIXELRATE_EXPORT("init") void pixelrate_init() {                             \
    new (pixelrate::detail::room<Schedule>) Schedule;                          \
  }                                                                            \
  PIXELRATE_EXPORT("learning-rate")                                            \
  double pixelrate_learning_rate(std::uint64_t step) {                         \
    return pixelrate::detail::schedule<Schedule>().learning_rate(step);        \
  }                                                                            \
  PIXELRATE_EXPORT("parameters")                                               \
  const pixelrate::detail::bytes *pixelrate_parameters() {                     \
    static constexpr auto &text = pixelrate::detail::declared<__VA_ARGS__>;    \
    static constexpr pixelrate::detail::bytes bytes{text.data(), text.size()}; \
    return &bytes;                                                             \
  }

// Exports momentum(step), too.
#define PIXELRATE_MOMENTUM(Schedule)                                           \
  template <>                                                                  \
  constexpr bool pixelrate::detail::momentum_is_exported<Schedule> = true;     \
  PIXELRATE_EXPORT("momentum") double pixelrate_momentum(std::uint64_t step) { \
    return pixelrate::detail::schedule<Schedule>().momentum(step);             \
  }

// Exports weight_decay(step), too.
#define PIXELRATE_WEIGHT_DECAY(Schedule)                                       \
  template <>                                                                  \
  constexpr bool pixelrate::detail::weight_decay_is_exported<Schedule> = true; \
  PIXELRATE_EXPORT("weight-decay")                                             \
  double pixelrate_weight_decay(std::uint64_t step) {                          \
    return pixelrate::detail::schedule<Schedule>().weight_decay(step);         \
  }

// Exports save() and restore(bytes), too.
#define PIXELRATE_STATE(Schedule)                                              \
  template <>                                                                  \
  constexpr bool pixelrate::detail::state_is_exported<Schedule> = true;        \
  PIXELRATE_EXPORT("save") const pixelrate::detail::bytes *pixelrate_save() {  \
    return pixelrate::detail::save<Schedule>();                                \
  }                                                                            \
  PIXELRATE_EXPORT("restore")                                                  \
  void pixelrate_restore(const std::byte *start, std::size_t length) {         \
    pixelrate::detail::schedule<Schedule>().restore(std::span(start, length)); \
  }                                                                            \
  PIXELRATE_EXPORT("cabi_realloc")                                             \
  void *pixelrate_allocate(void *, std::size_t, std::size_t,                   \
                           std::size_t size) {                                 \
    return pixelrate::detail::allocate(size);                                  \
  }
