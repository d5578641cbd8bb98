#!/bin/sh
# Makes this machine a part of the fleet of @URL@:
# fetches the agent, verifies it, joins with the token and keeps it running.
# Run it again with a new token to upgrade the agent or to join anew; what the agent has stored stays.
#
# The token comes on standard input or in MAINSTAY_JOIN_TOKEN: on the command line every user of this machine could read it.
# The server's command also checks this script before it runs:
#
#   echo TOKEN | sudo sh join.sh
set -eu

URL='@URL@'
ARCH='@ARCH@'
SHA256='@SHA256@'
GLIBC='@GLIBC@'
# Another root is for tests.
ROOT=${MAINSTAY_ROOT:-}
PROGRAM=$ROOT/usr/local/bin/mainstay
STATE=$ROOT/var/lib/mainstay-agent
UNIT=$ROOT/etc/systemd/system/mainstay-agent.service
SYSTEMD=$ROOT/run/systemd/system
PIDFILE=$ROOT/run/mainstay-agent.pid
LOG=$ROOT/var/log/mainstay-agent.log

say() { printf '%s\n' "mainstay: $*"; }
fail() { printf '%s\n' "mainstay: $*" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

fetch() { # URL FILE
    if has curl; then
        curl -fsSL --retry 3 --connect-timeout 15 -o "$2" "$1"
    elif has wget; then
        wget -q -T 15 -O "$2" "$1"
    else
        fail "neither curl nor wget is here; install one of them"
    fi
}

# Is version $1 at least version $2 (major.minor)?
at_least() {
    have_major=${1%%.*}; have_rest=${1#*.}; have_minor=${have_rest%%.*}
    want_major=${2%%.*}; want_rest=${2#*.}; want_minor=${want_rest%%.*}
    [ "$have_major" -gt "$want_major" ] || { [ "$have_major" -eq "$want_major" ] && [ "$have_minor" -ge "$want_minor" ]; }
}

# First of all: can this machine run the program at all?
check_system() {
    [ "$(uname -s)" = Linux ] || fail "the agent runs on Linux; this is $(uname -s)"
    machine=$(uname -m)
    case "$machine" in
        amd64) machine=x86_64 ;;
        arm64) machine=aarch64 ;;
    esac
    [ "$machine" = "$ARCH" ] || fail "the server has a program for $ARCH; this machine is $machine. Put a mainstay that was built for $machine at $PROGRAM, then run: echo TOKEN | mainstay agent join && mainstay agent run"
    [ -z "$GLIBC" ] && return 0
    have=$(getconf GNU_LIBC_VERSION 2>/dev/null | sed -n 's/^glibc \([0-9][0-9]*\.[0-9][0-9]*\).*/\1/p') || have=
    [ -n "$have" ] || have=$(ldd --version 2>/dev/null | sed -n '1s/.*[^0-9.]\([0-9][0-9]*\.[0-9][0-9]*\).*/\1/p') || have=
    [ -n "$have" ] || fail "the program needs glibc $GLIBC, and none is found here (a musl system such as Alpine?). Use a mainstay that was built for this system"
    at_least "$have" "$GLIBC" || fail "this system is too old for the program: it has glibc $have and the program needs $GLIBC. Use a newer release of the system, or a mainstay that was built on this one"
}

check_token() {
    [ -n "$1" ] || fail "give the join token on standard input: echo TOKEN | sudo sh join.sh"
    case "$1" in
        ms1.*) ;;
        *) fail "\"$1\" is no join token; it begins with ms1. Make one under Admin, Agents" ;;
    esac
}

checksum() {
    if has sha256sum; then
        sha256sum "$1" | cut -d ' ' -f 1
    elif has openssl; then
        openssl dgst -sha256 -r "$1" | cut -d ' ' -f 1
    else
        fail "neither sha256sum nor openssl is here, so the program cannot be verified; install coreutils"
    fi
}

