#!/usr/bin/env bash
# What a machine with a card is asked, in order of worth: bash benchmarks/gpu/on_card.sh SKELETONS WORK OUT [options of benchmarks.gpu]
# Correctness goes to OUT/tests.txt, figures to OUT/gpu.{json,md,png}. What an earlier call has done is not done again.
set -uo pipefail
cd "$(dirname "$0")/../.."
skeletons=$1 work=$2 out=$3
mkdir -p "$work" "$out"
python3 -c 'import meshwright.engines' 2> /dev/null || . benchmarks/gpu/bare_machine.sh
export PYTHONUNBUFFERED=1 ORT_DISABLE_TELEMETRY=1 MESHWRIGHT_CACHE="$work/cache" MESHWRIGHT_GPU_ENGINES="$work/cache"
benchmark=(python3 -m benchmarks.gpu --packs "$work/packs" --work "$work" --out "$out" "${@:4}")
# Weights and the processor's results need no card: both are made while the tests run.
{ python3 -m benchmarks.gpu.skeletons fill "$skeletons" "$work/packs" && timeout 200 "${benchmark[@]}" --references; } &> "$work/fill.log" &
if [ -d tests/gpu ] && [ ! -f "$out/tests.txt" ]; then
  timeout 150 python3 -m pytest tests/gpu --ignore tests/gpu/test_rehearsal.py -p no:cacheprovider -o addopts= -W default \
    --import-mode=importlib -rs > "$work/tests.txt" 2>&1
  tail -40 "$work/tests.txt" && cp "$work/tests.txt" "$out"
fi
wait
"${benchmark[@]}"
tail -n 100 "$work"/*.log > "$out/logs.txt"
