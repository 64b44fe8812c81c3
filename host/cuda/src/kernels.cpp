// Operations that have kernels of our own on CUDA, and their gradients, for Rust: what src/native.rs declares.
//
// Kernels (src/kernels) are compiled by NVRTC when they are first needed, for the sizes that need them, and launched by CUDA's
// driver; both are found as cuda.cpp finds libtorch's part for CUDA. Wherever there is none for a tensor, the same operations
// are libtorch's.

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include <ATen/ops/_batch_norm_impl_index.h>
#include <ATen/ops/_batch_norm_impl_index_backward.h>
#include <ATen/ops/add.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/threshold_backward.h>
#include <c10/core/DeviceGuard.h>
#include <torch/csrc/autograd/custom_function.h>

#include "libtorch.h"
#include "sizes.h"
#include "sources.h" // CONVOLUTION and NORM: what is in src/kernels

namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// What is NVRTC's or the driver's.
using Handle = void *;

// Their functions that are used. CUDA's driver has a context for each device, which a thread has from its first call of CUDA's
// runtime on.
struct Tools {
  int (*version)(int *major, int *minor);
  int (*create)(Handle *program, const char *source, const char *name, int headers, const char *const *, const char *const *);
  int (*compile)(Handle program, int count, const char *const *options);
  int (*log_size)(Handle program, size_t *size);
  int (*log)(Handle program, char *log);
  int (*code_size)(Handle program, size_t *size);
  int (*code)(Handle program, char *code);
  int (*destroy)(Handle *program);
  int (*context)(Handle *context);
  int (*load)(Handle *module, const void *code);
  int (*kernel)(Handle *kernel, Handle module, const char *name);
  int (*set)(Handle kernel, int attribute, int value);
  int (*launch)(Handle kernel, unsigned x, unsigned y, unsigned z, unsigned threads, unsigned, unsigned, unsigned shared,
                Handle stream, void **arguments, void **);
  int (*free)(void *memory);

  static const Tools &get() {
    static const Tools all;
    return all;
  }

private:
  Tools() {
    find(version, "nvrtcVersion");
    find(create, "nvrtcCreateProgram");
    find(compile, "nvrtcCompileProgram");
    find(log_size, "nvrtcGetProgramLogSize");
    find(log, "nvrtcGetProgramLog");
    find(code_size, "nvrtcGetCUBINSize");
    find(code, "nvrtcGetCUBIN");
    find(destroy, "nvrtcDestroyProgram");
    find(context, "cuCtxGetCurrent");
    find(load, "cuModuleLoadData");
    find(kernel, "cuModuleGetFunction");
    find(set, "cuFuncSetAttribute");
    find(launch, "cuLaunchKernel");
    free = named<int (*)(void *)>("cudaFree");
    load_builtins();
  }

  template <typename Function> static void find(Function &function, const char *name) {
    // libtorch's own library of NVRTC and the driver is linked with both.
    for (const char *library : {"libcaffe2_nvrtc.so", "libnvrtc.so.13", "libcuda.so.1"})
      if (void *loaded = dlopen(library, RTLD_LAZY | RTLD_GLOBAL))
        if (void *found = dlsym(loaded, name)) {
          function = reinterpret_cast<Function>(found);
          return;
        }
    throw std::runtime_error(std::string("neither NVRTC's library nor the driver's has ") + name);
  }

  // NVRTC opens a second library by its name alone, and finds it only where the system looks or where it is loaded already: it is
  // the first one's neighbour.
  void load_builtins() const {
    Dl_info found;
    int major = 0, minor = 0;
    if (dladdr(reinterpret_cast<void *>(version), &found) == 0 || found.dli_fname == nullptr || version(&major, &minor) != 0)
      return;
    const std::string path = found.dli_fname, folder = path.substr(0, path.rfind('/') + 1);
    for (const auto &ending : {"." + std::to_string(major) + "." + std::to_string(minor), std::string()})
      if (dlopen((folder + "libnvrtc-builtins.so" + ending).c_str(), RTLD_LAZY | RTLD_GLOBAL) != nullptr)
        return;
  }
};

void check(int status, const std::string &what) {
  if (status != 0)
    throw std::runtime_error(what + " failed (CUDA's error " + std::to_string(status) + ")");
}