# The program's checksum as the token has it: what was fetched does not vouch for itself. Empty for a token without one.
pinned() { # TOKEN
    body=${1#ms1.}
    case $((${#body} % 4)) in
        2) body="$body==" ;;
        3) body="$body=" ;;
    esac
    if has base64; then
        decode="base64 -d"
    elif has openssl; then
        decode="openssl base64 -d -A"
    else
        fail "neither base64 nor openssl is here, so the token cannot be read; install coreutils"
    fi
    printf '%s' "$body" | tr '_-' '/+' | $decode 2>/dev/null | sed -n 's/.*"p":"\([0-9a-f]\{64\}\)".*/\1/p'
}

check_pin() { # TOKEN
    pin=$(pinned "$1") || exit 1
    [ -z "$pin" ] || [ "$pin" = "$SHA256" ] || fail "the token is for another version of the program than this script: $pin instead of $SHA256. Nothing was installed. If the server was upgraded since the token was made, make a new one; else something between here and the server changes what it sends"
}

# The unit comes with the script, which the server's command has checked.
unit() {
    cat <<'END_OF_UNIT'
@UNIT@
END_OF_UNIT
}

# An agent that runs goes on with the old file until it is started anew.
install_program() {
    if [ -x "$PROGRAM" ] && [ "$(checksum "$PROGRAM")" = "$SHA256" ]; then
        say "$PROGRAM is up to date"
        return 0
    fi
    mkdir -p "$(dirname "$PROGRAM")" || fail "$(dirname "$PROGRAM") cannot be written to"
    part="$PROGRAM.part.$$"
    trap 'rm -f "$part"' EXIT
    say "fetching $URL/dist/mainstay"
    fetch "$URL/dist/mainstay" "$part" || fail "the program could not be fetched from $URL/dist/mainstay; is the server reachable, and is there room in $(dirname "$PROGRAM")?"
    found=$(checksum "$part")
    [ "$found" = "$SHA256" ] || fail "the program does not have the right checksum: $found instead of $SHA256. Nothing was installed. If the server was upgraded a moment ago, fetch this script again; else something between here and the server changes what it sends"
    chmod 755 "$part"
    trouble=$("$part" --version 2>&1) || fail "the program does not run on this system: $trouble"
    mv -f "$part" "$PROGRAM"
}

# The process of an agent that was started by this script; a process id that was given to something else since does not count.
running() {
    pid=$(cat "$PIDFILE" 2>/dev/null) || return 1
    [ -n "$pid" ] && tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q 'mainstay.* agent run'
}

stop_before() {
    if [ -d "$SYSTEMD" ]; then
        systemctl stop mainstay-agent.service 2>/dev/null || true
    elif running; then
        kill "$pid" 2>/dev/null || true
        # It writes down what it has not sent.
        tries=0
        while running && [ "$tries" -lt 30 ]; do
            sleep 1
            tries=$((tries + 1))
        done
        if running; then kill -9 "$pid" 2>/dev/null || true; fi
        rm -f "$PIDFILE"
    fi
}

start_agent() {
    if [ -d "$SYSTEMD" ]; then
        unit >"$UNIT" || fail "$UNIT cannot be written to"
        systemctl daemon-reload
        systemctl enable --quiet mainstay-agent.service
        systemctl restart mainstay-agent.service
        sleep 1
        systemctl is-active --quiet mainstay-agent.service || fail "the agent does not run; see: journalctl -u mainstay-agent"
        say "the agent runs as mainstay-agent.service; see: systemctl status mainstay-agent"
    else
        mkdir -p "$(dirname "$PIDFILE")" "$(dirname "$LOG")"
        nohup "$PROGRAM" agent run --state "$STATE" >>"$LOG" 2>&1 </dev/null &
        echo $! >"$PIDFILE"
        sleep 1
        if ! running; then
            tail -n 5 "$LOG" >&2 || true
            rm -f "$PIDFILE"
            fail "the agent does not run; the end of $LOG is above"
        fi
        say "there is no systemd here: the agent runs with process id $pid, its log is $LOG."
        say "It does not start again by itself. Let your init system (or the container's entry point) run: $PROGRAM agent run --state $STATE"
    fi
}

join() {
    umask 077
    mkdir -p "$STATE" || fail "$STATE cannot be written to"
    # Not on the command line, where every user of this machine could read it.
    joined=0
    MAINSTAY_JOIN_TOKEN="$1" "$PROGRAM" agent join --state "$STATE" >/dev/null || joined=$?
    umask 022
    [ "$joined" -eq 0 ] && return 0
    if [ -s "$STATE/agent.json" ]; then
        say "this machine had joined before; its agent goes on as it was"
        start_agent
    fi
    fail "joining failed; the reason is above"
}

main() {
    check_system
    token=${MAINSTAY_JOIN_TOKEN:-}
    if [ -n "${1:-}" ]; then
        token=$1
        say "the token is on the command line, where every user of this machine can read it; give it on standard input" >&2
    elif [ -z "$token" ] && [ ! -t 0 ]; then
        read -r token || true
    fi
    check_token "$token"
    check_pin "$token"
    [ "$(id -u)" = 0 ] || fail "run this as root: put sudo before sh"
    install_program
    stop_before
    join "$token"
    start_agent
    say "this machine has joined $URL"
}

main "$@"
