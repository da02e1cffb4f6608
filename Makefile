# Thin: meson builds, this file remembers the words. `make help` lists them.
SANITIZE ?=
BUILD    ?= $(if $(SANITIZE),build-$(subst $(comma),-,$(SANITIZE)),build)
SECONDS  ?= 60
ROUNDS   ?= 30
DESTDIR  ?=
prefix   ?= /usr
PORT_OFFSET ?= 10000
LAB      ?= lab
export NETWORK STUDENTS STUDENTS_FILE LESSON
comma    := ,
MESON_ARGS = --prefix=$(prefix) $(if $(SANITIZE),-Db_sanitize=$(SANITIZE) -Db_lundef=false -Dbuildtype=debug)

.PHONY: all help deps build run test check unit e2e scan tsan valgrind bench fuzz crash model powercut fmt rfc install deb test-deb test-fresh clean
.DEFAULT_GOAL := build

help:
	@echo "make run             set up and run a lab server on loopback (Ctrl-C stops; PORT_OFFSET=20000 where a port is taken)"
	@echo "  NETWORK=192.168.1.0/24 STUDENTS=20     ... for a class there, user1 to user20; STUDENTS_FILE=class.csv: those of a table;"
	@echo "  LESSON=1                               ... INSECURE, without TLS, to see passwords pass; LAB=folder: where the lab is"
	@echo "make test            everything CI runs; what fails is run once more, alone"
	@echo "make unit            unit, session and fuzz-seed tests with ASan and UBSan only"
	@echo "make e2e             the real server with real clients only"
	@echo "make scan            testssl.sh and sslscan, thoroughly, on every port with TLS"
	@echo "make check           format-free house rules: layers, headers, RFC citations, documents"
	@echo "make bench           paired figures against Postfix + Dovecot (BENCH='--quick')"
	@echo "make fuzz SECONDS=n  every fuzz target for n seconds"
	@echo "make crash ROUNDS=n  kill -9 under load, n rounds"
	@echo "make model ROUNDS=n  twelve sessions against an oracle, with kill -9 in between (SEED=s repeats the choices)"
	@echo "make powercut ROUNDS=n  the power fails under load: with the faulty engine, and (root only) with a disk that forgets"
	@echo "make tsan, valgrind  the unit tests under ThreadSanitizer, under valgrind"
	@echo "make fmt             clang-format the sources"
	@echo "make SANITIZE=address,undefined   a build with sanitizers"
	@echo "make install DESTDIR=/somewhere"
	@echo "make deb             a Debian package in build-deb/ (lintian looks at it when it is there)"
	@echo "make test-fresh      make run and make test in a minimal Debian, as root and as a user (root; TEST= for make run only)"
	@echo "make test-deb        that package in a Debian of its own under systemd (root; FORMER=older.deb to upgrade from)"

deps:
	@scripts/deps build run

$(BUILD)/build.ninja:
	@scripts/deps build
	meson setup $(BUILD) $(MESON_ARGS)

build: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

run: deps $(BUILD)/build.ninja
	@ninja -C $(BUILD) src/valise
	@scripts/run-lab $(BUILD)/src/valise $(LAB) $(PORT_OFFSET)

test:
	@scripts/test

unit:
	@scripts/test unit

e2e: build
	@scripts/test e2e

scan: build
	@scripts/deps test
	@VALISE=$(BUILD)/src/valise VALISE_SCAN_ALL=1 /usr/bin/python3 -m pytest -v tests/e2e/test_tls_scans.py

check:
	@scripts/test check

tsan:
	@scripts/test tsan

valgrind:
	@scripts/test valgrind

bench: build
	@scripts/deps bench
	@scripts/bench $(BENCH)

fuzz:
	@scripts/fuzz $(SECONDS)

crash: build
	@scripts/deps test
	@scripts/crash $(ROUNDS)

powercut: build
	@scripts/deps test
	@POWERCUT_ROUNDS=$(ROUNDS) scripts/test powercut

model: build
	@scripts/deps test
	@tests/model/run.py $(ROUNDS) $(if $(SEED),--seed $(SEED))

fmt:
	@clang-format -i $$(git ls-files 'src/*.[ch]' 'tests/*.[ch]' 'fuzz/*.c' 'bench/*.[ch]')

rfc:
	@scripts/check-rfc --coverage

install: build
	DESTDIR=$(DESTDIR) meson install -C $(BUILD) --no-rebuild

deb:
	@scripts/deb

test-deb:
	@scripts/test-deb $(FORMER)

test-fresh:
	@scripts/test-fresh

clean:
	rm -rf build build-*
