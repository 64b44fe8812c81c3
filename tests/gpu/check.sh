#!/bin/sh
# Tries pixelrate on a machine with an NVIDIA GPU: that steps recorded as a CUDA graph do what their operations do, that runs
# side by side do not disturb one another, that a deterministic run repeats to the bit, and how quick they are beside PyTorch. `cargo xtask gpu` puts this and the programs
# that it needs into target/gpu; the folder can be copied to a machine that has neither Rust nor this repository.
#
#     sh check.sh [FOLDER]    FOLDER holds libtorch 2.11's libraries; by default, those of python3's PyTorch
#
# It takes five minutes or so, at most nine, and fails if a test does, or if there is no GPU.
set -eu
cd "$(dirname "$0")"
libraries=${1:-$(python3 -c 'import importlib.util as u; print(u.find_spec("torch").submodule_search_locations[0] + "/lib")')}
for packed in *.xz; do
    if [ -e "$packed" ]; then xz --decompress --force "$packed" || python3 -c '
import lzma, pathlib, sys
packed = pathlib.Path(sys.argv[1])
packed.with_suffix("").write_bytes(lzma.open(packed).read())
' "$packed"; fi
done
chmod +x tests cuda

status=0
echo "== tests"
# One after another: each takes threads of its own where it tries runs side by side.
LD_LIBRARY_PATH="$libraries" PIXELRATE_REQUIRE_CUDA=1 CUBLAS_WORKSPACE_CONFIG=:4096:8 timeout 150 ./tests device --test-threads 1 || status=$?
echo "== speed"
LD_LIBRARY_PATH="$libraries" timeout 360 ./cuda --bench || status=$?
exit "$status"
