#include "forward.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

void mpx_forward_begin(mpx_forward_t *self, uint64_t chunk, uint64_t index, uint64_t bytes)
{
    fflush(stdout);
    mpx_words_settle(self->words, self->pipe); /* of earlier calls */
    self->saved = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (self->saved >= 0)
        dup2(self->pipe, STDOUT_FILENO);
    mpx_words_forward(self->words, chunk, index, bytes);
}

uint64_t mpx_forward_end(mpx_forward_t *self)
{
    fflush(stdout);
    fflush(stderr);
    if (self->saved >= 0) {
        dup2(self->saved, STDOUT_FILENO);
        close(self->saved);
    }
    self->saved = -1;
    mpx_words_settle(self->words, self->pipe);
    mpx_words_forward(self->words, 0, 0, 0);
    return mpx_words_unsaid(self->words);
}
