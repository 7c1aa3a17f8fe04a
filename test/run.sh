#!/usr/bin/env bash
# Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#
# Checks what ./run does to a system: to policy-rc.d, to services, and what it says when packages cannot be installed. The
# system is a directory, and the package tools are functions here. Installs nothing.
# Usage: run.sh SOURCE_ROOT
set -euo pipefail
cd "$1"
# shellcheck source=../run
source ./run

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
checks=0
errors=0

check() # what, command...
{
    checks=$((checks + 1))
    if ! "${@:2}"; then
        echo "run.sh: $1"
        errors=$((errors + 1))
    fi
}

as_root() { "$@"; }

new_root()
{
    root=$(mktemp -d "$scratch/root.XXXXXX")
    mkdir -p "$root/usr/sbin" "$root/etc/systemd/system" "$root/lib/systemd/system" "$root/etc/init.d"
}

mine="$scratch/mine"
printf '#!/bin/sh\n# the user decides\nexit 0\n' >"$mine"
chmod 755 "$mine"
without_policy() { :; }
with_file() { cp -a "$mine" "$root$policy"; }
with_link() { ln -s /etc/alternatives/policy-rc.d "$root$policy"; }

# What `without_policy`, `with_file` or `with_link` made, and nothing else.
is_as_before() # the function
{
    case $1 in
        without_policy) ! exists "$root$policy" ;;
        with_file) cmp -s "$mine" "$root$policy" && [[ -x $root$policy ]] ;;
        with_link) [[ $(readlink "$root$policy") == /etc/alternatives/policy-rc.d ]] ;;
    esac && [[ -z $(find "$root/usr/sbin" -name 'policy-rc.d?*') ]]
}

forbids() { [[ -x $root$policy && ! -L $root$policy ]] && ! "$root$policy" && grep -qF "$policy_mark" "$root$policy"; }

for before in without_policy with_file with_link; do
    new_root
    $before
    (
        forbid_services
        check "$before: nothing forbids services" forbids
        allow_services
        exit "$errors"
    ) || errors=$((errors + 1))
    check "$before: a run leaves something else behind" is_as_before "$before"

    new_root
    $before
    (forbid_services && exit 3) && status=0 || status=$?
    check "$before: a run that fails has another status" test "$status" -eq 3
    check "$before: a run that fails leaves something else behind" is_as_before "$before"

    # A run that is killed before each of its steps, and the next one, which is killed there too; then one that is not.
    step=0
    while
        step=$((step + 1))
        new_root
        $before
        for _ in first second; do
            (
                steps=0
                as_root()
                {
                    steps=$((steps + 1))
                    ((steps != step)) || kill -KILL "$BASHPID"
                    "$@"
                }
                undo_killed_run
                forbid_services
                allow_services
            ) && status=0 || status=$?
        done
        (undo_killed_run)
        check "$before: killed at step $step, runs leave something else behind" is_as_before "$before"
        ((status != 0))
    do
        ((step < 50)) || break
    done
    check "$before: no run was killed" test "$step" -gt 3
done 2>/dev/null # the shell tells of each that was killed

# What the user has written while a run was dead is not overwritten.
new_root
with_file
{ (forbid_services && kill -KILL "$BASHPID") || true; } 2>/dev/null
check 'a run that was killed leaves its policy' forbids
printf '#!/bin/sh\nexit 0\n' >"$root$policy"
cp "$root$policy" "$scratch/theirs"
(undo_killed_run) 2>"$scratch/said" && status=0 || status=$?
check 'two policies of the user go unnoticed' test "$status" -ne 0
check 'the user is not told which files differ' grep -qF "$saved_policy" "$scratch/said"
check 'the policy in force was overwritten' cmp -s "$scratch/theirs" "$root$policy"
check 'the saved policy was overwritten' cmp -s "$mine" "$root$saved_policy"

# Another run waits, and touches nothing.
new_root
(
    forbid_services
    flock() { command flock -n "${@: -1}"; }
    (policy_lock= && forbid_services) 2>"$scratch/said" && exit 1
    forbids
) || check 'a second run went on beside the first' false
check 'a second run does not say why it stops' grep -q 'another ./run' "$scratch/said"

