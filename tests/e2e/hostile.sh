#!/bin/sh
# SPDX-License-Identifier: MIT
# Models that are made to break the compiler: each is compiled, or is an error with its place, in
# 10 seconds of processor time and less than 2 GiB.
. "$2/tests/e2e/lib.sh"

# many COUNT TEXT: the text so often, @ being 1, 2 ..
many() { awk -v n="$1" -v text="$2" 'BEGIN {
    parts = split(text, part, /[@%]/)
    for (k = 1; k <= parts; k++) { at += length(part[k]) + 1; mark[k] = substr(text, at, 1) }
    for (i = 1; i <= n; i++)
        for (k = 1; k <= parts; k++)
            printf "%s%s", part[k], mark[k] == "@" ? i : mark[k] == "%" ? i - 1 : "" }'; }
wrap() { printf 'nnd 1\n%s\n' "$1"; cat; printf '\n%s\n' "$2"; }
model() { # COUNT STATEMENTS LAST: a model of many statements and its last ones
    many "$1" "$2" | wrap 'model m {
  input x: f32[N, 4]
  a0 = x' "$3
}"; }
body() { wrap 'model m {
  input x: f32[N, 4]' '}'; }
nested() { # COUNT OPEN MIDDLE CLOSE: a function that holds it
    { many "$1" "$2"; printf %s "$3"; many "$1" "$4"; } | wrap 'fn f(x) {' '}
model m {
  input x: f32[N, 4]
  output x
}'; }

sanitized() { case $(nm "$nnc" 2>/dev/null) in *__asan_init*) return 0 ;; *) return 1 ;; esac; }
memory=2097152
sanitized && memory=unlimited # its shadow memory is of terabytes

# OpenBLAS takes memory for each of its threads.
bounded() { (
    ulimit -t 10
    ulimit -v $memory
    OPENBLAS_NUM_THREADS=1 "$nnc" check "$@"
); }
works() { ok "$1" bounded "$2"; }
refused() { ok "$1" fails 1 "$2:[0-9]+:[0-9]+: error: .*$3" bounded "$2"; }

# --- Depth
nested 100000 '(' x ')' >a.nnd
refused "100,000 brackets" a.nnd 'more than 256 levels'
nested 100000 '- ' x '' >a.nnd
refused "100,000 signs" a.nnd 'more than 256 levels'
nested 100000 'not ' x '' >a.nnd
refused "100,000 negations" a.nnd 'more than 256 levels'
nested 50000 'if x then ' x ' else x' >a.nnd
refused "50,000 choices" a.nnd 'more than 256 levels'
nested 100000 'x ^ ' x '' >a.nnd
refused "100,000 powers" a.nnd 'more than 256 levels'
nested 100000 'x + ' x '' >a.nnd
refused "100,000 terms" a.nnd 'more than 1000 levels'
nested 100000 '' x '[0]' >a.nnd
refused "100,000 subscripts" a.nnd 'more than 1000 levels'
nested 100000 '[' x ']' >a.nnd
refused "100,000 lists" a.nnd 'more than 256 levels'
nested 100000 'sum[i] ' x '' >a.nnd
refused "100,000 sums" a.nnd 'more than 256 levels'
nested 100000 'f(' x ')' >a.nnd
refused "100,000 calls" a.nnd 'more than 256 levels'
nested 100000 '' x ' |> relu' >a.nnd
refused "100,000 pipes" a.nnd 'more than 1000 levels'
{ many 100000 'each x {
'; many 100000 '}
'; } | body >a.nnd
ok "100,000 blocks" fails 1 'a.nnd:[0-9]+:[0-9]+: error' bounded a.nnd
printf 'nnd 1\nlayer a(x: f32[N, I]) -> f32[N, I] {\n  b(x)\n}\nlayer b(x: f32[N, I]) -> f32[N, I] {\n  a(x)\n}\n' >a.nnd
printf 'model m {\n  input x: f32[N, 2]\n  y = x |> a\n  output y\n}\n' >>a.nnd
refused "layers that call each other" a.nnd 'nested more than 64 deep'

# --- What doubles
doubled() { # LAST: functions that call the one before twice
    many 40 'fn f@(x) {
  f%(x + 1) + f%(x)
}
' | wrap 'fn f0(x) {
  x * x
}' "model m {
  input x: f32[N, 4]
  $1
}"; }
doubled 'y = f40(x)
  output y' >a.nnd
refused "functions that call twice the one before, 40 deep" a.nnd 'more than [0-9]+ (calls|operations)'
doubled 'y = x |> linear(f40(1))
  output y' >a.nnd
refused "the same to count with" a.nnd 'more than [0-9]+ (calls|operations)|does not fit'
many 40 'layer l@(x: f32[N, I]) -> f32[N, I] {
  x |> l% |> l%
}
' | wrap 'layer l0(x: f32[N, I]) -> f32[N, I] {
  relu(x)
}' 'model m {
  input x: f32[N, 4]
  y = x |> l40
  output y
}' >a.nnd
refused "layers that use twice the one before, 40 deep" a.nnd 'more than [0-9]+ (calls|operations)'
model 3000 '  a@ = a% * a% + a%
' '  output a3000' >a.nnd
works "a value that is used twice by the next one, 3000 times" a.nnd
{ printf 'nnd 1\nfn s(step) {\n  b0 = step > 3\n'
  many 60 '  b@ = (b% or step > @) and (b% or step > 2 * @)
'
  printf '  if b60 then 0.1 else 0.2\n}\ndata d {\n  source = blobs(classes = 2)\n}\n'
  printf 'model m {\n  input point: f32[N, 2]\n  target y: index(2)[N]\n  p = point |> linear(2)\n  output p\n'
  printf '  loss cross_entropy(p, y)\n}\ntrain m on d {\n  minimize loss over "*" with sgd(lr = s(step))\n}\n'; } >a.nnd
