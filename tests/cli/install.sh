# Guards `make install`: a program outside the project builds with pkg-config alone and runs; man pages are there.
source "$(dirname "$0")/tap.bash"

build=${MIEN_BUILD:-build}
if nm -D "$build/libmien.so" | grep -q -e __asan_init -e __tsan_init; then
  skip "the installation" "the build is instrumented; a program outside it is not"
  done_testing
  exit
fi
cmake --build "$build" --target mien_static >"$work/static.log" 2>&1 || cat "$work/static.log"
run cmake --install "$build" --prefix "$work/prefix"
check "the installation succeeds" status_is 0
PKG_CONFIG_PATH=$(dirname "$(find "$work/prefix" -name mien.pc)")
export PKG_CONFIG_PATH
LD_LIBRARY_PATH=$(dirname "$(find "$work/prefix" -name libmien.so)")
export LD_LIBRARY_PATH
check "pkg-config knows the version" test "$(pkg-config --modversion mien)" = "$("$MIEN" --version | cut -d' ' -f2)"
# $(…) unquoted: the flags are words
# shellcheck disable=SC2046
check "the example builds against it" cc -std=c11 -Wall -Wextra -Wpedantic -Werror examples/faces.c -o "$work/faces" \
  $(pkg-config --cflags --libs mien)
run "$work/faces"
check "the example asks for a picture" status_is 2
run "$work/faces" examples/faces.c
check "it loads detector and model, and names the file that is no picture" err_has "examples/faces.c: not a picture"
check "and says so by its exit status" status_is 1
check "a header compiles as C++" c++ -std=c++11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only -x c++ \
  "$work/prefix/include/mien/mien.h" -I"$work/prefix/include"
check "nothing but the public interface is exported" bash -c \
  'test -z "$(nm -D --defined-only "$0" | cut -d" " -f3 | grep -v "^mien_")"' "$LD_LIBRARY_PATH/libmien.so"
mkdir "$work/outside"
cp examples/faces.c "$work/outside"
printf '%s\n' 'cmake_minimum_required(VERSION 3.16)' 'project(outside C)' 'find_package(mien 0.1 REQUIRED)' \
  'add_executable(faces faces.c)' 'target_link_libraries(faces PRIVATE mien::mien)' >"$work/outside/CMakeLists.txt"
check "CMake finds it" cmake -S "$work/outside" -B "$work/outside/build" -DCMAKE_PREFIX_PATH="$work/prefix"
check "and builds with it" cmake --build "$work/outside/build"
static=$(find "$work/prefix" -name libmien.a)
check "the static library shows nothing but the public interface" bash -c \
  'test -z "$(nm -g --defined-only "$0" | sed -n "s/^[0-9a-f]* . //p" | grep -v "^mien_")"' "$static"
# shellcheck disable=SC2046
check "a program builds with it" cc -std=c11 $(pkg-config --cflags mien) examples/faces.c -o "$work/faces_static" "$static" \
  $(pkg-config --static --libs mien | tr ' ' '\n' | grep -v -e '^-lmien$' -e '^-L')
check "that does not need the shared one" bash -c '! ldd "$0" | grep -q libmien' "$work/faces_static"
run "$work/faces_static" examples/faces.c
check "and runs" err_has "examples/faces.c: not a picture"
if command -v dpkg-query >/dev/null; then
  # what the program is linked with, less what every Debian has and the container's build leaves out
  ldd "$MIEN" >"$work/linked"
  for name in $(objdump -p "$MIEN" | sed -n 's/^ *NEEDED *//p'); do
    file=$(readlink -f "$(awk -v name="$name" '$1 == name { print $3 }' "$work/linked")")
    package=$(dpkg-query -S "*/$(basename "$file")" 2>/dev/null | cut -d: -f1 | sort -u | head -n 1)
    case $package in libc6 | libopenmpi3 | "") continue ;; esac
    check "deploy/packages has $package" grep -qw -- "$package" deploy/packages
  done
else
  skip "deploy/packages" "this is no Debian"
fi
for page in man3/libmien.3 man1/mien.1 man1/mien-detect.1 man1/mien-serve.1 man1/mien-train.1 man1/mien-eval.1 man1/mien-video.1 man1/mien-bench.1; do
  check "$page is there" test -s "$work/prefix/share/man/$page"
done
photo=$SHARED/photos/astronaut.png
if [ -r "$photo" ]; then
  run "$work/faces" "$photo"
  check "the example finds the astronaut" out_has "looks"
else
  skip "the example finds the astronaut" "../shared/photos is not here"
fi
done_testing
