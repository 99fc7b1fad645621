/* A process that forks while another of its threads (another Lua state's) works here: the
** child has that thread's locks and not the thread. */
#ifndef df_fork_h
#define df_fork_h

/* To be called before anything of the library is used; once is enough, more is fine. */
void df_fork_watch(void);

/* Around calls of libraries that have locks of their own, which a fork waits for. */
void df_foreign_begin(void);
void df_foreign_end(void);

#endif
