#!/bin/sh
# Copies the documents of tests/corpus to the seeds of every fuzz target.
set -eu
cd "$(dirname "$0")"
for target in read_call read_response read_write_read; do
    mkdir -p "corpus/$target"
    cp ../tests/corpus/*/* "corpus/$target/"
done
mkdir -p corpus/framing
cp ../tests/corpus/http/* corpus/framing/