# Services, as Debian's packages install them: enabled, redis by an alias too.
add_service() # name, alias
{
    local unit=/lib/systemd/system/$1.service level
    printf '[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n%s\n' "${2:+Alias=$2.service}" >"$root$unit"
    printf '#!/bin/sh\n### BEGIN INIT INFO\n# Provides: %s\n# Default-Start: 2 3 4 5\n# Default-Stop: 0 1 6\n### END INIT INFO\n' \
        "$1" >"$root/etc/init.d/$1"
    chmod 755 "$root/etc/init.d/$1"
    for level in 0 1 2 3 4 5 6; do
        mkdir -p "$root/etc/rc$level.d"
        if [[ $level =~ [016] ]]; then
            ln -s "../init.d/$1" "$root/etc/rc$level.d/K01$1"
        else
            ln -s "../init.d/$1" "$root/etc/rc$level.d/S01$1"
        fi
    done
    if command -v deb-systemd-helper >/dev/null; then
        DPKG_ROOT=$root DPKG_MAINTSCRIPT_PACKAGE=$1 deb-systemd-helper enable "$1.service" >/dev/null
    else
        mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
        ln -s "$unit" "$root/etc/systemd/system/multi-user.target.wants/$1.service"
        [[ -z ${2:-} ]] || ln -s "$unit" "$root/etc/systemd/system/$2.service"
    fi
}

is_enabled() { [[ -n $(enabling_links "$1") ]]; }
is_disabled() { ! is_enabled "$1"; }

