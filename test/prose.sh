#!/usr/bin/env bash
# Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#
# Checks comments: no line over 120 columns, no docstring that begins with "The same", "Both" or "It", and no reference to a
# document or a rule that is not in the repository.
# Usage: prose.sh SOURCE_ROOT
set -euo pipefail
shopt -s nullglob globstar
cd "$1"

files=0
errors=0

complain()
{
    echo "$1: $2"
    errors=$((errors + 1))
}

check_file()
{
    local file=$1 line text path
    while IFS=: read -r line text; do
        complain "$file:$line" 'a comment line over 120 columns'
    done < <(grep -nE '^.{121,}' "$file" | grep -E '^[0-9]+:[[:space:]]*(//|/?\*| {4,}[A-Z@`|(])|^[0-9]+:.{0,118}[;,{)][[:space:]]+//' || true)
    while IFS=: read -r line text; do
        complain "$file:$line" "a docstring that does not name its subject: $text"
    done < <(grep -nE '(///|/\*\*)<? (The same|Both|It)\b' "$file" || true)
    while IFS=: read -r line text; do
        complain "$file:$line" "a rule that is not in the repository: $text"
    done < <(grep -nE '(//|\*).*\b([Dd]esign rule|[Rr]ule|style|house) [0-9]+' "$file" || true)
    while IFS=: read -r line path; do
        [[ -e $path || -e ${file%/*}/$path || -e docs/$path ]] || complain "$file:$line" "there is no $path"
    done < <(grep -noE '(docs/)?[a-z-]+\.md\b' "$file" || true)
}

for file in {include,src,examples,bench,test}/**/*.[hc]pp; do
    files=$((files + 1))
    check_file "$file"
done

echo "$files files, $errors errors"
((files > 0 && errors == 0))
