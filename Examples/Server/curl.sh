#!/bin/sh
# Asks a running server for an answer, whole and streamed: curl.sh [ADDRESS [MODEL]]
set -eu
address=${1:-http://127.0.0.1:8080}
model=${2:-kind}

curl --fail-with-body --silent --show-error "$address/v1/chat/completions" --header 'Content-Type: application/json' --data '{
  "model": "'"$model"'", "messages": [{"role": "user", "content": "My neighbour is rude."}],
  "max_tokens": 24, "seed": 1, "transferq": {"alpha": 0.5, "k": 6}
}'
echo

curl --fail-with-body --silent --show-error --no-buffer "$address/v1/chat/completions" --header 'Content-Type: application/json' --data '{
  "model": "'"$model"'", "messages": [{"role": "user", "content": "My neighbour is rude."}],
  "max_tokens": 24, "seed": 1, "stream": true
}'
