#!/usr/bin/env bash
# Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#
# Instructions of a resumed connection in memory, counted by callgrind: what regressions are judged by. Prints each end of
# each kind, and where the goal for the server stands.
# Usage: instructions.sh REPRISE_BENCH
set -euo pipefail

bench=$1
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

per_connection() # benchmark
{
    local collected
    collected=$(valgrind --tool=callgrind --callgrind-out-file="$out/profile" \
        --toggle-collect=reprise_measured "$bench" --benchmark_filter="^$1\$|^$1/" --benchmark_repetitions=1 2>&1 |
        sed -n 's/.*Collected : \([0-9]*\).*/\1/p')
    echo $((collected / 100)) # the benchmark's iterations
}

status=0
printf '%-8s %-16s %10s %10s %10s %12s %13s\n' end kind raw asio reprise reprise/raw reprise/asio
for end in server client; do
    for kind in tls12-id tls12-ticket tls13-stateless tls13-stateful; do
        declare -A count=()
        for maker in raw asio reprise; do
            count[$maker]=$(per_connection "$end/$maker/$kind/resumed")
        done
        verdict=
        if [[ $end == server ]]; then
            verdict=$(awk -v a="${count[reprise]}" -v b="${count[raw]}" \
                'BEGIN { print a / b <= 1.10 ? "at most 1.10: met" : "at most 1.10: MISSED" }')
        fi
        awk -v end="$end" -v kind="$kind" -v raw="${count[raw]}" -v asio="${count[asio]}" -v ours="${count[reprise]}" \
            -v verdict="$verdict" 'BEGIN {
                printf "%-8s %-16s %10d %10d %10d %12.3f %13.3f  %s\n",
                    end, kind, raw, asio, ours, ours / raw, ours / asio, verdict }'
    done
done
