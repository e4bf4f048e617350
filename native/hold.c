/*
 * hold: owns one pseudo-terminal and outlives the daemon that asked for it.
 *
 *   hold SOCKET COLS ROWS NOFILE CWD -- ARGV...
 *
 * It starts ARGV on a new terminal, keeps what the program writes in a ring of 256 KiB addressed by absolute offsets, and serves one
 * client at a time on the Unix socket SOCKET. What the client has not acknowledged stays in the ring, through any number of clients; a
 * ring full of that blocks the program, so nothing is dropped. The exit status is kept until a client has said that it has it.
 *
 * One line on standard output tells how the start went: "ok PID" or "err STAGE ERRNO". The protocol is described from the other side in
 * src/daemon/terminal/hold-protocol.ts.
 */
#ifdef __APPLE__
#define _DARWIN_C_SOURCE
#else
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

enum { ATTACH = 1, ACK = 2, INPUT = 3, RESIZE = 4, SIGNAL = 5, STATUS = 6, DONE = 7, MODES = 8 };
enum { WELCOME = 65, REFUSED = 66, DATA = 67, TAKEN = 68, SIGNALLED = 69, STATUS_IS = 70, EXIT = 71, MODES_ARE = 72 };
enum { OLD_EPOCH = 1, AHEAD = 2, TAKEN_OVER = 3, BAD_VERSION = 4 };
enum { TO_PROGRAM = 0, TO_GROUP = 1, TO_FOREGROUND = 2 };
enum { ARE_KNOWN = 1, HAS_ECHO = 2, IS_CANONICAL = 4 };

#define VERSION 2
#define FROM_START UINT64_MAX
/* 64 KiB moves 58 MB/s into Node, 256 KiB 166 MB/s and 1 MiB 133 MB/s (measured on the prototype). */
#define RING_SIZE (256u * 1024)
#define FRAME_LIMIT 65536u
#define HEADER 5u
#define DATA_LIMIT (FRAME_LIMIT - 1 - 8)
#define INPUT_LIMIT 65536u
#define ATTACH_FRAME (HEADER + 17)
#define REPLIES_SIZE 16384u
/* The longest reply is the status, whose directory is cut at this length. */
#define CWD_LIMIT 4096u
#define REPLY_LIMIT (HEADER + 64 + CWD_LIMIT)
/* Connections that have not attached yet. A ninth pushes the oldest out, so that half a frame sent once can lock nobody out. */
#define STRANGERS 8
/* Memory is given back after this much quiet. One timeout, then no wake-up at all. */
#define QUIET_MS 1000
/* How long others may go on writing to the terminal of a program that has ended. See is_over. */
#define LINGER_MS 200
/* Acknowledged output that is kept through the quiet: some screens of it. */
#define KEPT (32u * 1024)
/* More than the kernel keeps for one terminal: 4 KiB in n_tty and at most 8 KiB and one write in the flip buffers (Linux, pty.c). */
#define KERNEL_BUFFER 65536u

/* The four buffers share one mapping, so that one madvise gives them all back. */
static uint8_t *ring, *typed, *heard, *replies;
#define HEARD_SIZE (FRAME_LIMIT + 4096u)
#define BUFFERS (RING_SIZE + INPUT_LIMIT + HEARD_SIZE + REPLIES_SIZE)
static int is_dirty;

/*
 * Output: ring_start <= acked <= sent <= head, and head - ring_start <= RING_SIZE. What is acknowledged stays as long as there is room: a
 * client that comes after a crash has something to show. `seen` is the highest `acked` ever: what any client has worked off.
 */
static uint64_t ring_start, acked, sent, head, seen;
/* Input that the program has not read yet: a ring too. `taken` counts what reached the terminal since the client attached. */
static size_t typed_start, typed_length;
static uint64_t taken, taken_told;

static int listener = -1, client = -1, master = -1, slave = -1, news[2] = {-1, -1};
static size_t heard_length, replies_length;
/* The DATA frame on its way: bytes left of its header and of its payload. No other frame may come between. */
static uint8_t data_header[HEADER + 8];
static size_t header_left, payload_left;
static int is_blocked, is_deaf, exit_told;
static uint64_t highest_epoch;
static struct stranger {
  int fd;
  size_t length;
  uint8_t bytes[ATTACH_FRAME];
} strangers[STRANGERS];
static int stranger_count;
static int64_t accept_again;

