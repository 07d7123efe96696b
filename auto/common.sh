# shellcheck shell=bash disable=SC2034
# Sourced by the scripts beside it: paths, and how they speak.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build
cache=${NGX_GATEWAY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ngx_gateway}
name=$(basename "$0")

# The nginx of "make test-asan", and the Debian suite that has its source.

asan_nginx=1.26.3
asan_suite=trixie

# /usr/sbin is not in the PATH of Debian's ordinary users.

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

case $root in
    *[[:space:]]*)
        echo "$name: nginx's build does not work in a folder whose path has" \
             "spaces: \"$root\"" >&2
        exit 1
    ;;
esac


say()
{
    echo "$name: $*"
}


fail()
{
    echo "$name: $*" >&2
    exit 1
}


# logged LOG COMMAND...: the command's output goes to build/log/LOG, and its
# end to the terminal if the command fails

logged()
{
    local log=$build/log/$1

    shift
    mkdir -p "$build/log"

    if "$@" > "$log" 2>&1 < /dev/null; then
        return 0
    fi

    tail -n 30 "$log" >&2
    echo "$name: failed: $* (all of its output: $log)" >&2
    return 1
}


# A downloaded source package, or its authors' archive alone, into a new folder

unpack_source()
{
    local file

    file=$(find "$1" -name '*.dsc' 2> /dev/null | sort -V | tail -n 1)

    if [ "$file" ]; then
        dpkg-source --no-copy -x "$file" "$2"
        return
    fi

    file=$(find "$1" -name '*.orig.tar.*' ! -name '*.asc' 2> /dev/null \
           | sort -V | tail -n 1)

    mkdir -p "$2"
    tar -xf "$file" -C "$2" --strip-components=1
}


# The version that a source tree's headers have

tree_version()
{
    sed -n 's/^#define NGINX_VERSION *"\(.*\)"/\1/p' \
        "$1/src/core/nginx.h" 2> /dev/null
}


jobs()
{
    nproc 2> /dev/null || echo 2
}