// A source, compiled for a device.
std::vector<char> code(int device, const char *source, std::vector<std::string> options) {
  const auto &tools = Tools::get();
  const auto [major, minor] = capability(device);
  options.push_back("--gpu-architecture=sm_" + std::to_string(major) + std::to_string(minor));
  options.push_back("--std=c++17");
  std::vector<const char *> words;
  for (const auto &option : options)
    words.push_back(option.c_str());
  Handle program = nullptr;
  check(tools.create(&program, source, "pixelrate.cu", 0, nullptr, nullptr), "nvrtcCreateProgram");
  const std::shared_ptr<void> held(program, [&](Handle program) { tools.destroy(&program); });
  const int status = tools.compile(program, static_cast<int>(words.size()), words.data());
  size_t size = 0;
  if (status != 0) {
    tools.log_size(program, &size);
    std::string log(size, ' ');
    tools.log(program, log.data());
    throw std::runtime_error("NVRTC cannot compile for a device of generation " + std::to_string(major) + "." +
                             std::to_string(minor) + " (error " + std::to_string(status) + "): " + log.c_str());
  }
  check(tools.code_size(program, &size), "nvrtcGetCUBINSize");
  std::vector<char> code(size);
  check(tools.code(program, code.data()), "nvrtcGetCUBIN");
  return code;
}

// Makes `device` the calling thread's, with its context, as long as this lives.
struct On {
  explicit On(int device) : guard(cuda(device)) {
    const auto &tools = Tools::get();
    Handle context = nullptr;
    check(tools.context(&context), "cuCtxGetCurrent");
    if (context == nullptr)
      check(tools.free(nullptr), "cudaFree");
  }
  c10::DeviceGuard guard;
};

// A kernel, and the bytes of shared memory that it is launched with.
struct Kernel {
  const char *name;
  unsigned shared;
  Handle handle = nullptr;
};
template <size_t COUNT> using Kernels = std::array<Kernel, COUNT>;

// What is compiled for a device, loaded there for as long as the process, and `kernels` of it ready to be launched: nothing but that
// is asked of the driver where work is recorded.
template <size_t COUNT> Kernels<COUNT> loaded(int device, const std::vector<char> &code, Kernels<COUNT> kernels) {
  constexpr int MOST_DYNAMIC_SHARED = 8; // CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
  const auto &tools = Tools::get();
  const On on(device);
  Handle module = nullptr;
  check(tools.load(&module, code.data()), "cuModuleLoadData");
  for (auto &kernel : kernels) {
    check(tools.kernel(&kernel.handle, module, kernel.name), kernel.name);
    check(tools.set(kernel.handle, MOST_DYNAMIC_SHARED, static_cast<int>(kernel.shared)), kernel.name);
  }
  return kernels;
}

// Why there are no kernels for a device, or nothing.
const std::string &missing(int device) {
  static std::mutex lock;
  static std::map<int, std::string> known;
  const std::lock_guard<std::mutex> held(lock);
  const auto [found, is_new] = known.try_emplace(device);
  if (is_new)
    try {
      if (const auto [major, minor] = capability(device); major < 8)
        throw std::runtime_error("they take a device of generation 8.0 or newer, and this one's is " + std::to_string(major) + "." +
                                 std::to_string(minor));
      code(device, "extern \"C\" __global__ void nothing() {}", {});
    } catch (const std::exception &error) {
      found->second = error.what();
    }
  return found->second;
}

// Why the first kernels that a device lacks could not be made, by devices.
struct Failures {
  std::mutex lock;
  std::map<int, std::string> known;

  static Failures &get() {
    static Failures all;
    return all;
  }
};

// Kernels by the device and what they are compiled for, which is done once; none where it failed.
template <size_t COUNT> using Made = std::map<std::array<int, 3>, std::optional<Kernels<COUNT>>>;

template <size_t COUNT, typename Make> const Kernels<COUNT> *once(Made<COUNT> &made, std::array<int, 3> sizes, Make make) {
  static std::mutex lock;
  const std::lock_guard<std::mutex> held(lock);
  const auto [found, is_new] = made.try_emplace(sizes);
  if (is_new)
    try {
      found->second = make();
    } catch (const std::exception &error) {
      auto &failures = Failures::get();
      const std::lock_guard<std::mutex> held(failures.lock);
      failures.known.try_emplace(sizes[0], error.what());
    }
  return found->second ? &*found->second : nullptr;
}

