# shellcheck shell=sh
# shellcheck disable=SC2034  # The lists of packages are for the scripts that source this.
# Shared by scripts/run and scripts/test: finds what is missing on the machine and gets it.
#
# Sourced, not run. Nothing here is needed where the packages and Rust are there already, and then nothing is done.

# Where the repository is.
MICROTOME_ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)

# What a build needs: a C compiler and linker, for zstd and libdeflate, and certificates for fetching crates.
BUILD_PACKAGES="gcc libc6-dev ca-certificates"

# What a window needs: X11, keyboard, Vulkan and OpenGL are opened at run time.
# Mesa's software drivers draw where there is no graphics card.
WINDOW_PACKAGES="libvulkan1 mesa-vulkan-drivers libegl1 libgl1-mesa-dri libxkbcommon0 libxkbcommon-x11-0 libx11-6 libx11-xcb1 libxcursor1 libxi6"

say() {
    printf '%s\n' "$*" >&2
}

fail() {
    say "$*"
    exit 1
}

# Whether this system installs packages with apt.
is_debian() {
    command -v dpkg-query >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1
}

# Prints those of the named packages that are not installed.
missing_packages() {
    for package in "$@"; do
        case $(dpkg-query -W -f='${Status}' "$package" 2>/dev/null) in
            *"ok installed") ;;
            *) printf '%s ' "$package" ;;
        esac
    done
}

# Runs a command as root.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        fail "This needs root, and sudo is not there. Run as root: $*"
    fi
}

# Installs the named Debian packages that are missing; does nothing on other systems.
need_packages() {
    is_debian || return 0
    missing=$(missing_packages "$@")
    [ -n "$missing" ] || return 0
    say "Installing system packages: $missing"
    as_root apt-get update -qq >&2
    # shellcheck disable=SC2086  # A list of names, meant to be split.
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null ||
        fail "Installing failed. Install these and try again: $missing"
}

# The Rust that Cargo.toml asks for, as in 1.95.
needed_rust() {
    sed -n 's/^rust-version *= *"\([0-9.]*\)".*/\1/p' "$MICROTOME_ROOT/Cargo.toml"
}

# Whether the Rust on PATH is at least the version given.
rust_is_at_least() {
    found=$(rustc --version 2>/dev/null | sed -n 's/^rustc \([0-9]*\)\.\([0-9]*\).*/\1 \2/p')
    [ -n "$found" ] && command -v cargo >/dev/null 2>&1 || return 1
    [ "${found% *}" -gt "${1%%.*}" ] && return 0
    minor=${1#*.}
    [ "${found% *}" -eq "${1%%.*}" ] && [ "${found#* }" -ge "${minor%%.*}" ]
}

# Makes sure that there is a Rust of the needed version, or says how to get one and stops.
need_rust() {
    needed=$(needed_rust)
    [ -d "${CARGO_HOME:-$HOME/.cargo}/bin" ] && PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
    rust_is_at_least "$needed" && return 0
    have=$(rustc --version 2>/dev/null || true)
    if [ -n "$have" ]; then
        say "Microtome needs Rust $needed or newer, and this is $have."
    else
        say "Microtome needs Rust $needed or newer, and no Rust was found."
    fi
    if command -v rustup >/dev/null 2>&1; then
        get="rustup update stable"
    else
        get="curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal -c rustfmt -c clippy"
    fi
    if [ -t 0 ] && [ -t 2 ]; then
        printf 'Get it now with rustup? This runs:\n  %s\n[y/N] ' "$get" >&2
        read -r answer
        case $answer in
            y | Y | yes)
                command -v rustup >/dev/null 2>&1 || need_packages curl ca-certificates
                sh -c "$get" >&2 || fail "rustup failed. See its message above."
                PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
                rust_is_at_least "$needed" && return 0
                fail "There is still no Rust $needed. Run 'rustup default stable' and try again."
                ;;
        esac
    fi
    say "Get it like this, then run this script again:"
    if is_debian && ! command -v rustup >/dev/null 2>&1 && ! command -v curl >/dev/null 2>&1; then
        say "  apt-get install curl    (as root)"
    fi
    fail "  $get"
}

# Whether a window can be opened. macOS and Windows always have a desktop.
has_display() {
    case $(uname -s) in
        Linux | *BSD) [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] ;;
        *) return 0 ;;
    esac
}
