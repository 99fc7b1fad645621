/* Support for fork. A process may fork while another thread (of another Lua state) runs
** in the library. The child then inherits that thread's locks, but not the thread. */
#ifndef df_fork_h
#define df_fork_h

/* Call this before any other function of the library. Further calls have no effect. */
void df_fork_watch(void);

/* Put these around calls into libraries that have their own locks. A fork waits until no
** thread is inside such a call. */
void df_foreign_begin(void);
void df_foreign_end(void);

#endif