works "a condition that is used twice by the next one, 60 times" a.nnd

# --- Length
{ many 131072 '# ...........................................................................
'; printf 'y = x |> linear(2)\n  output y'; } | body >a.nnd
works "10 MB of comments" a.nnd
many 120000 'fn f@(x: f32[N, 4]) -> f32[N, 4] {
  x * @ + sum[j] x[.., j]
}
' | wrap '' 'model m {
  input x: f32[N, 4]
  y = x |> linear(2)
  output y
}' >a.nnd
works "7 MB of functions" a.nnd
{ printf 'y = x'; many 2500000 ' + x'; printf '\n  output y'; } | body >a.nnd
refused "an expression of 10 MB" a.nnd 'more than 1000 levels'
model 10000 '  a@ = a% |> linear(4)
' '  output a10000' >a.nnd
refused "10,000 layers" a.nnd 'more than [0-9]+ operations'
model 1000 '  a@ = a% |> linear(4)
' '  output a1000' >a.nnd
works "1000 layers" a.nnd
model 20000 '  param p@: [4] ~ uniform(-1, 1)
' '  output a0' >a.nnd
refused "20,000 parameters" a.nnd 'more than [0-9]+ operations'
model 3000 '  input x@: f32[N, 4]
' '  output a0' >a.nnd
works "3000 inputs" a.nnd

# --- Sizes
size() { # NAME EXPECTED STATEMENTS..: a model of these
    name=$1 expected=$2
    shift 2
    printf '  %s\n' "$@" | wrap 'model m {' '}' >a.nnd
    refused "$name" a.nnd "$expected"
}
size "a billion by a billion" 'too many elements' 'input x: f32[N, 1000000000]' 'y = x |> linear(1000000000)' 'output y'
size "extents whose product overflows" 'too many elements' 'input x: f32[N, 4294967296, 4294967296]' 'output x'
size "five extents whose product overflows" 'too many elements' 'input x: f32[N, 100000, 100000, 100000, 100000]' 'output x'
size "a billion elements for each example" '2147483647 is the most' 'input x: f32[N, 1000000000]' 'y[n] = sum[i] x[n, i]' 'output y'
size "nine axes" 'at most 8 axes' 'input x: f32[N, 1, 1, 1, 1, 1, 1, 1, 1]' 'output x'
size "N to the fourth power" 'too many elements' 'input x: f32[N, 4]' 'y[n, m] = x[n, 0] * x[m, 0]' \
    'z[n, m, k] = y[n, m] * x[k, 0]' 'w[n, m, k, l] = z[n, m, k] * x[l, 0]' 'output w'
size "ranges of billions" 'too many elements' 'input x: f32[N, 4]' 'y[n] = sum[i: 1000000000, j: 1000000000] x[n, 0] * (i + j)' 'output y'
size "ranges beyond 64 bits" 'too many elements' 'input x: f32[N, 4]' \
    'y[n] = sum[i: 9007199254740992, j: 9007199254740992, k: 9007199254740992] x[n, 0]' 'output y'
size "units beyond 2^53" 'too many elements' 'input x: f32[N, 4]' 'y = x |> linear(9007199254740992)' 'output y'
size "2^31 - 1 units, twice" 'too many elements' 'input x: f32[N, 4]' 'y = x |> linear(2147483647) |> linear(2147483647)' 'output y'
size "a subscript far outside" 'runs from' 'input x: f32[N, 4]' 'y[n, i: 2147483647] = x[n, i - 2147483648]' 'output y'
size "a coefficient beyond 32 bits" 'too general' 'input x: f32[N, 4]' 'y[n, i: 4] = x[n, i * 2147483648]' 'output y'
size "an integer beyond 64 bits" 'does not fit' 'input x: f32[N, 4]' 'k = 9007199254740992 * 1024' 'y = x * k' 'output y'
for value in 2147483647 9007199254740992 0 -1 -2147483648; do
    for key in kernel padding stride dilation; do
        case $key in kernel) rest= ;; *) rest='kernel = 3, ' ;; esac
        printf '  input x: f32[N, 1, 4, 4]\n  y = x |> conv2d(2, %s%s = %s)\n  output y\n' "$rest" "$key" "$value" |
            wrap 'model m {' '}' >a.nnd
        case $key$value in
        padding0) works "conv2d: $key = $value" a.nnd ;;
        *) refused "conv2d: $key = $value" a.nnd '.' ;;
        esac
    done
done
training() { # KEY VALUE: refused with the place
    printf 'nnd 1\ndata d {\n  source = blobs(classes = 2)\n}\nmodel m {\n  input point: f32[N, 2]\n  target y: index(2)[N]\n  p = point |> linear(2)\n  output p\n  loss cross_entropy(p, y)\n}\ntrain m on d {\n  %s = %s\n  minimize loss over "*" with sgd(lr = 0.1)\n}\n' "$1" "$2" >a.nnd
    refused "$1 = $2" a.nnd "$1|integer|memory|unit"
}
for value in 2147483648 9007199254740992 1e300 -1; do
    training batch "$value"
    training epochs "$value"
done
training seed 9223372036854775807
training budget '99999999999 TB'
plan
