# Guards `make run` on a machine that never ran `make test`: what is built by default asks for nothing that only
# `scripts/setup test` installs.
source "$(dirname "$0")/tap.bash"

if ! command -v dpkg >/dev/null; then
  skip "the default build without the tests' packages" "this is no Debian"
  done_testing
  exit
fi
eval "$(sed -n '/^test_packages=(/,/^)/p' scripts/setup)"
check "scripts/setup lists the tests' packages" test "${#test_packages[@]}" -gt 5

# what pkg-config would find without them
mkdir "$work/found"
for package in "${test_packages[@]}"; do dpkg -L "$package" 2>/dev/null; done | grep '\.pc$' | sort >"$work/theirs"
IFS=: read -ra folders <<<"$(pkg-config --variable pc_path pkg-config)"
for file in $(find "${folders[@]}" -name '*.pc' 2>/dev/null); do
  grep -qxF -- "$file" "$work/theirs" || ln -sf "$file" "$work/found/"
done
check "cmocka is hidden" bash -c '! PKG_CONFIG_LIBDIR="$0" pkg-config --exists cmocka' "$work/found"
run env PKG_CONFIG_LIBDIR="$work/found" cmake -S . -B "$work/build" -DCMAKE_BUILD_TYPE=Release
check "the default build needs none of them" status_is 0
check "and contains no tests" bash -c '! cmake --build "$0" --target help | grep -q test_base' "$work/build"
check "the libraries of mien itself are asked for" bash -c \
  'rm "$0/libjpeg.pc" && ! PKG_CONFIG_LIBDIR="$0" cmake -S . -B "$0/again" >/dev/null 2>&1' "$work/found"
done_testing