static pid_t program;
static int has_exited, wait_status, is_hung_up, was_emptied, is_drained;
static uint64_t read_since_exit;
static int64_t linger_until;
static struct winsize size;

static struct sockaddr_un address = {.sun_family = AF_UNIX};
static struct stat socket_file;

static int make_buffers(void) {
#ifdef __SANITIZE_ADDRESS__
  /* Apart from each other, so that the sanitizer sees a step from one into the next. */
  ring = malloc(RING_SIZE);
  typed = malloc(INPUT_LIMIT);
  heard = malloc(HEARD_SIZE);
  replies = malloc(REPLIES_SIZE);
  return ring && typed && heard && replies ? 0 : -1;
#else
  ring = mmap(NULL, BUFFERS, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (ring == MAP_FAILED) return -1;
  typed = ring + RING_SIZE;
  heard = typed + INPUT_LIMIT;
  replies = heard + HEARD_SIZE;
  return 0;
#endif
}

static void put(uint8_t *at, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; i++) at[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get(const uint8_t *at, int bytes) {
  uint64_t value = 0;
  for (int i = 0; i < bytes; i++) value |= (uint64_t)at[i] << (8 * i);
  return value;
}

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* For every descriptor we make: the program must inherit none of them, and none of them may ever block us. */
static int tidy(int fd) {
  if (fd < 0) return fd;
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  return fd;
}

/* ---- The socket file ---- */

static int is_our_file(void) {
  struct stat file;
  return lstat(address.sun_path, &file) == 0 && file.st_dev == socket_file.st_dev && file.st_ino == socket_file.st_ino;
}

/* bind refuses a path that exists, so nobody's socket is ever overwritten. Returns -1 with errno set. */
static int make_socket(void) {
  int fd = tidy(socket(AF_UNIX, SOCK_STREAM, 0));
  if (fd < 0) return -1;
  mode_t before = umask(0177);
  int bound = bind(fd, (struct sockaddr *)&address, sizeof address);
  umask(before);
  if (bound == 0 && listen(fd, 16) == 0 && lstat(address.sun_path, &socket_file) == 0) return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

/* Someone cleaned the directory: make the file again. The old listener cannot be reached any more. */
static void remake_socket(void) {
  if (is_our_file()) return;
  int fd = make_socket();
  if (fd < 0) return;
  close(listener);
  listener = fd;
}

__attribute__((noreturn)) static void leave(int code) {
  if (listener >= 0 && is_our_file()) unlink(address.sun_path);
  _exit(code);
}

/* ---- To the client ---- */

static void drop_client(void) {
  if (client >= 0) close(client);
  client = -1;
  heard_length = replies_length = header_left = payload_left = 0;
  is_blocked = is_deaf = exit_told = 0;
}

static int has_room_for_reply(void) { return replies_length + REPLY_LIMIT <= REPLIES_SIZE; }

/* Queues a frame and returns where its payload goes. The caller knows that there is room. */
static uint8_t *reply(uint8_t type, size_t length) {
  uint8_t *at = replies + replies_length;
  put(at, length + 1, 4);
  at[4] = type;
  replies_length += HEADER + length;
  is_dirty = 1;
  return at + HEADER;
}

/*
 * Sends what there is until the socket is full. A client that has gone may have left frames behind which still count (input typed just
 * before an upgrade), so a failed write only makes us stop writing; the end of the reading is what drops it.
 */
static void speak(void) {
  while (client >= 0 && !is_deaf && !is_blocked) {
    ssize_t wrote;
    if (header_left + payload_left == 0) {
      if (taken != taken_told && has_room_for_reply()) put(reply(TAKEN, 8), taken_told = taken, 8);
      if (sent == head && is_drained && !exit_told && has_room_for_reply()) {
        uint8_t *at = reply(EXIT, 12);
        put(at, (uint32_t)wait_status, 4);
        put(at + 4, head, 8);
        exit_told = 1;
      }
    }
    if (header_left + payload_left == 0 && replies_length > 0) {
      wrote = write(client, replies, replies_length);
      if (wrote > 0) memmove(replies, replies + wrote, replies_length -= (size_t)wrote);
    } else {
      if (header_left + payload_left == 0) {
        if (sent == head) return;
        payload_left = head - sent < DATA_LIMIT ? (size_t)(head - sent) : DATA_LIMIT;
        header_left = sizeof data_header;
        put(data_header, payload_left + 9, 4);
        data_header[4] = DATA;
        put(data_header + HEADER, sent, 8);
      }
      size_t from = sent % RING_SIZE;
      size_t first = payload_left < RING_SIZE - from ? payload_left : RING_SIZE - from;
      struct iovec parts[3] = {
          {data_header + sizeof data_header - header_left, header_left}, {ring + from, first}, {ring, payload_left - first}};
      wrote = writev(client, parts, 3);
      if (wrote > 0) {
        size_t of_header = (size_t)wrote < header_left ? (size_t)wrote : header_left;
        header_left -= of_header;
        payload_left -= (size_t)wrote - of_header;
        sent += (size_t)wrote - of_header;
      }
    }
    if (wrote < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) is_blocked = 1;
    else if (wrote < 0 && errno != EINTR) is_deaf = 1;
  }
}

/* ---- From the client ---- */

static int send_signal(int signo, int target) {
  /* Once the program has been reaped its number may belong to a stranger. */
  if (has_exited) return ESRCH;
  if (signo < 1 || target > TO_FOREGROUND) return EINVAL;
  pid_t to = program;
  if (target == TO_FOREGROUND) to = tcgetpgrp(master);
  /* kill(-1) would be every process of this user. */
  if (to <= 1) return ESRCH;
  return kill(target == TO_PROGRAM ? to : -to, signo) == 0 ? 0 : errno;
}

/* The directory of a process, or nothing where it cannot be read or was removed: the kernel then appends " (deleted)" to a path that lies. */
static size_t read_cwd(pid_t pid, char *into, size_t limit) {
  char path[32];
  struct stat directory;
  if (pid <= 1) return 0;
  snprintf(path, sizeof path, "/proc/%ld/cwd", (long)pid);
  if (stat(path, &directory) < 0 || directory.st_nlink == 0) return 0;
  ssize_t length = readlink(path, into, limit);
  return length > 0 && (size_t)length < limit ? (size_t)length : 0;
}

static void tell_status(uint32_t id) {
  char cwd[CWD_LIMIT];
  pid_t group = has_exited ? 0 : tcgetpgrp(master);
  /* A pipeline whose leader has ended still is a group; then the program's own directory is the best answer. */
  size_t length = has_exited ? 0 : read_cwd(group, cwd, sizeof cwd);
  if (length == 0 && !has_exited) length = read_cwd(program, cwd, sizeof cwd);
  uint8_t *at = reply(STATUS_IS, 29 + length);
  put(at, id, 4);
  put(at + 4, (uint32_t)(group > 0 ? group : 0), 4);
  at[8] = (uint8_t)has_exited;
  put(at + 9, size.ws_col, 2);
  put(at + 11, size.ws_row, 2);
  put(at + 13, head, 8);
  put(at + 21, acked, 8);
  if (length > 0) memcpy(at + 29, cwd, length);
}

/* How the program has set its terminal. The kernel gives the master the slave's modes (Linux, pty_ioctl; macOS too). */
static void tell_modes(uint32_t id) {
  struct termios modes;
  uint8_t flags = 0;
  if (!has_exited && tcgetattr(master, &modes) == 0) {
    flags = ARE_KNOWN;
    if (modes.c_lflag & ECHO) flags |= HAS_ECHO;
    if (modes.c_lflag & ICANON) flags |= IS_CANONICAL;
  }
  uint8_t *at = reply(MODES_ARE, 5);
  put(at, id, 4);
  at[4] = flags;
}

static int take_input(const uint8_t *bytes, size_t length) {
  if (length > INPUT_LIMIT - typed_length) return 0;
  if (has_exited) {
    taken += length;
    return 1;
  }
  size_t at = (typed_start + typed_length) % INPUT_LIMIT;
  size_t first = length < INPUT_LIMIT - at ? length : INPUT_LIMIT - at;
  memcpy(typed + at, bytes, first);
  memcpy(typed, bytes + first, length - first);
  typed_length += length;
  return 1;
}

/* One frame. False is a protocol error: it ends this connection and nothing else. */
static int obey(uint8_t type, const uint8_t *payload, size_t length) {
  if (type == ACK && length == 8) {
    uint64_t offset = get(payload, 8);
    if (offset > sent) return 0;
    if (offset > acked) acked = offset;
    if (acked > seen) seen = acked;
  } else if (type == INPUT) {
    return take_input(payload, length);
  } else if (type == RESIZE && length == 4) {
    if (has_exited) return 1;
    size.ws_col = (unsigned short)get(payload, 2);
    size.ws_row = (unsigned short)get(payload + 2, 2);
    if (size.ws_col == 0) size.ws_col = 1;
    if (size.ws_row == 0) size.ws_row = 1;
    ioctl(master, TIOCSWINSZ, &size);
  } else if (type == SIGNAL && length == 6) {
    int error = send_signal(payload[4], payload[5]);
    uint8_t *at = reply(SIGNALLED, 8);
    memcpy(at, payload, 4);
    put(at + 4, (uint32_t)error, 4);
  } else if (type == STATUS && length == 4) {
    tell_status((uint32_t)get(payload, 4));
  } else if (type == MODES && length == 4) {
    tell_modes((uint32_t)get(payload, 4));
  } else if (type == DONE && length == 0 && exit_told) {
    leave(0);
  } else {
    return 0;
  }
  return 1;
}

/* Whole frames wait in `heard` while there is no room for a reply: a client that asks and never reads slows only itself. */
static void obey_heard(void) {
  size_t at = 0;
  while (client >= 0 && heard_length - at >= 4) {
    uint64_t length = get(heard + at, 4);
    int is_wrong = length < 1 || length > FRAME_LIMIT;
    if (!is_wrong && (heard_length - at < 4 + length || (!is_deaf && !has_room_for_reply()))) break;
    if (is_deaf) replies_length = 0;
    if (is_wrong || !obey(heard[at + 4], heard + at + HEADER, (size_t)length - 1)) {
      drop_client();
      return;
    }
    at += 4 + (size_t)length;
  }
  if (at > 0) memmove(heard, heard + at, heard_length -= at);
}

static void hear_client(void) {
  ssize_t got = read(client, heard + heard_length, HEARD_SIZE - heard_length);
  if (got > 0) heard_length += (size_t)got;
  if (got > 0) is_dirty = 1;
  else if (got == 0 || (errno != EAGAIN && errno != EINTR)) drop_client();
}

/* ---- Connections that have not attached: they have no rights ---- */

static void forget_stranger(int which) {
  stranger_count--;
  memmove(&strangers[which], &strangers[which + 1], sizeof strangers[0] * (size_t)(stranger_count - which));
}

static void refuse(int fd, uint8_t reason) {
  uint8_t frame[HEADER + 9];
  put(frame, 10, 4);
  frame[4] = REFUSED;
  frame[5] = reason;
  put(frame + 6, highest_epoch, 8);
  /* A fresh socket always has room for this; whoever cannot take it learns the same from the end of the connection. */
  if (write(fd, frame, sizeof frame) < 0) return;
}

static void attach(int fd, const uint8_t *payload) {
  uint64_t epoch = get(payload + 1, 8), offset = get(payload + 9, 8);
  uint8_t reason = 0;
  if (payload[0] == 0) reason = BAD_VERSION;
  else if (epoch < highest_epoch) reason = OLD_EPOCH;
  else if (offset != FROM_START && offset > head) reason = AHEAD;
  if (reason) {
    refuse(fd, reason);
    close(fd);
    return;
  }
  highest_epoch = epoch;
  if (client >= 0 && header_left + payload_left + replies_length == 0) refuse(client, TAKEN_OVER);
  drop_client();
  client = fd;
  /* The client begins where its journal ends: everything below is safe, and must not keep the ring full. */
  sent = acked = offset != FROM_START && offset > ring_start ? offset : ring_start;
  taken = taken_told = 0;
  uint8_t *at = reply(WELCOME, 42);
  /* A daemon older than this holder takes nothing above its own version. */
  at[0] = payload[0] < VERSION ? payload[0] : VERSION;
  put(at + 1, (uint64_t)program, 4);
  put(at + 5, (uint64_t)getpid(), 4);
  put(at + 9, sent, 8);
  put(at + 17, head, 8);
  put(at + 25, seen, 8);
  put(at + 33, size.ws_col, 2);
  put(at + 35, size.ws_row, 2);
  at[37] = (uint8_t)has_exited;
  put(at + 38, typed_length, 4);
}

/* Reads no further than the ATTACH frame, so that what follows is still in the socket when this becomes the client. */
static void hear_stranger(int which) {
  struct stranger *who = &strangers[which];
  ssize_t got = read(who->fd, who->bytes + who->length, ATTACH_FRAME - who->length);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got > 0) who->length += (size_t)got;
  int is_wrong = got <= 0 || (who->length >= 4 && get(who->bytes, 4) != ATTACH_FRAME - 4) ||
                 (who->length >= HEADER && who->bytes[4] != ATTACH);
  if (!is_wrong && who->length < ATTACH_FRAME) return;
  struct stranger known = *who;
  forget_stranger(which);
  if (is_wrong) close(known.fd);
  else attach(known.fd, known.bytes + HEADER);
}

static int is_same_user(int fd) {
#ifdef SO_PEERCRED
  struct ucred peer;
  socklen_t length = sizeof peer;
  return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.uid == geteuid();
#else
  uid_t uid;
  gid_t gid;
  return getpeereid(fd, &uid, &gid) == 0 && uid == geteuid();
#endif
}

static void meet_stranger(void) {
  int fd = tidy(accept(listener, NULL, NULL));
  if (fd < 0) {
    /* Out of descriptors, say. The connection stays in the queue and poll would report it without end: look again later. */
    if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) accept_again = now_ms() + QUIET_MS;
    return;
  }
  if (!is_same_user(fd)) {
    close(fd);
    return;
  }
  if (stranger_count == STRANGERS) {
    close(strangers[0].fd);
    forget_stranger(0);
  }
  strangers[stranger_count++] = (struct stranger){.fd = fd};
}

/* ---- The terminal ---- */

static void read_terminal(void) {
  /* A terminal gives at most 4095 bytes a read (Linux, n_tty); a few reads make one frame worth sending. */
  for (int turn = 0; turn < 16 && !is_hung_up; turn++) {
    size_t room = RING_SIZE - (size_t)(head - acked), to = head % RING_SIZE;
    if (room == 0) return;
    size_t first = room < RING_SIZE - to ? room : RING_SIZE - to;
    struct iovec parts[2] = {{ring + to, first}, {ring, room - first}};
    ssize_t got = readv(master, parts, 2);
    if (got > 0) {
      head += (size_t)got;
      if (head - ring_start > RING_SIZE) ring_start = head - RING_SIZE;
      is_dirty = 1;
      if (has_exited) read_since_exit += (size_t)got;
    } else if (got < 0 && errno == EINTR) {
      continue;
    } else if (got < 0 && errno == EAGAIN) {
      /* Linux moves everything written so far into the reader's buffer before it says EAGAIN (n_tty_read flushes the work queue). */
      if (has_exited) was_emptied = 1;
      return;
    } else {
      is_hung_up = 1;
    }
  }
}

static void write_terminal(void) {
  while (typed_length > 0) {
    size_t first = typed_length < INPUT_LIMIT - typed_start ? typed_length : INPUT_LIMIT - typed_start;
    ssize_t wrote = write(master, typed + typed_start, first);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return;
    typed_start = (typed_start + (size_t)wrote) % INPUT_LIMIT;
    typed_length -= (size_t)wrote;
    taken += (size_t)wrote;
  }
}

/*
 * A program has ended when it was reaped and all that it wrote was read. When nobody else has the terminal open the kernel says so
 * (EIO). A process left in the background may keep it open for ever, and Linux does not hang up a PTY when its session leader ends (it
 * only sends SIGHUP to the foreground group), so such processes get LINGER_MS for their last words. What the program itself wrote is
 * read however long that takes: until the kernel's buffers were empty once, or have certainly been passed through once.
 */
static int is_over(void) {
  if (!has_exited) return 0;
  return is_hung_up || (now_ms() >= linger_until && (was_emptied || read_since_exit >= KERNEL_BUFFER));
}

/* We adopt every orphan of the program (PR_SET_CHILD_SUBREAPER) and bury them all. */
static void reap(void) {
  int status;
  pid_t pid;
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
    if (pid != program || has_exited) continue;
    has_exited = 1;
    wait_status = status;
    linger_until = now_ms() + LINGER_MS;
    close(slave);
    taken += typed_length;
    typed_start = typed_length = 0;
  }
}

