#!/bin/sh
# Makes this machine a part of the fleet of @URL@:
# fetches the agent, verifies it, joins with the token and keeps it running.
#
#   curl -fsSL @URL@/join.sh | sudo sh -s -- TOKEN
set -eu

URL='@URL@'
ARCH='@ARCH@'
SHA256='@SHA256@'
GLIBC='@GLIBC@'
PROGRAM=/usr/local/bin/mainstay
STATE=/var/lib/mainstay-agent
UNIT=/etc/systemd/system/mainstay-agent.service
PIDFILE=/run/mainstay-agent.pid
LOG=/var/log/mainstay-agent.log

say() { printf '%s\n' "mainstay: $*"; }
fail() { printf '%s\n' "mainstay: $*" >&2; exit 1; }

fetch() { # URL FILE
    if command -v curl >/dev/null 2>&1; then
        curl -fsSL --retry 3 -o "$2" "$1"
    elif command -v wget >/dev/null 2>&1; then
        wget -q -O "$2" "$1"
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

check_system() {
    [ "$(uname -s)" = Linux ] || fail "the agent runs on Linux; this is $(uname -s)"
    machine=$(uname -m)
    case "$machine" in
        amd64) machine=x86_64 ;;
        arm64) machine=aarch64 ;;
    esac
    [ "$machine" = "$ARCH" ] || fail "the server has a program for $ARCH; this machine is $machine. Install a mainstay that was built for $machine by hand, then run: mainstay agent join TOKEN"
    [ -z "$GLIBC" ] && return 0
    have=$(getconf GNU_LIBC_VERSION 2>/dev/null | sed -n 's/^glibc //p')
    [ -n "$have" ] || have=$(ldd --version 2>/dev/null | sed -n '1s/.* \([0-9][0-9]*\.[0-9][0-9]*\).*/\1/p')
    [ -n "$have" ] || fail "the program needs glibc $GLIBC, and none is found here (a musl system such as Alpine?). Use a mainstay that was built for this system"
    at_least "$have" "$GLIBC" || fail "the program needs glibc $GLIBC; this system has $have. Use a newer release of the system, or a mainstay that was built on it"
}

checksum() {
    if command -v sha256sum >/dev/null 2>&1; then
        sha256sum "$1" | cut -d ' ' -f 1
    elif command -v openssl >/dev/null 2>&1; then
        openssl dgst -sha256 -r "$1" | cut -d ' ' -f 1
    else
        fail "neither sha256sum nor openssl is here, so the program cannot be verified; install coreutils"
    fi
}

install_program() {
    if [ -x "$PROGRAM" ] && [ "$(checksum "$PROGRAM")" = "$SHA256" ]; then
        say "$PROGRAM is up to date"
        return 0
    fi
    mkdir -p "$(dirname "$PROGRAM")"
    part="$PROGRAM.part.$$"
    trap 'rm -f "$part"' EXIT
    say "fetching $URL/dist/mainstay"
    fetch "$URL/dist/mainstay" "$part" || fail "the program could not be fetched from $URL/dist/mainstay"
    found=$(checksum "$part")
    [ "$found" = "$SHA256" ] || fail "the program does not have the right checksum: $found instead of $SHA256. If the server was upgraded a moment ago, fetch this script again"
    chmod 755 "$part"
    mv -f "$part" "$PROGRAM"
}

stop_before() {
    if [ -d /run/systemd/system ]; then
        systemctl stop mainstay-agent.service 2>/dev/null || true
    elif [ -f "$PIDFILE" ]; then
        kill "$(cat "$PIDFILE")" 2>/dev/null || true
        rm -f "$PIDFILE"
    fi
}

start_agent() {
    if [ -d /run/systemd/system ]; then
        fetch "$URL/dist/mainstay-agent.service" "$UNIT" || fail "the unit file could not be fetched"
        systemctl daemon-reload
        systemctl enable --quiet mainstay-agent.service
        systemctl restart mainstay-agent.service
        say "the agent runs as mainstay-agent.service; see: systemctl status mainstay-agent"
    else
        nohup "$PROGRAM" agent run --state "$STATE" >>"$LOG" 2>&1 </dev/null &
        echo $! >"$PIDFILE"
        say "there is no systemd here: the agent runs with process id $(cat "$PIDFILE"), its log is $LOG."
        say "It does not start again at boot: let your init system run: $PROGRAM agent run --state $STATE"
    fi
}

main() {
    token=${1:-${MAINSTAY_JOIN_TOKEN:-}}
    [ -n "$token" ] || fail "give the join token: curl -fsSL $URL/join.sh | sudo sh -s -- TOKEN"
    case "$token" in
        ms1.*) ;;
        *) fail "\"$token\" is no join token; it begins with ms1. Make one under Admin, Agents" ;;
    esac
    [ "$(id -u)" = 0 ] || fail "run this as root: put sudo before sh"
    check_system
    stop_before
    install_program
    umask 077
    mkdir -p "$STATE"
    # Not on the command line, where every user of this machine could read it.
    MAINSTAY_JOIN_TOKEN="$token" "$PROGRAM" agent join --state "$STATE" || fail "joining failed; the reason is above"
    umask 022
    start_agent
    say "this machine has joined $URL"
}

main "$@"
