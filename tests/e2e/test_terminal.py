"""The process that reads a store which core wrote has no terminal: taken over, it could type commands into root's."""

import os
import pty
import subprocess

import pytest

import harness

HOOK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
/* As if RocksDB, at work for core's user, had been taken over. */
void *rocksdb_open_column_families(void *a, void *b, int c, void *d, void *e, void *f, void *g)
{
    FILE *out = fopen("/tmp/%s", "a");
    if (out) {
        int fd = open("/dev/tty", O_RDWR);
        fprintf(out, "uid %%d %%s\n", geteuid(), fd < 0 ? "no terminal" : "a terminal");
        fclose(out);
        if (fd >= 0)
            close(fd);
    }
    void *(*real)(void *, void *, int, void *, void *, void *, void *) = dlsym(RTLD_NEXT, "rocksdb_open_column_families");
    return real(a, b, c, d, e, f, g);
}
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's commands become somebody else")
def test_who_reads_the_store_has_no_terminal(lab, scratch):
    told = f"{lab.dir.parent.name}-terminal"
    (scratch / "hook.c").write_text(HOOK % told)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(scratch / "hook.so"), str(scratch / "hook.c"), "-ldl"], check=True)
    seen = harness.Path("/tmp") / told
    seen.touch(mode=0o666)
    os.chmod(seen, 0o666)
    try:
        for words in (["user", "list"], ["check"], ["export", "maildir", "--all", str(scratch / "out")]):
            pid, fd = pty.fork()
            if pid == 0:
                os.execve(lab.program, [lab.program, *words, "--dir", str(lab.dir)], dict(os.environ, LD_PRELOAD=str(scratch / "hook.so")))
            while True:
                try:
                    if not os.read(fd, 4096):
                        break
                except OSError:  # the terminal's other end is closed
                    break
            os.close(fd)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) in (0, 65), words
        lines = seen.read_text().splitlines()
        assert len(lines) >= 3 and all(line.endswith("no terminal") for line in lines), lines
    finally:
        seen.unlink()
