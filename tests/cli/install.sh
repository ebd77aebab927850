# Guards `make install`: a program outside the project builds with pkg-config alone and runs; man pages are there.
source "$(dirname "$0")/tap.bash"

build=${MIEN_BUILD:-build}
if nm -D "$build/libmien.so" | grep -q -e __asan_init -e __tsan_init; then
  skip "the installation" "the build is instrumented; a program outside it is not"
  done_testing
  exit
fi
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
for page in man3/libmien.3 man1/mien.1 man1/mien-detect.1 man1/mien-serve.1 man1/mien-train.1 man1/mien-eval.1 man1/mien-video.1; do
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