std::atomic<uint64_t> launches = 0;

// Puts a kernel into the calling thread's stream.
template <typename... Arguments>
void launch(const Kernel &kernel, const Tensor &x, std::array<unsigned, 2> blocks, unsigned threads, Arguments... arguments) {
  const On on(x.device().index());
  void *pointers[] = {&arguments...};
  Handle stream = guard().getStream(x.device()).native_handle();
  check(Tools::get().launch(kernel.handle, blocks[0], blocks[1], 1, threads, 1, 1, kernel.shared, stream, pointers, nullptr),
        kernel.name);
  launches++;
}

bool is_aligned(const Tensor &x) { return reinterpret_cast<uintptr_t>(x.const_data_ptr()) % 16 == 0; }

// Whether kernels are made for a tensor such as this: pictures in bfloat16 whose channels lie side by side.
bool suits(const Tensor &x) {
  return x.is_cuda() && x.scalar_type() == at::kBFloat16 && x.dim() == 4 && x.is_contiguous(at::MemoryFormat::ChannelsLast) &&
         x.numel() > 0 && x.numel() < (int64_t(1) << 31) && is_aligned(x) && missing(x.device().index()).empty();
}

// Whether `other` is such a one, too, and beside `x`.
bool suits(const Tensor &other, const Tensor &x, at::IntArrayRef size) {
  return suits(other) && other.device() == x.device() && other.sizes() == size;
}

// A gradient as kernels read it.
Tensor readable(const Tensor &slope) {
  const auto found = slope.contiguous(at::MemoryFormat::ChannelsLast);
  return is_aligned(found) ? found : found.clone(at::MemoryFormat::ChannelsLast);
}

// conv2d(x, weight, stride 1, padding 1) of a 3x3 weight, and `beside`, if there is any, added to it.
struct Convolution : torch::autograd::Function<Convolution> {
  enum { FORWARD, BY_INPUT, BY_WEIGHTS, ADD_UP, COUNT };
  struct Own {
    ConvolutionSizes sizes;
    const Kernels<COUNT> &kernels;
  };

  // Its kernels, where they are made for these.
  static std::optional<Own> own(const Tensor &x, const Tensor &weight) {
    if (!suits(x) || !suits(weight, x, {x.size(1), x.size(1), 3, 3}))
      return std::nullopt;
    const auto sizes = ConvolutionSizes::of(x.size(1), x.size(2), x.size(3));
    if (!sizes)
      return std::nullopt;
    static Made<COUNT> made;
    const int device = x.device().index();
    const auto *kernels = once(made, {device, sizes->channels, sizes->width}, [&] {
      const auto compiled = code(device, CONVOLUTION,
                                 {"-DC=" + std::to_string(sizes->channels), "-DW=" + std::to_string(sizes->width),
                                  "-DTILE=" + std::to_string(sizes->tile)});
      return loaded<COUNT>(device, compiled,
                           {{{"forward", sizes->shared_forward()},
                             {"by_input", sizes->shared_by_input()},
                             {"by_weights", sizes->shared_by_weights()},
                             {"add_up", 0}}});
    });
    return kernels ? std::optional(Own{*sizes, *kernels}) : std::nullopt;
  }

  static Tensor forward(AutogradContext *context, const Tensor &x, const Tensor &weight, const std::optional<Tensor> &beside) {
    context->save_for_backward({x, weight});
    context->saved_data["beside"] = beside.has_value();
    const auto own = Convolution::own(x, weight);
    if (!own || (beside && !suits(*beside, x, x.sizes()))) {
      const auto y = at::conv2d(x, weight, {}, 1, 1);
      return beside ? at::add(y, *beside) : y;
    }
    const auto &[sizes, kernels] = *own;
    const auto y = at::empty_like(x);
    launch(kernels[FORWARD], x, {sizes.tiles(x.size(0)), unsigned(sizes.parts)}, sizes.THREADS, x.const_data_ptr(),
           weight.const_data_ptr(), beside ? beside->const_data_ptr() : nullptr, y.data_ptr(), sizes.height);
    return y;
  }

