// Streams, events and graphs of libtorch, for Rust: what src/native.rs declares.
//
// It is compiled against libtorch's part for the CPU, and serves with its part for CUDA where that is loaded when the
// program runs. Streams and events go through c10's interfaces for any device. Graphs have none there: the functions of
// at::cuda::CUDAGraph are looked up by name among the libraries that are loaded, and whoever asks is told if they are
// not, so that the same program runs with either part.
//
// Every function gives 0, or else has written what went wrong into `problem`, as in libtorch.h.

#include <cstdint>
#include <memory>
#include <tuple>
#include <utility>

#include <ATen/Context.h>
#include <c10/core/Event.h>
#include <torch/headeronly/version.h>

#include "libtorch.h"

// CUDA's own headers, where they are whole, are only needed to check what is said of its class below.
#if __has_include(<crt/host_defines.h>)
#include <ATen/cuda/CUDAGraph.h>
#endif

// Names, and the room that an object takes, are of this release. For another one, look at ATen/cuda/CUDAGraph.h again.
static_assert(TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR == 11);

namespace {

// at::cuda::CUDAGraph, which takes 104 bytes in this release.
struct alignas(16) Graph {
  unsigned char room[256];
};
#if __has_include(<crt/host_defines.h>)
static_assert(sizeof(at::cuda::CUDAGraph) <= sizeof(Graph) && alignof(at::cuda::CUDAGraph) <= alignof(Graph));
#endif

// Its functions; each takes the object that it is called of.
struct GraphFunctions {
  using Pool = std::pair<unsigned long long, unsigned long long>;

  void (*make)(Graph *, bool keep_graph);
  void (*remove)(Graph *);
  void (*begin)(Graph *, Pool, int mode);
  void (*end)(Graph *);
  void (*replay)(Graph *);

  static const GraphFunctions &get() {
    static const GraphFunctions all = {
        named<void (*)(Graph *, bool)>("_ZN2at4cuda9CUDAGraphC1Eb"),
        named<void (*)(Graph *)>("_ZN2at4cuda9CUDAGraphD1Ev"),
        named<void (*)(Graph *, Pool, int)>("_ZN2at4cuda9CUDAGraph13capture_beginESt4pairIyyE21cudaStreamCaptureMode"),
        named<void (*)(Graph *)>("_ZN2at4cuda9CUDAGraph11capture_endEv"),
        named<void (*)(Graph *)>("_ZN2at4cuda9CUDAGraph6replayEv"),
    };
    return all;
  }
};

// cudaStreamCaptureModeThreadLocal: what other threads do meanwhile, such as the allocations of other runs, is no error.
constexpr int THREAD_LOCAL_MODE = 1;

} // namespace

extern "C" {

// A stream of the device's pool, by its number: the next in turn.
int pixelrate_cuda_stream(int device, int64_t *stream, char *problem, size_t room) {
  return told(problem, room, [&] { *stream = guard().getStreamFromGlobalPool(cuda(device)).id(); });
}

// Makes `device` and `stream`, which is of it, the calling thread's, and gives those before: the stream that was the device's,
// and the device. What is recorded goes by the thread's device, which a stream alone does not change.
int pixelrate_cuda_enter(int device, int64_t stream, int *device_before, int64_t *stream_before, char *problem,
                         size_t room) {
  return told(problem, room, [&] {
    auto held = guard();
    const auto before = held.exchangeDevice(cuda(device));
    try {
      *stream_before = held.exchangeStream(c10::Stream(c10::Stream::UNSAFE, cuda(device), stream)).id();
    } catch (...) {
      held.uncheckedSetDevice(before);
      throw;
    }
    *device_before = before.index();
  });
}

// Takes that back.
int pixelrate_cuda_leave(int device, int device_before, int64_t stream_before, char *problem, size_t room) {
  return told(problem, room, [&] {
    auto held = guard();
    held.exchangeStream(c10::Stream(c10::Stream::UNSAFE, cuda(device), stream_before));
    held.setDevice(cuda(device_before));
  });
}

// Records an event where the calling thread's stream is now.
int pixelrate_cuda_event(int device, c10::Event **event, char *problem, size_t room) {
  return told(problem, room, [&] {
    auto made = std::make_unique<c10::Event>(c10::kCUDA);
    made->record(guard().getStream(cuda(device)));
    *event = made.release();
  });
}

// Waits until the device has come to an event.
int pixelrate_cuda_event_wait(c10::Event *event, char *problem, size_t room) {
  return told(problem, room, [&] { event->synchronize(); });
}

void pixelrate_cuda_event_free(c10::Event *event) { delete event; }

// Whether work can be recorded at all: the functions that do are there.
int pixelrate_cuda_graphs(char *problem, size_t room) {
  return told(problem, room, [&] { GraphFunctions::get(); });
}

// Begins to record what the calling thread's stream is given. A graph that could not begin is left where it is for good: the
// generator and the allocator may know its address by then, and libtorch has no way to make them forget it.
int pixelrate_cuda_graph_begin(Graph **graph, char *problem, size_t room) {
  return told(problem, room, [&] {
    const auto &functions = GraphFunctions::get();
    auto made = std::make_unique<Graph>();
    functions.make(made.get(), false);
    Graph *whole = made.release();
    functions.begin(whole, {0, 0}, THREAD_LOCAL_MODE);
    *graph = whole;
  });
}

// Ends it. One that could not end must not be freed, for the same reason.
int pixelrate_cuda_graph_end(Graph *graph, char *problem, size_t room) {
  return told(problem, room, [&] { GraphFunctions::get().end(graph); });
}

int pixelrate_cuda_graph_replay(Graph *graph, char *problem, size_t room) {
  return told(problem, room, [&] { GraphFunctions::get().replay(graph); });
}

void pixelrate_cuda_graph_free(Graph *graph) {
  // Its destructor only warns of what goes wrong. The functions are there: it was made by them.
  GraphFunctions::get().remove(graph);
  delete graph;
}

// How devices compute from now on, in all of the process. `deterministic`: work gives the same bits each time, or fails; it
// stays so, whatever is said later.
int pixelrate_cuda_arithmetic(bool deterministic, char *problem, size_t room) {
  return told(problem, room, [&] {
    auto &context = at::globalContext();
    // 32-bit floats would be cut to TF32's ten bits in convolutions, and in matrix products where the environment says so
    // (TORCH_ALLOW_TF32_CUBLAS_OVERRIDE).
    context.setAllowTF32CuDNN(false);
    context.setAllowTF32CuBLAS(false);
    if (deterministic) {
      context.setDeterministicCuDNN(true);
      context.setDeterministicAlgorithms(true, false);
      // Nothing reads memory that was not written; to fill it all the same would be work in every step.
      context.setDeterministicFillUninitializedMemory(false);
    }
    // Pictures come in one size, for which cuDNN may try which of its ways is the quickest: by the clock, which gives another
    // way from time to time.
    context.setBenchmarkCuDNN(!context.deterministicCuDNN());
  });
}

// A device's generation: 9.0 of Hopper.
int pixelrate_cuda_capability(int device, int *major, int *minor, char *problem, size_t room) {
  return told(problem, room, [&] { std::tie(*major, *minor) = capability(device); });
}

}
