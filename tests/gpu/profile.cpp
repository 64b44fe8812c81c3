// What a program asks of CUDA in each of its steps, and what the GPU does in one: a library that CUDA loads into any program
// (CUDA_INJECTION64_PATH) and that prints a table when the program ends. A step is what lies between two launches of a graph.
//
//     c++ -O2 -shared -fPIC -o profile.so profile.cpp -I CUPTI/include -L CUPTI/lib64 -l cupti
//     CUDA_INJECTION64_PATH=$PWD/profile.so pixelrate run --schedule cosine --model resnet-32 --device cuda
//
// Of the kernels of graphs it tells the time, how often a step has them and with how many blocks (means of all kernels of a name;
// threads, registers and shared memory are a block's), and for how much of the second half of the time the GPU has any, and then how
// many at once. PROFILE_KERNELS=0 leaves this part out, which makes launches dearer.
//
// By CUPTI's callback and activity interfaces (docs.nvidia.com/cupti).

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include <cupti.h>
#include <cxxabi.h>

namespace {

// Calls of one function of CUDA's.
struct Calls {
  uint64_t count = 0;
  // Of the steps whose end was seen: calls in them, steps with any, and time in them (ns).
  uint64_t in_steps = 0, steps = 0, time = 0;
  // Since the newest launch.
  uint64_t fresh = 0, fresh_time = 0;
};

struct Work {
  uint64_t count = 0, time = 0;
  // Sums, for means: blocks of a grid, threads and registers of a block, and its shared memory (bytes).
  double blocks = 0, threads = 0, registers = 0, shared = 0;
};

std::mutex lock;
std::map<std::string, Calls> calls;
std::map<std::string, Work> kernels;
std::vector<std::pair<uint64_t, uint64_t>> spans; // of kernels: begin and end
uint64_t launches = 0, first_launch = 0, last_launch = 0;
thread_local uint64_t entered = 0;
CUpti_SubscriberHandle subscriber;

uint64_t now() {
  uint64_t time = 0;
  cuptiGetTimestamp(&time);
  return time;
}

void CUPTIAPI called(void *, CUpti_CallbackDomain domain, CUpti_CallbackId, const void *data) {
  const auto *info = static_cast<const CUpti_CallbackData *>(data);
  if (domain != CUPTI_CB_DOMAIN_RUNTIME_API && domain != CUPTI_CB_DOMAIN_DRIVER_API)
    return;
  if (info->callbackSite == CUPTI_API_ENTER) {
    if (domain == CUPTI_CB_DOMAIN_RUNTIME_API)
      entered = now();
    return;
  }
  std::lock_guard<std::mutex> held(lock);
  auto &own = calls[info->functionName];
  own.count++;
  own.fresh++;
  if (domain == CUPTI_CB_DOMAIN_RUNTIME_API)
    own.fresh_time += now() - entered;
  if (std::strncmp(info->functionName, "cudaGraphLaunch", 15) != 0)
    return;
  for (auto &[name, each] : calls) {
    if (launches > 0) {
      each.in_steps += each.fresh;
      each.steps += each.fresh > 0;
      each.time += each.fresh_time;
    }
    each.fresh = each.fresh_time = 0;
  }
  last_launch = now();
  if (launches++ == 0)
    first_launch = last_launch;
}

void CUPTIAPI requested(uint8_t **buffer, size_t *size, size_t *records) {
  *size = 8 << 20;
  *buffer = static_cast<uint8_t *>(std::aligned_alloc(8, *size));
  *records = 0;
}

void CUPTIAPI completed(CUcontext, uint32_t, uint8_t *buffer, size_t, size_t filled) {
  CUpti_Activity *record = nullptr;
  std::lock_guard<std::mutex> held(lock);
  while (cuptiActivityGetNextRecord(buffer, filled, &record) == CUPTI_SUCCESS) {
    // What all later versions of the record begin with.
    const auto *kernel = reinterpret_cast<const CUpti_ActivityKernel9 *>(record);
    if (record->kind != CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL || kernel->graphNodeId == 0)
      continue;
    auto &own = kernels[kernel->name];
    own.count++;
    own.time += kernel->end - kernel->start;
    const double threads = double(kernel->blockX) * kernel->blockY * kernel->blockZ;
    own.blocks += double(kernel->gridX) * kernel->gridY * kernel->gridZ;
    own.threads += threads;
    own.registers += threads * kernel->registersPerThread;
    own.shared += kernel->staticSharedMemory + kernel->dynamicSharedMemory;
    spans.emplace_back(kernel->start, kernel->end);
  }
  std::free(buffer);
}

std::string readable(const std::string &name) {
  int status = 0;
  char *found = abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status);
  std::string whole = status == 0 ? found : name;
  std::free(found);
  return whole.substr(0, 150);
}

