/*
 * report: what an agent's hook runs to tell its pane's daemon of an event.
 *
 *   report AGENT EVENT < payload
 *
 * Connects to AI_SESSION_HOOK_SOCKET and writes one line of JSON, {"agent","event","at","ancestors"}, and then the payload as it is until
 * the end of the stream. `at` is in milliseconds since 1970. `ancestors` are our parent, its parent and so on, [pid, command line], by which
 * the daemon tells the agent of the pane from one that it has started itself. They may be gone when the daemon reads this, so it cannot look
 * for itself. Without /proc there are none. Of a payload of 1 MiB or more nothing is sent. A byte is answered once all was read: a daemon
 * that is being killed takes connections until it is gone.
 *
 * Agents take what a hook prints for an answer and a code of 2 for a refusal, so it prints nothing and exits with 0 whatever happens. Only
 * wrong usage, which is no agent's, gets a sentence and 64. When no daemon answers within 100 ms, it lets the agent go on and tries again in
 * the background for five seconds, in which a daemon is replaced.
 */
#ifdef __APPLE__
#define _DARWIN_C_SOURCE
#else
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { PAYLOAD_LIMIT = 1 << 20, ANCESTORS_LIMIT = 24, COMMAND_LIMIT = 256, WORD_LIMIT = 64, ANSWER_MS = 100, TRY_MS = 50, TRIES = 100, PATIENCE_S = 5 };

static char payload[PAYLOAD_LIMIT];

static void give_up(int signal) {
  (void)signal;
  _exit(0);
}

static int is_word(const char *text) {
  size_t length = strlen(text);
  if (length == 0 || length > WORD_LIMIT) return 0;
  for (const char *c = text; *c; c++) {
    int is_letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9');
    if (!is_letter && *c != '_' && *c != '-') return 0;
  }
  return 1;
}

/* Bytes of the payload. All of it is read, since the agent may wait until it is. */
static size_t read_payload(void) {
  size_t length = 0;
  int is_too_long = 0;
  if (isatty(0)) return 0;
  for (;;) {
    ssize_t got = read(0, payload + length, sizeof payload - length);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    length += (size_t)got;
    if (length == sizeof payload) {
      is_too_long = 1;
      length = 0;
    }
  }
  return is_too_long ? 0 : length;
}

/* The parent of a process; 0 where that is not known. */
static long parent_of(long pid) {
  char path[64], stat[512];
  snprintf(path, sizeof path, "/proc/%ld/stat", pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t length = read(fd, stat, sizeof stat - 1);
  close(fd);
  if (length <= 0) return 0;
  stat[length] = 0;
  /* The command is in parentheses and may hold any character (proc(5)). */
  const char *after = strrchr(stat, ')');
  long parent = 0;
  if (after == NULL || sscanf(after + 1, " %*c %ld", &parent) != 1) return 0;
  return parent;
}

/* The beginning of a command line as it stands in a string of JSON, each byte as a character. Returns its length, 6 * COMMAND_LIMIT at most. */
static int command_of(long pid, char *text) {
  char path[64];
  unsigned char command[COMMAND_LIMIT];
  snprintf(path, sizeof path, "/proc/%ld/cmdline", pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t got = read(fd, command, sizeof command);
  close(fd);
  int length = 0;
  for (ssize_t i = 0; i < got; i++) {
    unsigned char c = command[i];
    if (c >= ' ' && c < 0x7f && c != '"' && c != '\\') text[length++] = (char)c;
    else length += sprintf(text + length, "\\u%04x", c);
  }
  return length;
}

static int header(char *line, size_t size, const char *agent, const char *event) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  long long at = (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
  int length = snprintf(line, size, "{\"agent\":\"%s\",\"event\":\"%s\",\"at\":%lld,\"ancestors\":[", agent, event, at);
  long pid = getppid();
  for (int n = 0; n < ANCESTORS_LIMIT && pid > 1; n++) {
    long parent = parent_of(pid);
    if (parent == 0) break;
    length += snprintf(line + length, size - (size_t)length, "%s[%ld,\"", n == 0 ? "" : ",", pid);
    length += command_of(pid, line + length);
    length += snprintf(line + length, size - (size_t)length, "\"]");
    pid = parent;
  }
  return length + snprintf(line + length, size - (size_t)length, "]}\n");
}

/* Whether all of it went out. */
static int write_all(int fd, const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t written = write(fd, bytes, length);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return 0;
    bytes += written;
    length -= (size_t)written;
  }
  return 1;
}

/* Whether somebody has read it all. */
static int deliver(const struct sockaddr_un *address, const char *line, size_t head, size_t length) {
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0) return 0;
  char answer;
  int is_read = 0;
  struct timeval limit = {.tv_sec = 0, .tv_usec = ANSWER_MS * 1000};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 && write_all(fd, line, head) && write_all(fd, payload, length)) {
    shutdown(fd, SHUT_WR);
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    is_read = poll(&waiting, 1, ANSWER_MS) == 1 && read(fd, &answer, 1) == 1;
  }
  close(fd);
  return is_read;
}

int main(int argc, char *argv[]) {
  if (argc != 3 || !is_word(argv[1]) || !is_word(argv[2])) {
    fprintf(stderr, "Usage: report AGENT EVENT, such as: report claude Stop\n");
    return 64;
  }
  signal(SIGPIPE, SIG_IGN);
  signal(SIGALRM, give_up);
  alarm(PATIENCE_S);
  static char line[ANCESTORS_LIMIT * (6 * COMMAND_LIMIT + 32) + 4 * WORD_LIMIT];
  size_t head = (size_t)header(line, sizeof line, argv[1], argv[2]);
  size_t length = read_payload();

  const char *path = getenv("AI_SESSION_HOOK_SOCKET");
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (path == NULL || path[0] == 0 || strlen(path) >= sizeof address.sun_path) return 0;
  strcpy(address.sun_path, path);
  if (deliver(&address, line, head, length)) return 0;
  if (fork() != 0) return 0;
  /* Who waits for the agent's hook waits for the end of its output, too. */
  setsid();
  for (int std = 0; std <= 2; std++) close(std);
  alarm(2 * PATIENCE_S);
  for (int n = 0; n < TRIES; n++) {
    poll(NULL, 0, TRY_MS);
    if (deliver(&address, line, head, length)) return 0;
  }
  return 0;
}
