# shellcheck shell=bash
# What tools/quickstart, tools/test and .ci/run share: finding and installing what is needed,
# configuring a build directory, running one part and counting its results.
#
# From outside: BUILD_DIR (where to build, [build/]) and JOBS (compilers at a time, [CPUs]).

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
build=${BUILD_DIR:-$root/build}
case $build in /*) ;; *) build=$PWD/$build ;; esac
jobs=${JOBS:-$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)}

say() { printf '%s\n' "$*"; }
die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# --- What is needed -------------------------------------------------------------------------
# Each need is tested for by using it, whatever it was installed with: have_NEED below.

# need             Debian, Ubuntu       Fedora               Arch            Alpine
needs_table='
meson              meson                meson                meson           meson
ninja              ninja-build          ninja-build          ninja           samurai
cc                 gcc                  gcc                  gcc             gcc,musl-dev
cxx20              g++                  gcc-c++              gcc             g++
pkg_config         pkg-config           pkgconf-pkg-config   pkgconf         pkgconf
libcrypto          libssl-dev           openssl-devel        openssl         openssl-dev
zlib               zlib1g-dev           zlib-devel           zlib            zlib-dev
isal               libisal-dev          isa-l-devel          isa-l           -
hiredis            libhiredis-dev       hiredis-devel        hiredis         hiredis-dev
python3            python3              python3              python          python3
cmocka             libcmocka-dev        libcmocka-devel      cmocka          cmocka-dev
glib               libglib2.0-dev       glib2-devel          glib2           glib-dev
python3_dev        python3-dev          python3-devel        python          python3-dev
python3_venv       python3-venv         python3              python          py3-virtualenv
curl               curl                 curl                 curl            curl
node               nodejs               nodejs               nodejs          nodejs
npm                npm                  nodejs-npm           npm             npm
chromium           chromium             chromium             chromium        chromium
openssl            openssl              openssl              openssl         openssl
go                 golang-go            golang               go              go
ip                 iproute2             iproute              iproute2        iproute2
microsocks         microsocks           -                    -               microsocks
nginx              nginx                nginx                nginx           nginx
haproxy            haproxy              haproxy              haproxy         haproxy
tinyproxy          tinyproxy            tinyproxy            tinyproxy       tinyproxy
prometheus         prometheus           -                    prometheus      prometheus
redis              redis-server         redis                redis           redis
readelf            binutils             binutils             binutils        binutils
clang              clang-14             clang                clang           clang
clang_format       clang-format-14      clang-tools-extra    clang           clang-extra-tools
clang_rt           libclang-rt-14-dev   compiler-rt          compiler-rt     compiler-rt
valgrind           valgrind             valgrind             valgrind        valgrind
shellcheck         shellcheck           ShellCheck           shellcheck      shellcheck
'

compiles() { # COMPILER LANGUAGE FLAG SOURCE
  printf '%s\n' "$4" | $1 -x "$2" "$3" -fsyntax-only - >/dev/null 2>&1
}
runs() { command -v "$1" >/dev/null 2>&1 && "$@" >/dev/null 2>&1; }
# Programs of administrators are not in everybody's PATH.
is_there() { PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin command -v "$1" >/dev/null 2>&1; }
pkg_exists() { runs "${PKG_CONFIG:-pkg-config}" --exists "$1"; }

have_meson() {
  local major
  major=$(meson --version 2>/dev/null | cut -d. -f1)
  [ "${major:-0}" -ge 1 ] 2>/dev/null
}
have_ninja() { runs ninja --version || runs ninja-build --version || runs samu --version; }
have_cc() { compiles "${CC:-cc}" c -std=c99 '#include <stdio.h>'; }
have_cxx20() {
  compiles "${CXX:-c++}" c++ -std=c++20 '#include <bit>
#include <concepts>
#include <span>
template <std::integral T> constexpr int f(std::span<const T> s) { return std::popcount(s[0]); }'
}
have_pkg_config() { runs "${PKG_CONFIG:-pkg-config}" --version; }
have_libcrypto() { pkg_exists 'libcrypto >= 3.0'; }
have_zlib() { pkg_exists 'zlib >= 1.2.9'; }
have_isal() { pkg_exists 'libisal >= 2.30'; }
have_hiredis() { pkg_exists 'hiredis >= 0.14'; }
have_python3() { runs python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))'; }
have_cmocka() { pkg_exists cmocka; }
have_glib() { pkg_exists glib-2.0; }
have_python3_dev() {
  runs python3 -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))'
}
have_python3_venv() { runs python3 -c 'import ensurepip, venv'; }
have_curl() { runs curl --version; }
have_node() { runs node --version; }
have_npm() { runs npm --version; }
have_chromium() {
  local name
  for name in chromium chromium-browser google-chrome; do
    command -v $name >/dev/null 2>&1 && return
  done
  return 1
}
have_openssl() { runs openssl version; }
have_go() { runs go version; }
have_ip() { is_there ip; }
have_microsocks() { is_there microsocks; }
have_nginx() { is_there nginx; }
have_haproxy() { is_there haproxy; }
have_tinyproxy() { is_there tinyproxy; }
have_prometheus() { is_there prometheus && is_there promtool; }
have_redis() { is_there redis-server; }
have_readelf() { runs readelf --version && runs nm --version; }
have_clang() { find_tool clang >/dev/null; }
have_clang_rt() {
  local out status
  out=$(mktemp)
  printf 'int main(void) { return 0; }\n' |
    "$(find_tool clang)" -fsanitize=thread -x c - -o "$out" >/dev/null 2>&1
  status=$?
  rm -f "$out"
  return $status
}
have_clang_format() { find_tool clang-format >/dev/null; }
have_valgrind() { runs valgrind --version; }
have_shellcheck() { runs shellcheck --version; }

# The release that CI is written for, or else whatever has the name: find_tool clang -> clang-14.
find_tool() { command -v "$1-14" || command -v "$1"; }

distribution() {
  local ID='' ID_LIKE=''
  # shellcheck source=/dev/null
  [ -r /etc/os-release ] && . /etc/os-release
  case " $ID $ID_LIKE " in
    *' debian '* | *' ubuntu '*) echo debian ;;
    *' fedora '* | *' rhel '*) echo fedora ;;
    *' arch '*) echo arch ;;
    *' alpine '*) echo alpine ;;
    *) echo unknown ;;
  esac
}

packages_for() { # DISTRIBUTION NEED...
  local column need
  case $1 in debian) column=2 ;; fedora) column=3 ;; arch) column=4 ;; alpine) column=5 ;; esac
  shift
  for need in "$@"; do
    printf '%s' "$needs_table" | awk -v need="$need" -v column="$column" \
      '$1 == need && $column != "-" { gsub(",", "\n", $column); print $column }'
  done | awk '!seen[$0]++' | tr '\n' ' ' | sed 's/ $//'
}

missing_of() { # NEED...
  local need
  for need in "$@"; do "have_$need" || printf '%s ' "$need"; done
}

tell_packages() { # NEED...
  local d
  for d in debian fedora arch alpine; do
    case $d in
      debian) printf '  Debian, Ubuntu  apt-get install ' ;;
      fedora) printf '  Fedora          dnf install ' ;;
      arch) printf '  Arch            pacman -S ' ;;
      alpine) printf '  Alpine          apk add ' ;;
    esac
    packages_for $d "$@"
    printf '\n'
  done >&2
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

apt_get() { # the noise only when it fails
  local log
  log=$(mktemp)
  if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120 \
    "$@" </dev/null >"$log" 2>&1; then
    tail -n 15 "$log" >&2
    rm -f "$log"
    return 1
  fi
  rm -f "$log"
}

# Makes sure of everything named; installs what is missing where it knows how, or says what to
# install and ends.  Asks no network when nothing is missing.
installed_something=no
need() { # NEED...
  local missing packages
  missing=$(missing_of "$@")
  [ -z "$missing" ] && return 0
  # shellcheck disable=SC2086 # a list of words
  set -- $missing
  if [ "$(distribution)" != debian ] || ! command -v apt-get >/dev/null; then
    printf '%s: missing: %s.  Install\n' "${0##*/}" "$*" >&2
    tell_packages "$@"
    exit 1
  fi
  packages=$(packages_for debian "$@")
  if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
    die "missing: $*.  As root: apt-get install $packages"
  fi
  say "Installing $packages"
  apt_get update || say "(the package lists could not be updated: trying with the old ones)"
  # shellcheck disable=SC2086
  apt_get install --no-install-recommends --no-upgrade $packages ||
    die "could not install $packages"
  hash -r
  installed_something=yes
  missing=$(missing_of "$@")
  case " $missing" in
    *' meson '*) die "meson $(meson --version) is too old, 1.0 is needed: pipx install meson" ;;
    *' '?*) die "still missing after installing $packages: $missing" ;;
  esac
}

