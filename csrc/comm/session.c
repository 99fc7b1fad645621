/* Joining and leaving. */
#define _DEFAULT_SOURCE /* on_exit */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "comm/comm.h"

static MPI_Comm world = MPI_COMM_NULL;
static int rank, size = 1;
static char host[MPI_MAX_PROCESSOR_NAME + 1] = "?";
static char sentence[MPI_MAX_ERROR_STRING + 128];

int comm_rank(void) { return rank; }
int comm_size(void) { return size; }
MPI_Comm comm_world(void) { return world; }
const char *comm_host(void) { return host; }
const char *comm_fault(void) { return sentence; }

/* ==== failures ====================================================================== */

bool comm_fine(int code, const char *call) {
  if (code == MPI_SUCCESS) return true;
  char text[MPI_MAX_ERROR_STRING + 1] = "unknown error";
  int length = 0;
  MPI_Error_string(code, text, &length);
  for (char *c = text; *c; c++)
    if (*c == '\n') *c = ' ';
  snprintf(sentence, sizeof sentence, "%s failed on rank %d (host %s): %s", call, rank,
           host, text);
  return false;
}

bool comm_no_memory(void) {
  snprintf(sentence, sizeof sentence, "not enough memory on rank %d (host %s)", rank,
           host);
  return false;
}

bool comm_too_long(df_int elements) {
  snprintf(sentence, sizeof sentence,
           "an array of %td elements is longer than MPI counts", elements);
  return false;
}

bool comm_gone(int other) {
  snprintf(sentence, sizeof sentence,
           "rank %d has ended, but rank %d (host %s) waits for it; all ranks must take "
           "the same steps and make the same calls",
           other, rank, host);
  return false;
}

static void say(const char *text) {
  ssize_t ignored = write(STDERR_FILENO, text, strlen(text));
  (void)ignored;
}

void comm_end_all(const char *text, int status) {
  char line[8192];
  int code = status ? status : EXIT_FAILURE;
  snprintf(line, sizeof line, "rank %d of %d (host %s): %s\n", rank, size, host, text);
  say(line);
  MPI_Abort(MPI_COMM_WORLD, code);
}

/* ==== joining and leaving =========================================================== */

static bool is_running(void) {
  int begun = 0, ended = 0;
  MPI_Initialized(&begun);
  MPI_Finalized(&ended);
  return begun && !ended;
}

static void leave(void) {
  if (!is_running()) return;
  comm_say_goodbye();
  MPI_Comm_free(&world);
  MPI_Finalize();
}

/* A rank that ends with an error ends all. Others may wait for it forever otherwise. */
static void at_exit(int status) {
  if (!is_running()) return;
  if (status != 0 && size > 1)
    comm_end_all("it failed, so all ranks end; its message is above", status);
  leave();
}

#ifdef __GLIBC__
static void on_exiting(int status, void *unused) {
  (void)unused;
  at_exit(status);
}
static void watch_exit(void) { on_exit(on_exiting, NULL); }
#else
/* The status is unknown here. mpirun ends all ranks if one ends without MPI_Finalize. */
static void on_exiting(void) { at_exit(0); }
static void watch_exit(void) { atexit(on_exiting); }
#endif

static bool open_world(void) {
  int length = 0;
  if (!comm_fine(MPI_Comm_dup(MPI_COMM_WORLD, &world), "MPI_Comm_dup")) return false;
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  MPI_Comm_set_errhandler(world, MPI_ERRORS_RETURN);
  MPI_Get_processor_name(host, &length);
  return comm_fine(MPI_Comm_rank(world, &rank), "MPI_Comm_rank")
         && comm_fine(MPI_Comm_size(world, &size), "MPI_Comm_size");
}

bool comm_join(void) {
  int provided, begun = 0;
  if (world != MPI_COMM_NULL) return true;
  MPI_Initialized(&begun);
  if (!begun
      && !comm_fine(MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided),
                    "MPI_Init_thread"))
    return false;
  if (!open_world()) return false;
  watch_exit();
  return true;
}

const char *comm_library(void) {
  static char text[MPI_MAX_LIBRARY_VERSION_STRING + 1];
  int length = 0;
  MPI_Get_library_version(text, &length);
  text[strcspn(text, ",\n")] = 0;
  return text;
}