void report() {
  cuptiActivityFlushAll(1);
  std::lock_guard<std::mutex> held(lock);
  cuptiUnsubscribe(subscriber);
  if (launches < 2) {
    std::printf("profile: no graph was launched twice\n");
    return;
  }
  const double steps = launches - 1;
  std::printf("profile: %.0f steps, %.1f us each\n", steps, (last_launch - first_launch) / steps / 1e3);
  std::printf("%-44s %12s %14s %12s\n", "host calls", "a step", "steps with any", "us a step");
  for (const auto &[name, each] : calls)
    if (each.in_steps > 0)
      std::printf("%-44s %12.3f %14llu %12.2f\n", name.c_str(), each.in_steps / steps,
                  (unsigned long long)each.steps, each.time / steps / 1e3);
  std::vector<std::pair<std::string, Work>> all(kernels.begin(), kernels.end());
  std::sort(all.begin(), all.end(), [](const auto &one, const auto &other) { return one.second.time > other.second.time; });
  Work sum;
  for (const auto &[name, each] : all)
    sum.count += each.count, sum.time += each.time;
  std::printf("kernels of the graph: %.1f a step, %.1f us a step\n", sum.count / double(launches),
              sum.time / 1e3 / launches);
  // Of the second half of the time: by then, runs that begin together are under way.
  std::sort(spans.begin(), spans.end());
  if (!spans.empty()) {
    const uint64_t middle = spans.front().first + (spans.back().first - spans.front().first) / 2;
    uint64_t begun = 0, busy = 0, worked = 0, until = 0;
    for (const auto &[begin, end] : spans)
      if (begin >= middle) {
        begun = begun == 0 ? begin : begun;
        worked += end - begin;
        if (end > until) {
          busy += end - std::max(begin, until);
          until = end;
        }
      }
    std::printf("of the time, the GPU has a kernel for %.1f %%, and then %.2f at once\n", 100.0 * busy / (until - begun),
                worked / double(busy));
  }
  for (const auto &[name, each] : all)
    std::printf("%8.2f us a step %7.2f a step %7.2f us each %6.0f blocks of %4.0f threads %6.0f registers %6.0f bytes  %s\n",
                each.time / 1e3 / launches, each.count / double(launches), each.time / 1e3 / each.count,
                each.blocks / each.count, each.threads / each.count, each.registers / each.count,
                each.shared / each.count, readable(name).c_str());
}

} // namespace

extern "C" int InitializeInjection() {
  const char *said = std::getenv("PROFILE_KERNELS");
  const bool without_kernels = said != nullptr && std::string(said) == "0";
  const bool works = cuptiSubscribe(&subscriber, called, nullptr) == CUPTI_SUCCESS &&
                     cuptiEnableDomain(1, subscriber, CUPTI_CB_DOMAIN_RUNTIME_API) == CUPTI_SUCCESS &&
                     cuptiEnableDomain(1, subscriber, CUPTI_CB_DOMAIN_DRIVER_API) == CUPTI_SUCCESS &&
                     (without_kernels ||
                      (cuptiActivityRegisterCallbacks(requested, completed) == CUPTI_SUCCESS &&
                       cuptiActivityEnable(CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL) == CUPTI_SUCCESS));
  if (works)
    std::atexit(report);
  else
    std::fprintf(stderr, "profile: CUPTI cannot be used here\n");
  return 1;
}
