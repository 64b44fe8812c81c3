// Operations that have kernels of our own on CUDA, and their gradients, for Rust: what src/native.rs declares.
//
// Kernels (src/kernels) are compiled by NVRTC when they are first needed, for the sizes that need them, and launched by CUDA's
// driver; both are found as cuda.cpp finds libtorch's part for CUDA. Wherever there is none for a tensor, the same operations
// are libtorch's.

#include <array>
#include <atomic>
#include <map>
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

struct Tools {
  int (*create)(Handle *program, const char *source, const char *name, int headers, const char *const *, const char *const *);
  int (*compile)(Handle program, int count, const char *const *options);
  int (*log_size)(Handle program, size_t *size);
  int (*log)(Handle program, char *log);
  int (*code_size)(Handle program, size_t *size);
  int (*code)(Handle program, char *code);
  int (*destroy)(Handle *program);
  int (*load)(Handle *module, const void *code);
  int (*kernel)(Handle *kernel, Handle module, const char *name);
  int (*set)(Handle kernel, int attribute, int value);
  int (*context)(Handle *context);
  int (*launch)(Handle kernel, unsigned x, unsigned y, unsigned z, unsigned threads, unsigned, unsigned, unsigned shared,
                Handle stream, void **arguments, void **);

  // Why there are none, or nothing.
  static const std::string &missing() {
    static const std::string why = [] {
      try {
        get();
        return std::string();
      } catch (const std::exception &error) {
        return std::string(error.what());
      }
    }();
    return why;
  }

  static const Tools &get() {
    static const Tools all;
    return all;
  }

private:
  Tools() {
    find(create, "nvrtcCreateProgram");
    find(compile, "nvrtcCompileProgram");
    find(log_size, "nvrtcGetProgramLogSize");
    find(log, "nvrtcGetProgramLog");
    find(code_size, "nvrtcGetCUBINSize");
    find(code, "nvrtcGetCUBIN");
    find(destroy, "nvrtcDestroyProgram");
    find(load, "cuModuleLoadData");
    find(kernel, "cuModuleGetFunction");
    find(set, "cuFuncSetAttribute");
    find(context, "cuCtxGetCurrent");
    find(launch, "cuLaunchKernel");
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
};

void check(int status, const std::string &what) {
  if (status != 0)
    throw std::runtime_error(what + " failed (CUDA's error " + std::to_string(status) + ")");
}

// A source, compiled for a device and loaded there. It stays for as long as the process.
Handle compiled(int device, const char *source, std::vector<std::string> options) {
  const auto &tools = Tools::get();
  const auto [major, minor] = capability(device);
  options.push_back("--gpu-architecture=sm_" + std::to_string(major) + std::to_string(minor));
  options.push_back("--std=c++17");
  std::vector<const char *> words;
  for (const auto &option : options)
    words.push_back(option.c_str());
  Handle program = nullptr, module = nullptr;
  check(tools.create(&program, source, "pixelrate.cu", 0, nullptr, nullptr), "nvrtcCreateProgram");
  const int status = tools.compile(program, static_cast<int>(words.size()), words.data());
  size_t size = 0;
  if (status != 0) {
    tools.log_size(program, &size);
    std::string log(size, ' ');
    tools.log(program, log.data());
    tools.destroy(&program);
    throw std::runtime_error("a kernel could not be compiled for " + options[options.size() - 2] + ": " + log);
  }
  check(tools.code_size(program, &size), "nvrtcGetCUBINSize");
  std::vector<char> code(size);
  check(tools.code(program, code.data()), "nvrtcGetCUBIN");
  tools.destroy(&program);
  check(tools.load(&module, code.data()), "cuModuleLoadData");
  return module;
}

std::atomic<uint64_t> launches = 0;

// Puts a kernel into the calling thread's stream.
template <typename... Arguments>
void launch(Handle module, const char *name, const Tensor &x, std::array<unsigned, 2> blocks, unsigned threads, unsigned shared,
            Arguments... arguments) {
  constexpr int MOST_DYNAMIC_SHARED = 8; // CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
  const auto &tools = Tools::get();
  Handle context = nullptr, kernel = nullptr;
  check(tools.context(&context), "cuCtxGetCurrent");
  // The driver takes none for granted: a thread has one from its first call of CUDA's runtime on.
  if (context == nullptr)
    check(named<int (*)(void *)>("cudaFree")(nullptr), "cudaFree");
  check(tools.kernel(&kernel, module, name), name);
  check(tools.set(kernel, MOST_DYNAMIC_SHARED, static_cast<int>(shared)), name);
  void *pointers[] = {&arguments...};
  Handle stream = guard().getStream(x.device()).native_handle();
  check(tools.launch(kernel, blocks[0], blocks[1], 1, threads, 1, 1, shared, stream, pointers, nullptr), name);
  launches++;
}

// Whether kernels are made for a tensor such as this: pictures in bfloat16 whose channels lie side by side, on an Ampere or newer.
bool suits(const Tensor &x) {
  return x.is_cuda() && x.scalar_type() == at::kBFloat16 && x.dim() == 4 && x.is_contiguous(at::MemoryFormat::ChannelsLast) &&
         x.numel() > 0 && x.numel() < (int64_t(1) << 31) && reinterpret_cast<uintptr_t>(x.const_data_ptr()) % 16 == 0 &&
         capability(x.device().index()).first >= 8 && Tools::missing().empty();
}

// Kernels by the device and what they are compiled for.
template <typename Compile> Handle kept(std::map<std::array<int, 3>, Handle> &modules, std::array<int, 3> sizes, Compile compile) {
  static std::mutex lock;
  const std::lock_guard<std::mutex> held(lock);
  auto &module = modules[sizes];
  if (module == nullptr)
    module = compile();
  return module;
}

// conv2d(x, weight, stride 1, padding 1) of a 3x3 weight, and `beside`, if there is any, added to it.
struct Convolution : torch::autograd::Function<Convolution> {
  // Its kernels, where they are made for these.
  static std::optional<std::pair<ConvolutionSizes, Handle>> kernels(const Tensor &x, const Tensor &weight) {
    if (!suits(x) || !suits(weight) || weight.sizes() != at::IntArrayRef({x.size(1), x.size(1), 3, 3}))
      return std::nullopt;
    const auto sizes = ConvolutionSizes::of(x.size(1), x.size(2), x.size(3));
    if (!sizes)
      return std::nullopt;
    static std::map<std::array<int, 3>, Handle> modules;
    const int device = x.device().index();
    const auto module = kept(modules, {device, sizes->channels, sizes->width}, [&] {
      return compiled(device, CONVOLUTION,
                      {"-DC=" + std::to_string(sizes->channels), "-DW=" + std::to_string(sizes->width),
                       "-DTILE=" + std::to_string(sizes->tile)});
    });
    return std::pair(*sizes, module);
  }

