// What the C++ files have in common: how libtorch's part for CUDA is found, and how failures are told.

#pragma once

#include <dlfcn.h>

#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <utility>

#include <c10/core/Stream.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace {

inline c10::Device cuda(int device) {
  return c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(device));
}

inline c10::impl::VirtualGuardImpl guard() { return c10::impl::VirtualGuardImpl(c10::kCUDA); }

// Gives 0, or else has written what went wrong into `problem`, cut to `room` bytes with its closing zero.
template <typename Function>
int told(char *problem, size_t room, Function function) {
  try {
    function();
    return 0;
  } catch (const c10::Error &error) {
    std::snprintf(problem, room, "%s", error.what_without_backtrace());
  } catch (const std::exception &error) {
    std::snprintf(problem, room, "%s", error.what());
  } catch (...) {
    std::snprintf(problem, room, "libtorch threw what is no exception");
  }
  return 1;
}

// A function of the libraries that are loaded.
template <typename Function> Function named(const char *name) {
  void *found = dlsym(RTLD_DEFAULT, name);
  if (found == nullptr)
    throw std::runtime_error(std::string("libtorch's CUDA part is not loaded, or of another release: there is no ") + name);
  return reinterpret_cast<Function>(found);
}

// A device's generation: 9 and 0 of Hopper.
inline std::pair<int, int> capability(int device) {
  // cudaDevAttrComputeCapabilityMajor and -Minor of CUDA's runtime.
  auto attribute = named<int (*)(int *, int, int)>("cudaDeviceGetAttribute");
  int major = 0, minor = 0;
  if (attribute(&major, 75, device) != 0 || attribute(&minor, 76, device) != 0)
    throw std::runtime_error("CUDA's runtime does not tell the device's generation");
  return {major, minor};
}

} // namespace
