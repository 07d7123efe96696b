
# "make help" says what there is.  The work is done by the scripts in auto/.

.PHONY: all deps demo demo-stop test test-hup test-asan test-valgrind \
        test-matrix bench fuzz lint install uninstall clean help

all:
	@auto/build

deps:
	@auto/deps $(or $(FOR),build test)

demo:
	@auto/deps build demo
	@auto/build
	@auto/demo start $(if $(DETACH),detach)

demo-stop:
	@auto/demo stop

test:
	@auto/deps build test
	@auto/build
	@auto/test modules

test-hup:
	@auto/deps build test
	@auto/build
	@auto/test hup

test-asan:
	@auto/deps build test asan
	@auto/build asan
	@auto/test asan

test-valgrind:
	@auto/deps build test valgrind
	@auto/build valgrind
	@auto/test valgrind

test-matrix:
	@NGINX_SRC='$(NGINX_SRC)' auto/deps build test
	@auto/test matrix $(NGINX_SRC)

bench:
	@auto/deps build bench
	@auto/build
	@t/bench/run all

fuzz:
	@auto/deps build fuzz
	@auto/build
	@t/fuzz/run $(or $(SECONDS),60)

lint:
	@auto/deps build lint
	@auto/build
	@auto/lint

install:
	@auto/install

uninstall:
	@auto/install uninstall

clean:
	@auto/clean

help:
	@sed -n 's/^#: \{0,1\}//p' Makefile

#: make              builds build/modules/*.so and build/modules.conf
#: make deps         installs and builds what is needed for that and the tests
#:                   (FOR="build" or others: see auto/deps)
#: make demo         runs conf.example/gateway.conf and shows its answers
#:                   (PORT=8080, DETACH=1 to return at once)
#: make demo-stop    stops the demo
#: make install      puts the modules where nginx looks for them (DESTDIR=)
#: make uninstall    removes them there
#: make clean        removes build/
#:
#: make test           runs all tests (TESTS="t/jwt/bearer.t ...")
#: make test-hup       runs the suites with a reload between any two blocks
#: make test-asan      runs the suites with sanitizers
#: make test-valgrind  runs the suites under valgrind
#: make test-matrix    runs the suites with other versions
#:                     (NGINX_SRC="dir dir")
#: make bench          measures CPU time per request
#: make fuzz           runs each fuzzer (SECONDS=60)
#: make lint           checks code and scripts
#:
#: NGINX_SRC=dir                  a source tree instead of the installed nginx
#: NGINX_GATEWAY_MODULES="jwt"    a selection of modules
#: NGX_GATEWAY_CACHE=dir          where downloads are kept
