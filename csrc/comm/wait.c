/* Waiting for other ranks, and noticing those that left. A script may end on one rank
** while others still wait for it. A leaving rank tells those at distances 1, 2, 4 ... how
** many calls it has begun. One of them waits, directly or for one that does. */
#include "comm/comm.h"

#define LEVELS 31
#define ROUNDS 1024 /* between two looks, which cost as much as a test */

static int64_t calls;       /* that involve all ranks, begun by this one */
static bool gone[LEVELS];   /* the rank at distance 2^l has left */
static int64_t had[LEVELS]; /* calls that it had begun then */

void comm_call(void) { calls++; }

/* The rank at distance 2^l, or -1 if there is none. */
static int neighbour(int l) {
  const int other = comm_rank() ^ (1 << l);
  return other < comm_size() ? other : -1;
}

static int distances(void) {
  int l = 0;
  while (l < LEVELS && comm_size() >> l) l++;
  return l;
}

static bool hear(int l) {
  MPI_Status status; /* MPICH's constant for none makes gcc warn */
  gone[l] = true;
  return comm_fine(MPI_Recv(&had[l], 1, MPI_INT64_T, neighbour(l), COMM_GOODBYE,
                            comm_world(), &status),
                   "MPI_Recv");
}

static bool look_at(int l) {
  int there = 0;
  MPI_Status status;
  if (!gone[l]) {
    int code = MPI_Iprobe(neighbour(l), COMM_GOODBYE, comm_world(), &there, &status);
    if (!comm_fine(code, "MPI_Iprobe") || (there && !hear(l))) return false;
  }
  return !gone[l] || had[l] >= calls || comm_gone(neighbour(l));
}

bool comm_are_here(unsigned round) {
  if (round % ROUNDS != 0) return true;
  for (int l = 0; l < distances(); l++)
    if (neighbour(l) >= 0 && !look_at(l)) return false;
  return true;
}

bool comm_wait(int n, MPI_Request *request, const char *call) {
  MPI_Status status[2];
  int done = 0;
  for (unsigned round = 1; !done; round++) {
    if (!comm_fine(MPI_Testall(n, request, &done, status), call)) return false;
    if (!done && !comm_are_here(round)) return false;
  }
  return true;
}

void comm_say_goodbye(void) {
  static int64_t own; /* outlives a failure */
  MPI_Request request[LEVELS];
  MPI_Status status[LEVELS];
  int n = 0;
  own = calls;
  for (int l = 0; l < distances(); l++)
    if (neighbour(l) >= 0)
      MPI_Isend(&own, 1, MPI_INT64_T, neighbour(l), COMM_GOODBYE, comm_world(),
                &request[n++]);
  for (int l = 0; l < distances(); l++)
    if (neighbour(l) >= 0 && !gone[l]) hear(l);
  MPI_Waitall(n, request, status);
}