  static Tensor forward(AutogradContext *context, const Tensor &x, const Tensor &weight, const std::optional<Tensor> &beside) {
    context->save_for_backward({x, weight});
    context->saved_data["beside"] = beside.has_value();
    const auto own = kernels(x, weight);
    if (!own || (beside && !(suits(*beside) && beside->sizes() == x.sizes()))) {
      const auto y = at::conv2d(x, weight, {}, 1, 1);
      return beside ? at::add(y, *beside) : y;
    }
    const auto &[sizes, module] = *own;
    const auto y = at::empty_like(x);
    launch(module, "forward", x, {sizes.tiles(x.size(0)), unsigned(sizes.parts)}, sizes.THREADS, sizes.shared_forward(),
           x.const_data_ptr(), weight.const_data_ptr(), beside ? beside->const_data_ptr() : nullptr, y.data_ptr(), sizes.height);
    return y;
  }

  static variable_list backward(AutogradContext *context, const variable_list &slopes) {
    const auto saved = context->get_saved_variables();
    const Tensor &x = saved[0], &weight = saved[1];
    const Tensor beside = context->saved_data["beside"].toBool() ? slopes[0] : Tensor();
    const bool by_x = context->needs_input_grad(0), by_weight = context->needs_input_grad(1);
    const auto own = kernels(x, weight);
    if (!own) {
      auto [x_slope, weight_slope, _] = at::convolution_backward(slopes[0], x, weight, std::nullopt, {1, 1}, {1, 1}, {1, 1}, false,
                                                                 {0, 0}, 1, {by_x, by_weight, false});
      return {x_slope, weight_slope, beside};
    }
    const auto &[sizes, module] = *own;
    const auto slope = slopes[0].contiguous(at::MemoryFormat::ChannelsLast);
    const int tiles = sizes.tiles(x.size(0));
    Tensor x_slope, weight_slope;
    if (by_x) {
      x_slope = at::empty_like(x);
      launch(module, "by_input", x, {unsigned(tiles), unsigned(sizes.parts)}, sizes.THREADS, sizes.shared_by_input(),
             slope.const_data_ptr(), weight.const_data_ptr(), x_slope.data_ptr(), sizes.height);
    }
    if (by_weight) {
      weight_slope = at::empty_like(weight);
      const int blocks = sizes.weight_blocks(x.size(0));
      const auto sums = at::empty({blocks * weight.numel()}, x.options().dtype(at::kFloat));
      launch(module, "by_weights", x, {unsigned(blocks), 1}, sizes.weight_threads(), sizes.shared_by_weights(), x.const_data_ptr(),
             slope.const_data_ptr(), sums.data_ptr(), sizes.height, tiles);
      launch(module, "add_up", x, {sizes.adding_blocks(), 1}, sizes.ADDING_THREADS, 0, sums.const_data_ptr(), blocks,
             weight_slope.data_ptr());
    }
    return {x_slope, weight_slope, beside};
  }
};

// relu(batch_norm(x)) in training.
struct NormRelu : torch::autograd::Function<NormRelu> {
  // Its kernels, where they are made for `x`.
  static std::optional<std::pair<NormSizes, Handle>> kernels(const Tensor &x) {
    if (!suits(x))
      return std::nullopt;
    const auto sizes = NormSizes::of(x.size(1), x.numel() / x.size(1));
    if (!sizes)
      return std::nullopt;
    static std::map<std::array<int, 3>, Handle> modules;
    const int device = x.device().index();
    const auto module = kept(modules, {device, sizes->channels, 0}, [&] {
      return compiled(device, NORM, {"-DC=" + std::to_string(sizes->channels)});
    });
    return std::pair(*sizes, module);
  }