static void note_signal(int signo) {
  int error = errno;
  char byte = (char)signo;
  if (write(news[1], &byte, 1) < 0) errno = error;
  errno = error;
}

static void hear_signals(void) {
  char bytes[64];
  ssize_t got;
  while ((got = read(news[0], bytes, sizeof bytes)) > 0) {
    for (ssize_t i = 0; i < got; i++) {
      if (bytes[i] == SIGTERM) leave(0);
      if (bytes[i] == SIGUSR1) remake_socket();
    }
  }
  reap();
}

static void forget_pages(size_t from, size_t to) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  from = (from + page - 1) / page * page;
  to = to / page * page;
#ifndef __SANITIZE_ADDRESS__
  if (from < to) madvise(ring + from, to - from, MADV_DONTNEED);
#endif
}

/* A flood leaves 300 KiB behind; an idle holder should cost what it did before. All goes but the last acknowledged output. The ring is circular, so what is kept may go around its end. */
static void give_memory_back(void) {
  if (head - ring_start > KEPT) ring_start = head - KEPT;
  size_t end = head % RING_SIZE, start = ring_start % RING_SIZE;
  if (ring_start == head) {
    forget_pages(0, RING_SIZE);
  } else if (end < start) {
    forget_pages(end, start);
  } else {
    forget_pages(end, RING_SIZE);
    forget_pages(0, start);
  }
  forget_pages(RING_SIZE, BUFFERS);
  is_dirty = 0;
}

