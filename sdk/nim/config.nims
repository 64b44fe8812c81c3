# How `nim c schedule.nim` makes a plugin: a module for WASM without a system below it, by clang or `zig cc`.

switch("cc", "clang")
# In the folder of the plugin: else all that are called schedule.nim share one.
switch("nimcache", "nimcache")
switch("cpu", "wasm32")
# No system: what a failed check does is in panicoverride.nim.
switch("os", "standalone")
switch("panics", "on")
switch("mm", "arc")
switch("threads", "off")
switch("define", "useMalloc")
switch("define", "release")
switch("opt", "size")
# A library: the module's own start (in pixelrate.nim) calls Nim's.
switch("noMain", "on")
switch("passC", "-target wasm32-wasi")
switch("passL", "-target wasm32-wasi -mexec-model=reactor -Wl,-z,stack-size=65536 -s")