  static Tensor sums(const Tensor &x) { return at::empty({NormSizes::SUMS}, x.options().dtype(at::kFloat)); }

  static Tensor forward(AutogradContext *context, const Tensor &x, const Tensor &weight, const Tensor &bias,
                        const Tensor &running_mean, const Tensor &running_var, double momentum, double eps) {
    const auto own = kernels(x);
    if (!own) {
      auto [normed, mean, invstd, reserve, index] =
          at::_batch_norm_impl_index(x, weight, bias, running_mean, running_var, true, momentum, eps, true);
      const auto y = at::relu_(normed);
      context->save_for_backward({x, weight, running_mean, running_var, mean, invstd, reserve, y});
      context->saved_data["index"] = index;
      context->saved_data["eps"] = eps;
      return y;
    }
    const auto &[sizes, module] = *own;
    const auto kept = at::empty({2, x.size(1)}, weight.options()), y = at::empty_like(x), partial = sums(x);
    launch(module, "moments", x, {sizes.summing_blocks(), 1}, sizes.THREADS, 0, x.const_data_ptr(), partial.data_ptr(), sizes.pixels);
    launch(module, "forward", x, {sizes.blocks(), 1}, sizes.THREADS, 0, x.const_data_ptr(), partial.const_data_ptr(),
           weight.const_data_ptr(), bias.const_data_ptr(), running_mean.data_ptr(), running_var.data_ptr(), kept.data_ptr(),
           y.data_ptr(), sizes.pixels, float(momentum), float(eps));
    context->save_for_backward({x, weight, bias, kept});
    return y;
  }

  static variable_list backward(AutogradContext *context, const variable_list &slopes) {
    const auto saved = context->get_saved_variables();
    const Tensor &x = saved[0], &weight = saved[1];
    const Tensor none;
    const auto own = kernels(x);
    if (!own) {
      const auto passed = at::threshold_backward(slopes[0], saved[7], 0);
      auto [x_slope, weight_slope, bias_slope] = at::_batch_norm_impl_index_backward(
          context->saved_data["index"].toInt(), x, passed, weight, saved[2], saved[3], saved[4], saved[5], true,
          context->saved_data["eps"].toDouble(), {true, true, true}, saved[6]);
      return {x_slope, weight_slope, bias_slope, none, none, none, none};
    }
    const Tensor &bias = saved[2], &kept = saved[3];
    const auto slope = slopes[0].contiguous(at::MemoryFormat::ChannelsLast), partial = sums(x), x_slope = at::empty_like(x);
    const auto weight_slope = at::empty_like(weight), bias_slope = at::empty_like(bias);
    const auto &[sizes, module] = *own;
    launch(module, "slopes", x, {sizes.summing_blocks(), 1}, sizes.THREADS, 0, x.const_data_ptr(), slope.const_data_ptr(), weight.const_data_ptr(),
           bias.const_data_ptr(), kept.const_data_ptr(), partial.data_ptr(), sizes.pixels);
    launch(module, "backward", x, {sizes.blocks(), 1}, sizes.THREADS, 0, x.const_data_ptr(), slope.const_data_ptr(),
           weight.const_data_ptr(), bias.const_data_ptr(), kept.const_data_ptr(), partial.const_data_ptr(),
           weight_slope.data_ptr(), bias_slope.data_ptr(), x_slope.data_ptr(), sizes.pixels);
    return {x_slope, weight_slope, bias_slope, none, none, none, none};
  }
};

} // namespace

extern "C" {

// Whether there is what kernels are compiled and launched with.
int pixelrate_cuda_kernels(char *problem, size_t room) {
  return told(problem, room, [&] {
    if (!Tools::missing().empty())
      throw std::runtime_error(Tools::missing());
  });
}

// How many kernels of our own this process has launched or recorded.
uint64_t pixelrate_cuda_launches() { return launches; }

// `beside` may be null. `made` is the caller's.
int pixelrate_cuda_convolution(const Tensor *x, const Tensor *weight, const Tensor *beside, Tensor **made, char *problem,
                               size_t room) {
  return told(problem, room, [&] { *made = new Tensor(Convolution::apply(*x, *weight, beside ? std::optional(*beside) : std::nullopt)); });
}

int pixelrate_cuda_norm_relu(const Tensor *x, const Tensor *weight, const Tensor *bias, const Tensor *running_mean,
                             const Tensor *running_var, double momentum, double eps, Tensor **made, char *problem, size_t room) {
  return told(problem, room, [&] {
    *made = new Tensor(NormRelu::apply(*x, *weight, *bias, *running_mean, *running_var, momentum, eps));
  });
}

}
