/*
 * lock: runs a command that holds a lock for exactly as long as it lives.
 *
 *   lock PATH COMMAND ARG...
 *
 * PATH is a folder that exists, or else a file that is made when it is not there. A folder is better: a lock file that a cleaner deletes
 * can be made and locked a second time. flock(2) belongs to the open file, so the command inherits it with the descriptor and the kernel gives it up when the process ends,
 * however it ends. Node cannot take such a lock itself. Node marks what it inherits close-on-exec at its start, so the lock does not
 * pass on to the daemon's children.
 *
 * Exit: 75 when another process holds the lock (EX_TEMPFAIL of sysexits.h: try again later), 64 for wrong usage, 73 when PATH cannot be
 * opened, 126 or 127 when COMMAND cannot be run, as a shell says it.
 */
#ifdef __APPLE__
#define _DARWIN_C_SOURCE
#else
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

int main(int argc, char *argv[]) {
  if (argc < 3) {
    fprintf(stderr, "Usage: lock PATH COMMAND ARG...\n");
    return 64;
  }
  const char *path = argv[1], *command = argv[2];
  /* The lock must not become the command's standard input, output or error because those were closed. */
  int null = open("/dev/null", O_RDWR);
  while (null >= 0 && null < 2) null = dup(null);
  if (null > 2) close(null);
  /* A symbolic link here would let whoever made it choose the file that we create. */
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (fd < 0) fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
  if (fd < 0) {
    fprintf(stderr, "Cannot open the lock \"%s\": %s\n", path, strerror(errno));
    return 73;
  }
  while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
    if (errno == EINTR) continue;
    if (errno == EWOULDBLOCK) return 75;
    fprintf(stderr, "Cannot lock \"%s\": %s\n", path, strerror(errno));
    return 73;
  }
  execvp(command, argv + 2);
  int error = errno;
  fprintf(stderr, "Cannot run \"%s\": %s\n", command, strerror(error));
  return error == ENOENT ? 127 : 126;
}