static void serve(void) {
  for (;;) {
    int is_empty = acked == head && typed_length == 0 && heard_length == 0 && replies_length == 0;
    int can_reply = is_deaf || has_room_for_reply();
    if (accept_again && now_ms() >= accept_again) accept_again = 0;
    int64_t timeout = (is_dirty && is_empty) || accept_again ? QUIET_MS : -1;
    if (has_exited && !is_drained) {
      int64_t left = linger_until - now_ms();
      if (left >= 0 && (timeout < 0 || left < timeout)) timeout = left + 1;
    }
    /* Hang-ups are reported whether asked for or not: a descriptor nothing is wanted from must be left out, or poll would spin. */
    short wanted = 0;
    if (!is_drained && !is_hung_up && head - acked < RING_SIZE) wanted |= POLLIN;
    if (typed_length > 0) wanted |= POLLOUT;
    short from_client = (short)((can_reply && heard_length < HEARD_SIZE ? POLLIN : 0) | (is_blocked ? POLLOUT : 0));
    struct pollfd polled[4 + STRANGERS] = {{news[0], POLLIN, 0},
                                           {accept_again ? -1 : listener, POLLIN, 0},
                                           {wanted ? master : -1, wanted, 0},
                                           {client, from_client, 0}};
    int strangers_polled = stranger_count;
    for (int i = 0; i < strangers_polled; i++) polled[4 + i] = (struct pollfd){strangers[i].fd, POLLIN, 0};
    int ready = poll(polled, (nfds_t)(4 + strangers_polled), (int)timeout);
    if (ready < 0) continue;
    if (ready == 0 && is_dirty && is_empty) give_memory_back();
    if (polled[0].revents) hear_signals();
    if (polled[3].revents & POLLOUT) is_blocked = 0;
    /* Without POLLIN asked for, an error or hang-up means that the far side has gone for good. */
    if (polled[3].revents & ~POLLOUT) {
      if (from_client & POLLIN) hear_client();
      else drop_client();
    }
    obey_heard();
    if (!is_drained) {
      if ((polled[2].revents & ~POLLOUT) || has_exited) read_terminal();
      if (polled[2].revents & POLLOUT || typed_length > 0) write_terminal();
      if (is_over()) {
        is_drained = 1;
        close(master);
      }
    }
    for (int i = strangers_polled - 1; i >= 0; i--)
      if (polled[4 + i].revents) hear_stranger(i);
    if (polled[1].revents) meet_stranger();
    speak();
  }
}

