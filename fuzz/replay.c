/* replay: runs a fuzz target over the files of a folder without a fuzzer, so that every finding and seed is a test of the everyday build. Each
 * input is an exact-size heap copy. Speaks TAP. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return -1;
    (void)fseek(f, 0, SEEK_END);
    long n = ftell(f);
    rewind(f);
    uint8_t *data = malloc(n > 0 ? (size_t)n : 1);
    size_t got = data && n > 0 ? fread(data, 1, (size_t)n, f) : 0;
    (void)fclose(f);
    if (data && n >= 0 && got == (size_t)n)
        (void)LLVMFuzzerTestOneInput(data, got);
    free(data);
    return 0;
}

int main(int argc, char **argv)
{
    DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
    const struct dirent *entry;
    int n = 0;
    if (!dir) {
        (void)printf("1..1\nnot ok 1 - no corpus folder\n");
        return 1;
    }
    while ((entry = readdir(dir))) {
        char path[4096];
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
        if (run_file(path) != 0) {
            (void)printf("not ok - cannot read %s\n", path);
            return 1;
        }
        n++;
    }
    (void)closedir(dir);
    (void)printf("1..1\n%s 1 - %d seeds\n", n ? "ok" : "not ok", n);
    return n ? 0 : 1;
}
