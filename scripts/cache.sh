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
