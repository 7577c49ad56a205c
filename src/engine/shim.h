/* engine/shim.h - the few lines between fork and llama-server: `llm-gateway engine-exec PARENT-PID MODE -- PROGRAM ARG...`
 *
 * libuv has no hook between fork and exec, so the gateway spawns itself with this hidden command, which ties the
 * process to its parent and then becomes PROGRAM. It holds to three promises: the child dies when the gateway dies, even by
 * SIGKILL; no descriptor but 0, 1 and 2 reaches PROGRAM; nothing goes through a shell.
 *
 * MODE `signal` (Linux): PR_SET_PDEATHSIG, kept over exec; the process becomes PROGRAM.
 * MODE `watch` (elsewhere): the process stays, PROGRAM is its child; standard input is a pipe whose only writer is the
 * gateway, so its end of file is the gateway's death: then PROGRAM is killed.
 */
#ifndef GW_ENGINE_SHIM_H
#define GW_ENGINE_SHIM_H

/* argv[0] is the program, argv[1] "engine-exec". To be called first thing in main(), before threads or descriptors
 * exist. Returns only on failure, with the exit status (126: could not run, 127: not found, as shells have it). */
int engine_shim_main(int argc, char **argv);

#endif
