/* message: synthetic mail of an exact size, each with its own Message-ID. */
#include "message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char header[] = "From: \"Load Generator\" <load@example.org>\r\n"
                             "To: \"Mail Reader\" <reader@example.org>\r\n"
                             "Date: Mon, 06 Jan 2025 10:20:30 +0100\r\n"
                             "Subject: Projet 000000000000, compte rendu\r\n"
                             "Message-ID: <000000000000.%08x@load.example.org>\r\n"
                             "MIME-Version: 1.0\r\n"
                             "Content-Type: text/plain; charset=utf-8\r\n"
                             "\r\n";
static const char filler[] = "Les reseaux transportent des octets ; le courrier transporte des idees.\r\n";

void message_init(struct message *m, size_t size)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    m->run = (unsigned)now.tv_sec * 2654435761U ^ (unsigned)now.tv_nsec ^ (unsigned)getpid();
    size_t head = sizeof header + 8;
    m->text = malloc((size > head ? size : head) + sizeof filler);
    if (!m->text)
        abort();
    m->size = (size_t)snprintf(m->text, head, header, m->run);
    m->places[0] = strstr(m->text, "000000000000");
    m->places[1] = strstr(m->places[0] + 12, "000000000000");
    while (m->size < size) {
        memcpy(m->text + m->size, filler, sizeof filler - 1);
        m->size += sizeof filler - 1;
    }
    if (m->size > size && size > strlen(header) + 8) {
        m->size = size; /* cut within the last line; a cut before its CR would leave a bare LF or lose the line end */
        memcpy(m->text + size - 2, "\r\n", 2);
        if (m->text[size - 3] == '\r')
            m->text[size - 3] = '.';
    }
}

void message_number(struct message *m, unsigned long n)
{
    char digits[16];
    snprintf(digits, sizeof digits, "%012lu", n % 1000000000000UL);
    memcpy(m->places[0], digits, 12);
    memcpy(m->places[1], digits, 12);
}

void message_done(struct message *m)
{
    free(m->text);
    m->text = NULL;
}
