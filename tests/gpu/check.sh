#!/bin/sh
# Tries pixelrate on a machine with an NVIDIA GPU: that steps recorded as a CUDA graph do what their operations do, that runs
# side by side do not disturb one another, that a deterministic run repeats to the bit, and how quick they are beside
# PyTorch. `cargo xtask gpu` puts this and the programs that it needs into target/gpu; the folder can be copied to a machine
# that has neither Rust nor this repository.
#
#     sh check.sh [FOLDER]    FOLDER holds libtorch 2.11's libraries; by default, those of python3's PyTorch
#
# It takes nine minutes or so, at most eighteen, and fails if a test does, or if there is no GPU.
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

echo "== machine"
nvidia-smi -L || echo "no nvidia-smi"
python3 -c 'import torch; print("torch", torch.__version__, torch.version.cuda, torch.cuda.is_available())' || true

# The driver may be found by what is there already; CUDA's own libraries lie beside PyTorch's.
own="$libraries:$libraries/../../nvidia/cu13/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
status=0
# Each in a process of its own: how devices compute is a setting of the process, which a deterministic run does not give
# back, and what a recording that fails leaves behind must not fail the next.
trial() {
    echo "== $2"
    LD_LIBRARY_PATH="$own" PIXELRATE_REQUIRE_CUDA=1 CUBLAS_WORKSPACE_CONFIG=:4096:8 timeout "$1" ./tests "$2" \
        --test-threads 1 ${3:+$3} ${4:+$4} || status=$?
}
trial 60 device --skip on_cuda
for name in $(LD_LIBRARY_PATH="$own" ./tests on_cuda --list --format terse | sed -n 's/: test$//p'); do
    trial 60 "$name" --exact
done
echo "== with libtorch's kernels, and with our own"
for kernels in 0 1; do
    for runs in 1 8; do
        echo "PIXELRATE_CUDA_KERNELS=$kernels"
        LD_LIBRARY_PATH="$own" PIXELRATE_CUDA_KERNELS=$kernels timeout 60 ./cuda --bench resnet-32 "$runs" || status=$?
    done
done
echo "== speed"
LD_LIBRARY_PATH="$own" PIXELRATE_CUDA_LIBRARY_PATH="${LD_LIBRARY_PATH:-}" timeout 480 ./cuda --bench || status=$?
exit "$status"
