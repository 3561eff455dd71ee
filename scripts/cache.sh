# What the set-up scripts share; they source it. It finds the cache folder, and turns failures into sentences.
#
# Before it: program (a name for messages) and needed_megabytes are set. After it: system and cache are.
#
# TRANSFERQ_CACHE   where to keep things (default: the user's cache folder)

say() { printf '%s: %s\n' "$program" "$*" >&2; }
fail() { printf '%s: error: %s\n' "$program" "$*" >&2; exit 1; }

system=$(uname -s)
if [ -n "${TRANSFERQ_CACHE:-}" ]; then cache=$TRANSFERQ_CACHE
elif [ "$system" = Darwin ]; then cache=$HOME/Library/Caches/transferq
else cache=${XDG_CACHE_HOME:-$HOME/.cache}/transferq
fi

free_megabytes() { df -Pm "$cache" | awk 'NR == 2 { print $4 }'; }

# Makes the cache folder with these folders in it, sees that it has room, and begins an empty log. One set-up of a
# program at a time; the lock goes with the process that holds it.
open_cache() { # folder...
    mkdir -p "$cache" 2>/dev/null || fail "the cache folder $cache cannot be made; set TRANSFERQ_CACHE to one that can"
    [ "$(free_megabytes)" -ge "$needed_megabytes" ] ||
        fail "the disk of $cache has less than $needed_megabytes MB free; free some space, or set TRANSFERQ_CACHE to a folder on another disk"
    (cd "$cache" && mkdir -p "$@")
    log=$cache/$program.log
    if command -v flock >/dev/null; then
        exec 9>"$cache/$program.lock"
        flock -n 9 || { say 'waiting for another set-up to finish'; flock 9; }
    fi
    : >"$log"
}

# Runs a long command with its output in the log, and turns a failure into a sentence.
logged() { # what, command...
    local what=$1; shift
    if "$@" >>"$log" 2>&1; then return; fi
    if grep -qiE 'no space left|disk quota' "$log" || [ "$(free_megabytes)" -lt 20 ]; then
        fail "the disk of $cache is full, so $what failed; free some space (about $needed_megabytes MB) and run this again"
    fi
    if grep -qiE 'resolution|unreachable|connection|network|timed out|no matching distribution|proxy' "$log"; then
        fail "$what failed because the package index could not be reached; check the network and run this again (log: $log)"
    fi
    tail -n 5 "$log" >&2
    fail "$what failed; the lines above are the end of $log"
}

# A virtual environment at a place that is not its last; it may be moved, since its interpreter finds its packages from
# where it is.
new_environment() { # folder
    python3 -c 'import venv, ensurepip' 2>/dev/null ||
        fail 'python3 cannot make virtual environments; install python3-venv and run this again'
    export PIP_DISABLE_PIP_VERSION_CHECK=1
    logged 'making a virtual environment' python3 -m venv "$1"
}

need_python() { command -v python3 >/dev/null || fail 'python3 is missing; install it (with venv) and run this again'; }

# Sets python to the interpreter of an environment in the cache that has these packages, and makes the environment if it is
# not there. Packages belong to the Python that they were installed for.
#
# A function named install_packages, if there is one, installs them into the environment $work in place of pip.
python_environment() { # name, packages...
    local name=$1 environment; shift
    need_python
    environment=$cache/python/$name-$(python3 --version | cksum | cut -d' ' -f1)
    python=$environment/bin/python
    [ ! -x "$python" ] || return 0
    open_cache python
    # Another set-up may have finished meanwhile.
    [ ! -x "$python" ] || return 0
    say "installing $*"
    # What a run that was killed left.
    rm -rf "$cache/python/partial.$program".*
    work=$(mktemp -d "$cache/python/partial.$program.XXXXXX")
    new_environment "$work"
    if declare -F install_packages >/dev/null; then install_packages "$@"
    else logged "installing $*" "$work/bin/python" -m pip install "$@"
    fi
    # One rename makes the finished environment appear.
    rm -rf "$environment"
    mv "$work" "$environment"
    say "ready in $environment"
}

# Sets python to one that drives Chromium, and sees that Chromium is there with its driver: from Debian's packages, as root.
browser_python() {
    python_environment selenium-4.51.0 selenium==4.51.0
    ! command -v chromedriver >/dev/null || return 0
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null ||
        fail 'there is no chromedriver on the PATH; install Chromium with its driver (Debian: chromium-driver) and run this again'
    open_cache python
    say 'installing Chromium'
    logged 'reading the list of packages' apt-get update
    logged 'installing Chromium' env DEBIAN_FRONTEND=noninteractive apt-get install --yes chromium chromium-driver
}