ways=()
! command -v deb-systemd-helper >/dev/null || ways+=(without_systemctl)
! command -v systemctl >/dev/null || ways+=(with_systemctl)
if ((${#ways[@]} == 0)); then
    echo 'run.sh: neither deb-systemd-helper nor systemctl is here, so nothing disables services'
    errors=$((errors + 1))
fi
mkdir "$scratch/bin" # without_systemctl: update-rc.d does not find it either
printf '#!/bin/sh\nexit 1\n' >"$scratch/bin/systemctl"
chmod 755 "$scratch/bin/systemctl"
path=$PATH
for way in ${ways[@]+"${ways[@]}"}; do
    has_systemctl() { [[ $way == with_systemctl ]]; }
    PATH=$path
    has_systemctl || PATH=$scratch/bin:$path
    new_root
    add_service redis-server redis
    add_service other ''
    check "$way: the test's service is not enabled" is_enabled redis-server
    check "$way: the test's alias is not there" test -L "$root/etc/systemd/system/redis.service"
    (disable_service redis-server) || check "$way: disabling fails" false
    check "$way: it is still enabled" is_disabled redis-server
    check "$way: its alias is still there" test ! -L "$root/etc/systemd/system/redis.service"
    check "$way: another service was disabled" is_enabled other
done
PATH=$path

new_root
add_service redis-server redis
(
    has_systemctl() { false; }
    env() { false; } # a tool that refuses
    disable_service redis-server
) 2>"$scratch/said" && status=0 || status=$?
check 'a service that stays enabled goes unnoticed' test "$status" -ne 0
check 'it is not said how to disable it' grep -qF "$root/etc/systemd/system/redis.service" "$scratch/said"

# Packages. apt-get does what `apt` says: update, -s (what would happen), download or install fail.
is_installed() { [[ " $installed " == *" $1 "* ]]; }
apt-cache() { echo '  Candidate: 1.0'; }
apt-get()
{
    local what=install
    [[ " $* " != *' update '* ]] || what=update
    [[ $1 != -s ]] || what=-s
    [[ " $* " != *' --download-only '* ]] || what=download
    echo "apt-get $*" >>"$scratch/apt"
    if [[ $apt == "$what" || $apt == update,-s && $what == @(update|-s) ]]; then
        echo "${apt_says:-E: it did not work}"
        return 1
    elif [[ $what == install ]]; then
        forbids || echo 'services are allowed' >>"$scratch/apt"
        add_service redis-server redis
    fi
}
env() { if [[ $1 == DEBIAN_FRONTEND=* ]]; then apt-get "${@:3}"; else command env "$@"; fi; }

try() # what apt-get fails at, what it says, packages...
{
    local apt=$1 apt_says=$2
    shift 2
    rm -f "$scratch/apt"
    (need "$@") >"$scratch/said" 2>&1 && status=0 || status=$?
}

said() { grep -qE -- "$1" "$scratch/said"; }

installed='' install=yes sudo_prefix=
has_systemctl() { false; }
PATH=$scratch/bin:$path

if [[ " ${ways[*]} " == *' without_systemctl '* ]]; then
    new_root
    add_service nginx ''
    with_file
    try nothing '' redis-server nginx
    check 'packages that can be installed are not' test "$status" -eq 0
    check 'services were not forbidden meanwhile' test -z "$(grep 'services are allowed' "$scratch/apt")"
    check 'a new service stays enabled' is_disabled redis-server
    check 'a service of the user was disabled' is_enabled nginx
    check 'installing leaves a policy behind' is_as_before with_file
fi

new_root
try update '' g++
check 'old package lists that do stop it' test "$status" -eq 0
try update,-s 'E: Unable to locate package g++' g++
check 'a mirror that is down is not named' said 'is the mirror up'
check 'a mirror that is down is blamed on Boost' test -z "$(grep Boost "$scratch/said")"
try -s 'E: Unable to locate package g++' g++
check 'an unknown package is not called unknown' said 'does not know these packages'
try -s 'E: Packages need to be removed but remove is disabled.' g++
check 'packages in conflict are not called so' said 'cannot be installed beside'
try download 'E: Failed to fetch' g++
check 'a download that fails is not blamed on the mirror' said 'is the mirror up'
check 'after it something was installed' test -z "$(grep -v -- '-s\|update\|--download-only' "$scratch/apt")"
try install 'E: Sub-process returned an error code' g++
check 'an installation that fails goes on' test "$status" -ne 0
check 'after it a policy is left' is_as_before without_policy

install=no installed='cmake'
try nothing '' 'g++' cmake 'nginx-light|nginx'
check 'missing packages go unnoticed' test "$status" -ne 0
check 'there is no line to paste' said '^apt-get install --no-install-recommends g\+\+ nginx-light$'
check '--no-install asks apt-get' test ! -e "$scratch/apt"
installed='g++ cmake nginx'
try nothing '' 'g++' cmake 'nginx-light|nginx'
check 'installed packages are missing' test "$status" -eq 0

# Boost's packages are of one version, that of the headers which are there.
installed="${build_any[*]}"
while IFS='|' read -r text there expected; do
    new_root
    printf "$text" >"$root/etc/os-release"
    installed="${build_any[*]} $there"
    (need_for) >"$scratch/said" 2>&1 && status=0 || status=$?
    check "'$text' with '$there': not all of '$expected' is there" test "$status" -eq "$([[ -z $expected ]]; echo $?)"
    [[ -z $expected ]] ||
        check "'$text' with '$there' installs something else" said "^apt-get install --no-install-recommends $expected\$"
done <<'END'
ID=debian\nVERSION_ID="12"\n||libboost1.81-dev
ID=debian\nVERSION_ID="12"\n|libboost1.81-dev|
ID=debian\nVERSION_ID="13"\n||libboost1.88-dev libboost-url1.88-dev
ID=debian\nVERSION_ID="13"\n|libboost1.88-dev|libboost-url1.88-dev
ID=debian\nVERSION_ID="13"\n|libboost1.83-dev|libboost-url1.83-dev
ID=debian\nVERSION_ID="13"\n|libboost1.83-dev libboost-url1.83-dev|
ID=ubuntu\nVERSION_ID="24.04"\n||libboost1.83-dev libboost-url1.83-dev
ID=debian\nVERSION_CODENAME=forky\n||libboost-dev libboost-url-dev
END

new_root
while IFS='|' read -r text expected; do
    printf "$text" >"$root/etc/os-release"
    check "os-release '$text' is $(release)" test "$(release)" = "$expected"
done <<'END'
ID=debian\nVERSION_ID="12"\n|12
ID=debian\nVERSION_ID="13"\n|13
ID=debian\nVERSION_CODENAME=forky\n|sid
ID=debian\nVERSION_ID="11"\n|other
ID=ubuntu\nVERSION_ID="24.04"\n|noble
ID=ubuntu\nVERSION_ID="22.04"\n|other
ID=fedora\nVERSION_ID="43"\n|other
END
rm "$root/etc/os-release"
check 'no os-release is a release' test "$(release)" = other

echo "$checks checks of ./run, $errors errors"
((checks > 0 && errors == 0))
