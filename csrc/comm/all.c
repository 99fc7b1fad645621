/* Calls that involve all ranks: barrier, broadcast, gather. */
#include <stdlib.h>
#include <string.h>

#include "comm/comm.h"

/* Calls of MPI that don't wait are used, since comm_wait notices ranks that left. */

bool comm_barrier(void) {
  MPI_Request request;
  comm_call();
  return comm_fine(MPI_Ibarrier(comm_world(), &request), "MPI_Ibarrier")
         && comm_wait(1, &request, "MPI_Ibarrier");
}

#define MOST ((df_int)1 << 30) /* bytes of a call, whose counts are ints */

bool comm_broadcast(void *data, df_int bytes, int from) {
  for (df_int at = 0; at < bytes; at += MOST) {
    MPI_Request request;
    const int n = (int)df_min(MOST, bytes - at);
    comm_call();
    int code = MPI_Ibcast((char *)data + at, n, MPI_BYTE, from, comm_world(), &request);
    if (!comm_fine(code, "MPI_Ibcast") || !comm_wait(1, &request, "MPI_Ibcast"))
      return false;
  }
  return true;
}

bool comm_gather_counts(df_int own, df_int *all) {
  static int64_t mine;
  int64_t *list = malloc((size_t)comm_size() * sizeof *list);
  MPI_Request request;
  if (!list) return comm_no_memory();
  mine = own;
  comm_call();
  int code =
      MPI_Iallgather(&mine, 1, MPI_INT64_T, list, 1, MPI_INT64_T, comm_world(), &request);
  bool fine =
      comm_fine(code, "MPI_Iallgather") && comm_wait(1, &request, "MPI_Iallgather");
  for (int r = 0; r < comm_size() && fine; r++) all[r] = (df_int)list[r];
  if (fine) free(list); /* else MPI may still write to it */
  return fine;
}

/* Each rank in turn broadcasts its part: sizes may exceed an int. */
bool comm_gather(const void *part, const df_int *bytes, void *all) {
  char *at = all;
  for (int r = 0; r < comm_size(); r++) {
    if (r == comm_rank() && bytes[r] > 0 && at != part)
      memcpy(at, part, (size_t)bytes[r]);
    if (!comm_broadcast(at, bytes[r], r)) return false;
    at += bytes[r];
  }
  return true;
}