  static variable_list backward(AutogradContext *context, const variable_list &slopes) {
    const auto saved = context->get_saved_variables();
    const Tensor &x = saved[0], &weight = saved[1];
    const Tensor beside = context->saved_data["beside"].toBool() ? slopes[0] : Tensor();
    const bool by_x = context->needs_input_grad(0), by_weight = context->needs_input_grad(1);
    const auto own = Convolution::own(x, weight);
    if (!own) {
      auto [x_slope, weight_slope, _] = at::convolution_backward(slopes[0], x, weight, std::nullopt, {1, 1}, {1, 1}, {1, 1}, false,
                                                                 {0, 0}, 1, {by_x, by_weight, false});
      return {x_slope, weight_slope, beside};
    }
    const auto &[sizes, kernels] = *own;
    const auto slope = readable(slopes[0]);
    const int tiles = sizes.tiles(x.size(0));
    Tensor x_slope, weight_slope;
    if (by_x) {
      x_slope = at::empty_like(x);
      launch(kernels[BY_INPUT], x, {unsigned(tiles), unsigned(sizes.parts)}, sizes.THREADS, slope.const_data_ptr(),
             weight.const_data_ptr(), x_slope.data_ptr(), sizes.height);
    }
    if (by_weight) {
      weight_slope = at::empty_like(weight);
      const int blocks = sizes.weight_blocks(x.size(0));
      const auto sums = at::empty({blocks * weight.numel()}, x.options().dtype(at::kFloat));
      launch(kernels[BY_WEIGHTS], x, {unsigned(blocks), 1}, sizes.weight_threads(), x.const_data_ptr(), slope.const_data_ptr(),
             sums.data_ptr(), sizes.height, tiles);
      launch(kernels[ADD_UP], x, {sizes.adding_blocks(), 1}, sizes.ADDING_THREADS, sums.const_data_ptr(), blocks,
             weight_slope.data_ptr());
    }
    return {x_slope, weight_slope, beside};
  }
};

// relu(batch_norm(x)) in training.
struct NormRelu : torch::autograd::Function<NormRelu> {
  enum { MOMENTS, FORWARD, SLOPES, BACKWARD, COUNT };
  struct Own {
    NormSizes sizes;
    const Kernels<COUNT> &kernels;
  };

  // Its kernels, where they are made for `x`, and for what there is one of for each channel.
  static std::optional<Own> own(const Tensor &x, const std::array<Tensor, 4> &of_channels) {
    const auto fits = [&](const Tensor &it) {
      return it.device() == x.device() && it.scalar_type() == at::kFloat && it.is_contiguous() && it.numel() == x.size(1);
    };
    if (!suits(x) || !std::all_of(of_channels.begin(), of_channels.end(), fits))
      return std::nullopt;
    const auto sizes = NormSizes::of(x.size(1), x.numel() / x.size(1));
    if (!sizes)
      return std::nullopt;
    static Made<COUNT> made;
    const int device = x.device().index();
    const auto *kernels = once(made, {device, sizes->channels, 0}, [&] {
      const auto compiled = code(device, NORM, {"-DC=" + std::to_string(sizes->channels)});
      return loaded<COUNT>(device, compiled, {{{"moments", 0}, {"forward", 0}, {"slopes", 0}, {"backward", 0}}});
    });
    return kernels ? std::optional(Own{*sizes, *kernels}) : std::nullopt;
  }

  static Tensor sums(const Tensor &x) { return at::empty({NormSizes::SUMS}, x.options().dtype(at::kFloat)); }

