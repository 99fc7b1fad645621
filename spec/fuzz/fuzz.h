/* All harnesses use this. libFuzzer calls LLVMFuzzerTestOneInput with bytes that it has
** mutated, and a failed check ends the process with the input on disk. */
#ifndef fuzz_h
#define fuzz_h

#include "base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the process if a reader broke its promise. */
void fuzz_check(bool kept, const char *promise);

/* Checks that a call which failed left a sentence. */
void fuzz_failed(int code);

/* Checks that the core's memory since fuzz_begin never exceeded `most` bytes, and that
** all of it has been freed. */
void fuzz_begin(void);
void fuzz_end(size_t most);

/* Measures and reads a picture, if it has at most `most` pixels. */
void fuzz_picture(const uint8_t *data, size_t size, df_int most);

#endif
