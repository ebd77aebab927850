/* The subcommands of `mien`. Each lives in its own cmd_<name>.c and has the shape of main: exit status 0 = done,
 * 1 = something failed (said on standard error), 2 = wrong usage. */
#ifndef APP_COMMANDS_H
#define APP_COMMANDS_H

int cmd_detect(int argc, char **argv);
int cmd_video(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_train(int argc, char **argv);
int cmd_eval(int argc, char **argv);
int cmd_bench(int argc, char **argv);

enum { EXIT_USAGE = 2 };

#endif