  static Tensor forward(AutogradContext *context, const Tensor &x, const Tensor &weight, const Tensor &bias,
                        const Tensor &running_mean, const Tensor &running_var, double momentum, double eps) {
    const auto own = NormRelu::own(x, {weight, bias, running_mean, running_var});
    if (!own) {
      auto [normed, mean, invstd, reserve, index] =
          at::_batch_norm_impl_index(x, weight, bias, running_mean, running_var, true, momentum, eps, true);
      const auto y = at::relu_(normed);
      context->save_for_backward({x, weight, running_mean, running_var, mean, invstd, reserve, y});
      context->saved_data["index"] = index;
      context->saved_data["eps"] = eps;
      return y;
    }
    const auto &[sizes, kernels] = *own;
    const auto kept = at::empty({2, x.size(1)}, weight.options()), y = at::empty_like(x), partial = sums(x);
    launch(kernels[MOMENTS], x, {sizes.summing_blocks(), 1}, sizes.THREADS, x.const_data_ptr(), partial.data_ptr(), sizes.pixels);
    launch(kernels[FORWARD], x, {sizes.blocks(), 1}, sizes.THREADS, x.const_data_ptr(), partial.const_data_ptr(),
           weight.const_data_ptr(), bias.const_data_ptr(), running_mean.data_ptr(), running_var.data_ptr(), kept.data_ptr(),
           y.data_ptr(), sizes.pixels, float(momentum), float(eps));
    context->save_for_backward({x, weight, running_mean, running_var, bias, kept});
    return y;
  }

  static variable_list backward(AutogradContext *context, const variable_list &slopes) {
    const auto saved = context->get_saved_variables();
    const Tensor &x = saved[0], &weight = saved[1];
    const Tensor none;
    const Tensor &running_mean = saved[2], &running_var = saved[3];
    // Only libtorch's has a reserve, and is differentiated by what it gave.
    if (saved.size() > 6) {
      const auto passed = at::threshold_backward(slopes[0], saved[7], 0);
      auto [x_slope, weight_slope, bias_slope] = at::_batch_norm_impl_index_backward(
          context->saved_data["index"].toInt(), x, passed, weight, running_mean, running_var, saved[4], saved[5], true,
          context->saved_data["eps"].toDouble(), {true, true, true}, saved[6]);
      return {x_slope, weight_slope, bias_slope, none, none, none, none};
    }
    const Tensor &bias = saved[4], &kept = saved[5];
    const auto [sizes, kernels] = own(x, {weight, bias, running_mean, running_var}).value();
    const auto slope = readable(slopes[0]), partial = sums(x), x_slope = at::empty_like(x);
    const auto weight_slope = at::empty_like(weight), bias_slope = at::empty_like(bias);
    launch(kernels[SLOPES], x, {sizes.summing_blocks(), 1}, sizes.THREADS, x.const_data_ptr(), slope.const_data_ptr(),
           weight.const_data_ptr(), bias.const_data_ptr(), kept.const_data_ptr(), partial.data_ptr(), sizes.pixels);
    launch(kernels[BACKWARD], x, {sizes.blocks(), 1}, sizes.THREADS, x.const_data_ptr(), slope.const_data_ptr(),
           weight.const_data_ptr(), bias.const_data_ptr(), kept.const_data_ptr(), partial.const_data_ptr(),
           weight_slope.data_ptr(), bias_slope.data_ptr(), x_slope.data_ptr(), sizes.pixels);
    return {x_slope, weight_slope, bias_slope, none, none, none, none};
  }
};

} // namespace

extern "C" {

// Whether there is what kernels are compiled for a device and launched with, and all that were asked for so far could be made.
int pixelrate_cuda_kernels(int device, char *problem, size_t room) {
  return told(problem, room, [&] {
    if (!missing(device).empty())
      throw std::runtime_error(missing(device));
    auto &failures = Failures::get();
    const std::lock_guard<std::mutex> held(failures.lock);
    if (const auto found = failures.known.find(device); found != failures.known.end())
      throw std::runtime_error(found->second);
  });
}

// How many kernels of our own this process has launched or recorded.
uint64_t pixelrate_cuda_launches() { return launches; }

// `beside` may be null. `made` is the caller's.
int pixelrate_cuda_convolution(const Tensor *x, const Tensor *weight, const Tensor *beside, Tensor **made, char *problem,
                               size_t room) {
  return told(problem, room, [&] {
    *made = new Tensor(Convolution::apply(*x, *weight, beside ? std::optional(*beside) : std::nullopt));
  });
}

int pixelrate_cuda_norm_relu(const Tensor *x, const Tensor *weight, const Tensor *bias, const Tensor *running_mean,
                             const Tensor *running_var, double momentum, double eps, Tensor **made, char *problem, size_t room) {
  return told(problem, room, [&] {
    *made = new Tensor(NormRelu::apply(*x, *weight, *bias, *running_mean, *running_var, momentum, eps));
  });
}

}
