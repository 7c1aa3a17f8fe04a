#!/usr/bin/env bash
# Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#
# Checks comments: no line over 120 columns, no docstring that begins with "The same", "Both" or "It", and no reference to a
# document or a rule that is not in the repository.
# Usage: prose.sh SOURCE_ROOT
set -euo pipefail
shopt -s nullglob globstar
cd "$1"

errors=0

complain()
{
    echo "$1: $2"
    errors=$((errors + 1))
}

# Complains of each line of the files that matches a pattern, and another one if there is one.
refuse() # what, pattern, second pattern, files...
{
    local found where text
    while IFS= read -r found; do
        where=${found%%:*}
        text=${found#*:}
        complain "$where:${text%%:*}" "$1: ${text#*:}"
    done < <(grep -HnE "$2" "${@:4}" | grep -E "$3" || true)
}

check_documents() # files...
{
    local found file path
    while IFS=: read -r file found path; do
        [[ -e $path || -e ${file%/*}/$path || -e docs/$path ]] || complain "$file:$found" "there is no $path"
    done < <(grep -HnoE '(docs/)?[a-z-]+\.md\b' "$@" || true)
}

files=({include,src,examples,bench,test}/**/*.[hc]pp)
refuse 'a comment line over 120 columns' '^.{121,}' \
    ':[0-9]+:[[:space:]]*(//|/?\*| {4,}[A-Z@`|(])|:[0-9]+:.{0,118}[;,{)][[:space:]]+//' "${files[@]}"
refuse 'a docstring that does not name its subject' '(///|/\*\*)<? (The same|Both|It)\b' '' "${files[@]}"
refuse 'a rule that is not in the repository' '(//|\*).*\b([Dd]esign rule|[Rr]ule|style|house) [0-9]+' '' "${files[@]}"
check_documents "${files[@]}"

echo "${#files[@]} files, $errors errors"
((${#files[@]} > 0 && errors == 0))