/* ---- The start ---- */

static void close_inherited(void) {
#ifdef SYS_close_range
  if (syscall(SYS_close_range, 3u, ~0u, 0u) == 0) return;
#endif
  DIR *open_now = opendir("/dev/fd");
  if (open_now) {
    struct dirent *entry;
    while ((entry = readdir(open_now))) {
      int fd = atoi(entry->d_name);
      if (fd > 2 && fd != dirfd(open_now)) close(fd);
    }
    closedir(open_now);
  } else {
    for (int fd = 3; fd < 65536; fd++) close(fd);
  }
}

__attribute__((noreturn)) static void fail(const char *stage, int error) {
  printf("err %s %d\n", stage, error);
  fflush(stdout);
  leave(1);
}

/* In the child: becomes the program, or writes why not to `report`. */
static void become(char *const argv[], const char *cwd, unsigned long open_files, int report) {
  int why[2] = {'p', 0};
  if (setsid() >= 0 && ioctl(slave, TIOCSCTTY, 0) == 0 && dup2(slave, 0) == 0 && dup2(slave, 1) == 1 && dup2(slave, 2) == 2) {
    /* Ignored signals and the mask survive exec: a program started under nohup or by Node must not inherit theirs. */
    struct sigaction standard = {.sa_handler = SIG_DFL};
    for (int signo = 1; signo < NSIG; signo++) sigaction(signo, &standard, NULL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    struct rlimit limit;
    if (open_files > 0 && getrlimit(RLIMIT_NOFILE, &limit) == 0) {
      limit.rlim_cur = open_files < limit.rlim_max ? (rlim_t)open_files : limit.rlim_max;
      setrlimit(RLIMIT_NOFILE, &limit);
    }
    why[0] = 'c';
    if (chdir(cwd) == 0) {
      why[0] = 'x';
      execvp(argv[0], argv);
    }
  }
  why[1] = errno;
  if (write(report, why, sizeof why) < 0) _exit(126);
  _exit(127);
}

static int open_terminal(void) {
  master = tidy(posix_openpt(O_RDWR | O_NOCTTY));
  if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0) return -1;
  const char *name = ptsname(master);
  /*
   * We keep the slave open until the program has ended. A program may close its terminal and open /dev/tty again; without our descriptor
   * the master would report a hang-up meanwhile, and poll would spin on it.
   */
  slave = name ? open(name, O_RDWR | O_NOCTTY | O_CLOEXEC) : -1;
  struct termios modes;
  if (slave < 0 || tcgetattr(slave, &modes) < 0) return -1;
#ifdef IUTF8
  /* Erasing a character in a line must take all its bytes. */
  modes.c_iflag |= IUTF8;
#endif
  tcsetattr(slave, TCSANOW, &modes);
  return ioctl(master, TIOCSWINSZ, &size);
}