# The same for what a part can do without: it is then skipped, and says so.
want() { # NEED...
  local missing
  missing=$(missing_of "$@")
  [ -z "$missing" ] && return
  # shellcheck disable=SC2086 # a list of words
  if (need $missing); then
    installed_something=yes
    hash -r
  else
    say "Going on without: $missing"
  fi
}

# The same for programs whose packages also start a service.  Where one would start, and that is
# wherever systemd runs, installing them is not for a test to decide.
want_daemons() { # NEED...
  local missing
  missing=$(missing_of "$@")
  [ -z "$missing" ] && return
  if [ -d /run/systemd/system ]; then
    say "Going on without: $missing(installing them would start services)"
  else
    # shellcheck disable=SC2086 # a list of words
    want $missing
  fi
}

# Packages are installed as root, but what is built belongs to the owner of the tree: under sudo,
# start again as the one who called it.
leave_sudo() { # SCRIPT [ARGUMENT]...
  local owner
  owner=$(stat -c %u "$root")
  if [ "$(id -u)" = 0 ] && [ "$owner" != 0 ] && [ "${SUDO_UID:-0}" = "$owner" ]; then
    exec sudo -H -u "#$SUDO_UID" env ${BUILD_DIR:+"BUILD_DIR=$BUILD_DIR"} \
      ${JOBS:+"JOBS=$JOBS"} "$@"
  fi
}

