/* progress: see progress.h. */
#include "cli/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

enum { WIDTH = 40, EVERY_MS = 100, MIB = 1 << 20 };

/* To the descriptor: stdio shows a carriage return as its byte (base/show.h). */
static void draw(struct progress *p)
{
    unsigned filled = p->total ? (unsigned)((p->done < p->total ? p->done : p->total) * WIDTH / p->total) : 0;
    char bar[WIDTH + 1] = { 0 };
    memset(bar, ' ', WIDTH);
    memset(bar, '#', filled);
    if (p->total && p->bytes)
        (void)dprintf(STDERR_FILENO, "\r[%s] %.1f of %.1f MiB ", bar, (double)p->done / MIB, (double)p->total / MIB);
    else if (p->total)
        (void)dprintf(STDERR_FILENO, "\r[%s] %llu of %llu ", bar, (unsigned long long)p->done, (unsigned long long)p->total);
    else
        (void)dprintf(STDERR_FILENO, "\r[%s] %llu ", bar, (unsigned long long)p->done);
}

void progress_begin(struct progress *p, uint64_t total, bool quiet)
{
    *p = (struct progress){ .shown = !quiet && isatty(STDERR_FILENO), .total = total };
}

void progress_step(struct progress *p, uint64_t n)
{
    int64_t now = clock_mono_ms();
    p->done += n;
    if (!p->shown || (now - p->drawn_ms < EVERY_MS && p->done != p->total))
        return;
    p->drawn_ms = now;
    draw(p);
}

void progress_wipe(struct progress *p)
{
    if (p->shown)
        (void)dprintf(STDERR_FILENO, "\r%*s\r", WIDTH + 50, "");
    p->drawn_ms = 0;
}

void progress_end(struct progress *p)
{
    progress_wipe(p);
    p->shown = false;
}