static unsigned short parse_cells(const char *text) {
  unsigned long cells = strtoul(text, NULL, 10);
  return (unsigned short)(cells < 1 ? 1 : cells > 65535 ? 65535 : cells);
}

int main(int argc, char *argv[]) {
  if (argc < 8 || strcmp(argv[6], "--") != 0) fail("usage", EINVAL);
  int null = open("/dev/null", O_RDWR);
  while (null >= 0 && null < 3) null = dup(null);
  close_inherited();
  signal(SIGHUP, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  if (getsid(0) != getpid()) setsid();
#ifdef __linux__
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  prctl(PR_SET_DUMPABLE, 0);
#endif
  if (argv[1][0] != '/') fail("socket", EINVAL);
  if (strlen(argv[1]) >= sizeof address.sun_path) fail("socket", ENAMETOOLONG);
  strcpy(address.sun_path, argv[1]);
  size.ws_col = parse_cells(argv[2]);
  size.ws_row = parse_cells(argv[3]);

  if (make_buffers() < 0) fail("memory", errno);

  int report[2];
  if (pipe(news) < 0 || pipe(report) < 0) fail("pipe", errno);
  tidy(news[0]);
  tidy(news[1]);
  fcntl(report[0], F_SETFD, FD_CLOEXEC);
  fcntl(report[1], F_SETFD, FD_CLOEXEC);
  struct sigaction noting = {.sa_handler = note_signal, .sa_flags = SA_RESTART | SA_NOCLDSTOP};
  sigaction(SIGCHLD, &noting, NULL);
  sigaction(SIGUSR1, &noting, NULL);
  sigaction(SIGTERM, &noting, NULL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);

  listener = make_socket();
  if (listener < 0) fail("socket", errno);
  if (open_terminal() < 0) fail("pty", errno);
  program = fork();
  if (program < 0) fail("fork", errno);
  if (program == 0) become(argv + 7, argv[5], strtoul(argv[4], NULL, 10), report[1]);
  close(report[1]);
  int why[2];
  ssize_t got;
  while ((got = read(report[0], why, sizeof why)) < 0 && errno == EINTR) continue;
  close(report[0]);
  if (got == (ssize_t)sizeof why) fail(why[0] == 'x' ? "exec" : why[0] == 'c' ? "chdir" : "pty", why[1]);

  if (chdir("/") < 0) fail("chdir", errno);
  printf("ok %ld\n", (long)program);
  fflush(stdout);
  null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd = 0; fd < 3 && null >= 0; fd++) dup2(null, fd);
  if (null > 2) close(null);
  serve();
}