# Files of the project, new ones too, whose name matches a regular expression; without git, all that are there.
tracked() { # REGEX
  {
    git -C "$root" ls-files -co --exclude-standard 2>/dev/null | grep . ||
      (cd "$root" && find . -name 'build*' -prune -o -type f -print | sed 's,^\./,,')
  } | grep -E -- "$1"
}

# --- Building -------------------------------------------------------------------------------

# A build directory moved or copied from elsewhere, or half made, is no use.
is_build_of_this_tree() { # DIRECTORY
  local info=$1/meson-info/meson-info.json
  [ -f "$1/build.ninja" ] && grep -qF "\"source\": \"$root\"" "$info" &&
    grep -qF "\"build\": \"$(cd "$1" && pwd -P)\"" "$info"
} 2>/dev/null

# -DNAME=VALUE or --NAME=VALUE, as `meson setup` takes them.
options_are_set() { # DIRECTORY OPTION...
  local dir=$1 current option
  shift
  current=$(meson introspect "$dir" --buildoptions 2>/dev/null | python3 -c '
import json, sys
for option in json.load(sys.stdin):
    value = option["value"]
    print(option["name"] + "=" + (str(value).lower() if isinstance(value, bool) else str(value)))
') || return 1
  for option in "$@"; do
    option=${option#-D}
    grep -qxF -- "${option#--}" <<<"$current" || return 1
  done
}

# Sets a build directory up, or brings one that is there up to date.
configure() { # DIRECTORY OPTION...
  local dir=$1
  shift
  if [ -d "$dir/meson-private" ] && ! is_build_of_this_tree "$dir"; then
    say "${dir##*/}/ was made for another place: making it anew"
    rm -rf "$dir"
  fi
  if [ ! -d "$dir/meson-private" ]; then
    meson setup "$dir" "$root" "$@"
  elif [ "$installed_something" = yes ] || ! options_are_set "$dir" "$@"; then
    meson setup --reconfigure "$dir" "$root" "$@"
  fi
}

# Builds and keeps quiet about it unless it fails.
build_quietly() { # DIRECTORY TARGETS OPTION...
  local dir=$1 targets=$2 log
  shift 2
  mkdir -p "$dir" || die "cannot write to $dir"
  log=$dir/build.log
  : >"$log" 2>/dev/null ||
    die "cannot write to $dir: it belongs to $(stat -c %U "$dir"); remove it and try again"
  # shellcheck disable=SC2086 # a list of words
  if ! { configure "$dir" "$@" && meson compile -C "$dir" -j "$jobs" --ninja-args=-k0 $targets; } >"$log" 2>&1; then
    grep -E -m 5 -A 5 'error:|ERROR:|FAILED:' "$log" >&2 || tail -n 20 "$log" >&2
    say "The whole output is in $log" >&2
    return 1
  fi
}

# --- Counting -------------------------------------------------------------------------------
# A part is a command that prints lines `N passed, N failed`, with or without `, N skipped`; they
# are added up.  A part that says nothing of the kind counts as one, by its exit status.

passed=0 failed=0 skipped=0
failures=''
log_dir=$build/test-logs

run_part() { # NAME COMMAND...
  local name=$1 status log p f s started=$SECONDS
  shift
  mkdir -p "$log_dir"
  log=$log_dir/$name.log
  printf '%-14s' "$name"
  "$@" >"$log" 2>&1 </dev/null
  status=$?
  read -r p f s < <(sed -nE \
    's/^([0-9]+) passed, ([0-9]+) failed(, ([0-9]+) skipped)?$/\1 \2 \4/p' "$log" |
    awk '{ p += $1; f += $2; s += $3 } END { if (NR) print p, f, s + 0; else print "- - -" }')
  if [ "$p" = - ]; then
    p=$((status == 0)) f=$((status != 0)) s=0
  elif [ "$status" != 0 ] && [ "$f" = 0 ]; then
    f=1
  fi
  passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
  printf '%5d passed' "$p"
  [ "$f" != 0 ] && printf ', %d failed' "$f"
  [ "$s" != 0 ] && printf ', %d skipped' "$s"
  printf '  (%d s)\n' $((SECONDS - started))
  grep -E '^(skip |[a-z-]+: not run: )' "$log" | sed 's/^/    /'
  if [ "$f" != 0 ]; then
    failures="$failures $name"
    say "    --- from $log ---"
    { grep -E -A 12 '^FAILED|: fail ' "$log" | head -n 80 | grep . || tail -n 40 "$log"; } |
      sed 's/^/    /'
  fi
}

skip_part() { # NAME REASON
  printf '%-14sskipped: %s\n' "$1" "$2"
  skipped=$((skipped + 1))
}

# The last line, and the exit status.
summary() {
  [ -n "$failures" ] && say "Failed:$failures"
  printf '%d passed, %d failed' "$passed" "$failed"
  [ "$skipped" != 0 ] && printf ', %d skipped' "$skipped"
  printf '\n'
  [ "$failed" = 0 ]
}
